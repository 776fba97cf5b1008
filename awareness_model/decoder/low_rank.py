"""Low-rank corrections of self-attention that act only while memory is read (phase B of training).

    y = W·x + B·(A·x)      A: r × in, random; B: out × r, zero at start

in the query, key, value and output projections of the upper half of the layers (LoRA, arXiv
2106.09685; reference/model.md, section 2.10). B is zero at first, so nothing changes until it is
trained. Without memory they stay out of the way, trained or not: the base model is then itself,
bit for bit, for users, for the control `none`, and where it encodes documents.

Memory reaches attention as a keyword argument, or bound to a generation (`prepared`); the wrapper
around attention tells its projections, also where activations are computed again. Limits: latent
layout; never merged into the base, since a merged one could not be left out without memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import torch
from torch import Tensor, nn

from awareness_model.decoder.prepared import Reading, current

PROJECTIONS: Final = ("q_proj", "k_proj", "v_proj", "o_proj")
MARK: Final = ".low_rank."
"""What names of these parameters have in them."""

_READING: ContextVar[bool] = ContextVar("awareness_low_rank", default=False)


class Pair(nn.Module):
    """B·A, zero at start."""

    def __init__(self, linear: nn.Linear, rank: int, seed: int) -> None:
        super().__init__()
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)
        draw = torch.Generator().manual_seed(seed)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5, generator=draw)
        nn.init.zeros_(self.up.weight)
        self.to(linear.weight.device, linear.weight.dtype)

    def forward(self, states: Tensor) -> Tensor:
        """Return what is to be added."""
        corrected: Tensor = self.up(self.down(states))
        return corrected


class Corrected(nn.Module):
    """A linear map, corrected while memory is read."""

    def __init__(self, linear: nn.Linear, rank: int, seed: int) -> None:
        super().__init__()
        self.linear, self.low_rank = linear, Pair(linear, rank, seed)

    def __getattr__(self, name: str) -> Any:
        """What is looked for on the map (`weight`, `in_features`) is the map's own."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("linear"), name)

    def forward(self, states: Tensor) -> Tensor:
        """Apply the map."""
        made: Tensor = self.linear(states)
        return made + self.low_rank(states) if _READING.get() else made


class CorrectedAttention(nn.Module):
    """Self-attention whose projections are told whether memory is read."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def __getattr__(self, name: str) -> Any:
        """What is looked for on attention is its own."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("attention"), name)

    def forward(self, *args: Any, memory: Reading | None = None, **kwargs: Any) -> Any:
        """Run attention; returns what it returns."""
        with _told(current(memory, "latent") is not None):
            return self.attention(*args, **kwargs)


@contextmanager
def _told(reading: bool) -> Iterator[None]:
    token = _READING.set(reading)
    try:
        yield
    finally:
        _READING.reset(token)


def install(layers: Any, rank: int) -> None:
    """Put corrections into the upper half of decoder layers, wrapped ones too, in place."""
    for number in range(len(layers) // 2, len(layers)):
        layer = getattr(layers[number], "layer", layers[number])
        attention = layer.self_attn
        for place, name in enumerate(PROJECTIONS):
            seed = number * len(PROJECTIONS) + place
            setattr(attention, name, Corrected(getattr(attention, name), rank, seed))
        layer.self_attn = CorrectedAttention(attention)
