"""Memory made ready for forward passes, and how it reaches the layers.

It is an argument of each pass and travels through transformers' keyword arguments: no hooks,
nothing to clear, and activation checkpointing replays it. `generate()` refuses unknown arguments,
so there it is bound to the call by a context variable, in the calling thread alone.

A Reading of B rows serves C = c·B rows of queries: beams and samples of one prompt stay next to
each other, and reordering beams moves them within their prompt, whose memory they all share.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from awareness_model.decoder.kv_match import Heard, Match
from awareness_model.decoder.kv_reader import LayerReader
from awareness_model.memory.batch import Memory


@dataclass(slots=True)
class Pass:
    """kv: what one pass needs in every layer, found once."""

    own_mask: Tensor | None = None
    """Added to logits over own keys, `[C, 1, T, S]`; None: nothing is."""
    heard: Heard | None = None
    """Which document the row speaks of, as far as is known."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Visible memory by decoder layer.

    latent: keys and values are heads `[B, G, N, D]`, or latents `[B, M, E]` while gradients are on
    (the layer then projects them itself, so that checkpointing replays it); kv: `[B, G, N, D]`,
    rotated, the sink first. `bias` is `[B, N]`. `mass` collects attention mass `[C, T, N]` by
    layer, for the layers in `wanted`.
    """

    layout: str
    keys: dict[int, Tensor]
    values: dict[int, Tensor]
    bias: Tensor
    projected: bool = True
    wanted: frozenset[int] = frozenset()
    mass: dict[int, Tensor] | None = None
    corrections: Mapping[int, LayerReader] = field(default_factory=dict)
    """kv: the layers whose queries are corrected; none of them while untrained."""
    angles: Any = None
    """kv: the base model's rotary embedding, for those layers."""
    matches: tuple[Match, ...] = ()
    """kv: what tells which document a row speaks of, for those layers; the lowest first."""
    present: Pass = field(default_factory=Pass)
    """kv: of the pass that reads now, or read last."""


_BOUND: ContextVar[Reading | None] = ContextVar("awareness_reading", default=None)


def current(given: Reading | None, layout: str) -> Reading | None:
    """Return what a layer of this layout reads in this pass: the argument, else what is bound."""
    reading = given or _BOUND.get()
    return reading if reading is not None and reading.layout == layout else None


@contextmanager
def bound(reading: Reading | None) -> Iterator[None]:
    """Bind a reading to the calls inside, in this thread."""
    token = _BOUND.set(reading)
    try:
        yield
    finally:
        _BOUND.reset(token)


def placed(memory: Memory, weight: Tensor) -> Memory:
    """Return memory on a weight's device and in its dtype; shared keys and values stay shared."""
    keys = memory.keys.to(weight.device, weight.dtype)
    shared = memory.values is memory.keys
    return replace(
        memory,
        keys=keys,
        values=keys if shared else memory.values.to(weight.device, weight.dtype),
        mask=memory.mask.to(weight.device),
        position=memory.position.to(weight.device),
        log_bias=None if memory.log_bias is None else memory.log_bias.to(weight.device),
    )


def places(attention_mask: Tensor, queries: int) -> Tensor:
    """Return position ids `[C, T]` that count visible tokens only, so that a prompt padded on the
    left stands where it stands alone: right after the memory."""
    return (attention_mask.long().cumsum(1) - 1).clamp(min=0)[:, -queries:]


def mass_at(reading: Reading, positions: Tensor) -> Tensor:
    """Return attention mass `[C, S, N]` of the wanted layers, mean over the chosen positions.

    Args:
        positions: columns `[K]`, the same for every row; or True where a token counts, `[C, T]` or
            `[T]`. A row without any gets zeros.
    """
    assert reading.mass is not None
    mass = torch.stack([reading.mass[layer] for layer in sorted(reading.wanted)], dim=1)
    positions = positions.to(mass.device)
    if positions.dtype != torch.bool:
        chosen = torch.zeros(mass.shape[2], dtype=torch.bool, device=mass.device)
        chosen[positions] = True
        positions = chosen
    counted = positions.expand(len(mass), mass.shape[2]).float()
    total = torch.einsum("ct,cstn->csn", counted, mass)
    return total / counted.sum(1)[:, None, None].clamp(min=1)


def focus(mass: Tensor, memory: Memory) -> Tensor:
    """Return weights of layers `[C, S]`, sum 1: how far each layer's mass over documents is from
    even over their slots, as a Kullback-Leibler divergence; equal weights where none is.

    Few layers look anything up: in SmolLM2 two of 30, and a plain mean drowns them
    (docs/benchmarks.md, "Citations by attention mass").

    Args:
        mass: `[C, S, N]`.
    """
    document = memory.document.masked_fill(~memory.mask.to(memory.document.device), -1)
    held = torch.arange(int(document.max()) + 1, device=document.device)
    owner = (document[:, :, None] == held).float().to(mass.device)
    owner = owner.repeat_interleave(len(mass) // len(owner), dim=0)
    even = owner.sum(1, keepdim=True)
    even = even / even.sum(2, keepdim=True).clamp(min=1)
    share = mass[..., 1:] @ owner
    share = share / share.sum(2, keepdim=True).clamp(min=1e-30)
    far = torch.xlogy(share, share) - torch.xlogy(share, even.clamp(min=1e-30))
    far = far.sum(2).clamp(min=0) + 1e-9
    return far / far.sum(1, keepdim=True)
