"""What every backend of the encoder gives, and what it is asked for.

A chunk is read alone on a CPU: its floats then depend on nothing but itself, whatever else a run
holds, and padding costs more there than a batch gains (docs/benchmarks.md). Accelerators get padded
batches. Limits: a backend encodes chunks it is given; it never cuts or orders documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from awareness_model.chunk import Chunk
from awareness_model.config import UserError

CPU_BATCH, ACCELERATOR_BATCH = 1, 16
TRAINING_BATCH = 64
"""Chunks read at a time where gradients are kept: floats need not be those of a chunk alone."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded chunk."""

    keys: Tensor
    """kv `[n, L, G, D]`, latent `[⌈n/p⌉, S, d]`, in the model's dtype."""
    values: Tensor | None
    """Like the keys; None: the same as the keys."""
    route: Tensor
    """`[d]`, float32, length 1."""
    tokens: int
    span: tuple[int, int]
    """Characters of the document."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The routing vector of one chunk, `[d]`, float32, length 1."""

    route: Tensor
    tokens: int
    span: tuple[int, int]
    """Characters of the document."""


class Backend(Protocol):
    """A body that reads chunks.

    Attributes: `batch`: chunks it reads at a time; `longest`: tokens of its longest chunk.
    """

    model: Any
    tokenizer: Any
    batch: int
    longest: int

    def encode(self, chunks: Sequence[Chunk], layouts: Sequence[str]) -> dict[str, list[Encoded]]:
        """Return the encoded chunks by layout. Raises UserError for a layout it cannot give."""

    def routes(self, chunks: Sequence[Chunk]) -> list[Tensor]:
        """Return the chunks' routing vectors, `[d]` each."""

    def query_route(self, ids: Sequence[int]) -> Tensor:
        """Return the routing vector of a prompt, `[d]`."""


def sink_token(tokenizer: Any, config: Any) -> int:
    """Return the token every document stands behind: BOS, else the model's, else EOS.

    Raises:
        UserError: there is none.
    """
    for found in (tokenizer.bos_token_id, config.bos_token_id, tokenizer.eos_token_id):
        if found is not None:
            return int(found)
    raise UserError("the model has neither a BOS nor an EOS token")


def batch_of(model: Any) -> int:
    """Return how many chunks a model reads at a time."""
    return CPU_BATCH if model.device.type == "cpu" else ACCELERATOR_BATCH


def padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, `[B, T]`, padded on the right."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids.to(device), mask.to(device)
