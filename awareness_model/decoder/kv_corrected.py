"""Attention of the kv layout in layers that a trained reader corrects (`kv_reader`).

Memory is asked by a query of its own, so that its logits and those over a row's own keys are made
apart and joined before one softmax. Shapes as in `kv`: B rows of memory, C rows of queries, T
queries, S own keys, N = 1 + M columns of memory, the sink first.

Limits: logits over memory are held in full, T × N numbers a head. One pass at a time reads a
Reading: what it found in its first layers serves the layers above.
"""

from typing import Any

import torch
from torch import Tensor

from awareness_model.decoder.bias import own_mask
from awareness_model.decoder.kv_join import join
from awareness_model.decoder.kv_reader import LayerReader
from awareness_model.decoder.prepared import Reading
from awareness_model.decoder.rotary import rotate

HIDDEN = -1e30
"""A logit that hides a token is below this."""


def look(
    reading: Reading, layer: int, own: Tensor, attention_mask: Tensor | None, queries: int
) -> None:
    """Note what all layers of a pass need: its mask in the lowest one that reads, and in the layers
    that compare which document the row speaks of.

    Args:
        own: values of a row's own tokens, `[C, G, S, D]`.
    """
    present = reading.present
    for match in reading.matches:
        if match is reading.matches[0] and layer == match.layer:
            present.own_mask = own_mask(attention_mask, queries, own.shape[2], reading.bias)
        if layer == match.layer:
            present.heard = match.heard(own, _visible(present.own_mask, own, queries))


def corrected(
    module: Any,
    query: Tensor,
    own: tuple[Tensor, Tensor],
    reading: Reading,
    *,
    position_ids: Tensor,
    scaling: float,
    **_: Any,
) -> Tensor:
    """Return what queries `[C, H, T, D]` read from memory and their own tokens, `[C, T, H, D]`."""
    layer = module.layer_idx
    correction, slots = reading.corrections[layer], (reading.keys[layer], reading.values[layer])
    cos, sin = reading.angles(query, position_ids=position_ids)
    cos, sin = cos[:, None], sin[:, None]
    plain = rotate(query, cos, -sin)
    asked = query + rotate(correction.query(plain), cos, sin)
    asked = asked * correction.scale().to(query.dtype) * scaling
    added = _preferred(reading, correction, plain), reading.present.own_mask
    read, mass = join((asked, query * scaling), slots, own, added)
    if reading.mass is not None and layer in reading.wanted:
        reading.mass[layer] = mass.mean(1)
    return read.transpose(1, 2).contiguous()


def _visible(own_mask: Tensor | None, own: Tensor, queries: int) -> Tensor:
    """Return which own tokens each query sees, `[C, T, S]`."""
    if own_mask is None:
        return torch.ones(len(own), queries, own.shape[2], dtype=torch.bool, device=own.device)
    return (own_mask[:, 0] > HIDDEN).expand(len(own), -1, -1)


def _preferred(reading: Reading, correction: LayerReader, plain: Tensor) -> Tensor:
    """Return what is added to logits over memory: what is hidden, and what a layer's heads prefer,
    `[C, H, T, N]`."""
    columns, heard = reading.bias.shape[1], reading.present.heard
    assert heard is not None
    times = len(plain) // len(reading.bias)
    bias = reading.bias.repeat_interleave(times, dim=0)[:, None, None]
    added = bias + correction.logit_offset(columns)
    added = added + correction.gated(heard.fit, plain, columns)
    return added if heard.behind is None else added + correction.held_back(heard.behind)
