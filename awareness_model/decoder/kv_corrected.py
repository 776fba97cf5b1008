"""Attention of the kv layout in layers that a trained reader corrects (`kv_reader`).

Memory is asked by a query of its own, so that its logits and those over a row's own keys are made
apart and joined before one softmax. Shapes as in `kv`: B rows of memory, C rows of queries, T
queries, S own keys, N = 1 + M columns of memory, the sink first.

Limits: logits over memory are held in full, T × N numbers a head. One pass at a time reads a
Reading: what it found in the low layer serves the layers above.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.decoder.bias import joined_mask
from awareness_model.decoder.kv_reader import LayerReader
from awareness_model.decoder.prepared import Reading
from awareness_model.decoder.rotary import rotate
from awareness_model.gca import pack, unpack

HIDDEN = -1e30
"""A logit that hides a token is below this."""


def compare(
    reading: Reading, layer: int, own: Tensor, attention_mask: Tensor | None, queries: int
) -> None:
    """In the layer that compares: note which document the row speaks of, for those that follow.

    Args:
        own: values of a row's own tokens, `[C, G, S, D]`.
    """
    if reading.match is None or reading.match.layer != layer:
        return
    mask = _mask(reading, attention_mask, queries, own)
    visible = mask[:, 0, :, reading.bias.shape[1] :] > HIDDEN
    reading.behind[:] = [reading.match.behind(own, visible)]


def corrected(
    module: Any,
    query: Tensor,
    own: tuple[Tensor, Tensor],
    attention_mask: Tensor | None,
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
    asked = _asked(correction, query, cos[:, None], sin[:, None])
    mask = _mask(reading, attention_mask, query.shape[2], own[0]).to(query.dtype)
    mask = _preferred(reading, correction, layer, mask)
    read, mass = _joined((asked * scaling, query * scaling), slots, own, mask)
    if reading.mass is not None and layer in reading.wanted:
        reading.mass[layer] = mass.mean(1)
    return read.transpose(1, 2).contiguous()


def _mask(reading: Reading, attention_mask: Tensor | None, queries: int, own: Tensor) -> Tensor:
    """Return the additive mask `[C, 1, T, N + S]`."""
    times = len(own) // len(reading.bias)
    bias = reading.bias.repeat_interleave(times, dim=0)
    return joined_mask(bias, attention_mask, queries, own.shape[2])


def _asked(correction: LayerReader, query: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the queries that ask memory, turned as those given are, `[C, H, T, D]`."""
    change = correction.query(rotate(query, cos, -sin))
    return (query + rotate(change, cos, sin)) * correction.scale().to(query.dtype)


def _preferred(reading: Reading, correction: LayerReader, layer: int, mask: Tensor) -> Tensor:
    """Return the mask with what a layer's heads prefer in memory, `[C, H, T, N + S]`."""
    columns = reading.bias.shape[1]
    preferred = correction.logit_offset(columns)
    if reading.match is not None and layer > reading.match.layer:
        preferred = preferred + correction.held_back(reading.behind[0])
    return mask + F.pad(preferred, (0, mask.shape[3] - columns)).to(mask.dtype)


def _joined(
    queries: tuple[Tensor, Tensor],
    memory: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    mask: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return what is read `[C, H, T, D]` and the mass on memory `[C, H, T, N]`.

    Args:
        queries: scaled ones that ask memory, and that ask the row's own keys.
        memory: keys and values `[B, G, N, D]`.
        own: keys and values `[C, G, S, D]`.
        mask: added to the logits, `[C, H, T, N + S]`.
    """
    logits = [
        unpack(pack(query, keys) @ keys.transpose(2, 3), query)
        for query, keys in zip(queries, (memory[0], own[0]), strict=True)
    ]
    share = (torch.cat(logits, dim=-1) + mask).softmax(-1, dtype=torch.float32)
    on_memory, on_own = share.split([one.shape[-1] for one in logits], dim=-1)
    read = [
        unpack(pack(part.to(values.dtype), values) @ values, queries[0])
        for part, values in ((on_memory, memory[1]), (on_own, own[1]))
    ]
    return read[0] + read[1], on_memory
