"""A batch of visible memory: the slots that each row of a batch may read, padded to one length.

Shapes: B rows, M slots (one per token, or per p pooled tokens), S reading layers stored, L layers,
G key/value heads, D head_dim, E latent size. Latent slots are `[B, M, S, E]` (S = 1: one state for
every reading layer); kv slots are `[B, M, L, G, D]`, keys before RoPE.

A Memory is immutable and given to a forward pass explicitly; nothing holds on to it afterwards.

The order of documents never matters to a reader; so that it does not matter to rounding either,
`collate` lays them in an order of their content, and the same documents give the same bits however
they are given. `document` tells which is which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from awareness_model.pooling import pooled

TOLD_BY: Final = 64
"""Numbers at the end of a chunk's last slot that tell documents apart: of the last layer that is
stored, which has seen the whole chunk."""


class Slots(Protocol):
    """What one encoded chunk gives: keys `[n, …]`, and values or None where they are the keys."""

    @property
    def keys(self) -> Tensor:
        """Keys, slots first."""

    @property
    def values(self) -> Tensor | None:
        """Values, slots first; None: the same as the keys."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Visible slots of B rows; the order of slots never matters to a reader."""

    keys: Tensor
    values: Tensor
    mask: Tensor
    """True where a slot is visible, `[B, M]`."""
    document: Tensor
    """Index of the slot's document within its row, −1 on padding, `[B, M]`."""
    position: Tensor
    """Place of the slot within its independently encoded chunk, from 1; 0 on padding, `[B, M]`."""
    log_bias: Tensor | None = None
    """A selector's preference, added to the reader's logits, `[B, M]`."""

    @property
    def layout(self) -> str:
        """`latent` or `kv`, told by the number of dimensions."""
        return "latent" if self.keys.dim() == 4 else "kv"

    def for_batch(self, rows: int) -> "Memory":
        """Return the memory for `rows` rows: each row repeated for its beams or samples.

        Raises:
            ValueError: `rows` is no multiple of this memory's rows.
        """
        held = len(self.mask)
        if rows == held:
            return self
        if rows % held:
            raise ValueError(f"memory of {held} rows for a batch of {rows}")

        def repeat(tensor: Tensor) -> Tensor:
            return tensor.repeat_interleave(rows // held, dim=0)

        return Memory(
            repeat(self.keys),
            repeat(self.values),
            repeat(self.mask),
            repeat(self.document),
            repeat(self.position),
            None if self.log_bias is None else repeat(self.log_bias),
        )


def from_slots(keys: Tensor, values: Tensor, layout: str) -> Memory:
    """Return a Memory of one document per row: the user's `memory_key=`, `memory_value=` form.

    Args:
        keys, values: one document's slots (`[M, S, E]` or `[M, L, G, D]`), or a batch of them with
            a leading B.
        layout: `latent` or `kv`, the layout of the decoder that reads.

    Raises:
        ValueError: the shapes do not fit the layout.
    """
    dims = 4 if layout == "latent" else 5
    keys, values = (t[None] if t.dim() == dims - 1 else t for t in (keys, values))
    if keys.dim() != dims or keys.shape != values.shape:
        raise ValueError(
            f"{layout} memory has {dims - 1} dimensions, and keys like values: "
            f"got {tuple(keys.shape)} and {tuple(values.shape)}"
        )
    rows, slots = keys.shape[:2]
    full = torch.ones(rows, slots, dtype=torch.bool, device=keys.device)
    place = torch.arange(1, slots + 1, device=keys.device).expand(rows, -1)
    return Memory(keys, values, full, torch.zeros_like(place), place)


def collate(
    rows: Sequence[Sequence[Sequence[Slots]]],
    log_bias: Sequence[Sequence[float]] | None = None,
    dtype: torch.dtype = torch.float32,
    pooling: int = 1,
) -> Memory:
    """Pad rows of documents of chunks into one Memory, a row's slots in the order of `laid`.

    Args:
        rows: for each row its visible documents, each a sequence of chunks. A row may be empty.
            `Memory.document` numbers them as they are given here.
        log_bias: for each row one number per document.
        pooling: slots of a chunk that are read as one, their mean: what an encoder of that pooling
            would have given, where these slots are tokens (`latent` only: kv keys have places).

    Raises:
        ValueError: no row has any slot, or slots of different shapes are mixed.
    """
    if pooling > 1:
        rows = [[[_Pooled.of(c, pooling) for c in one] for one in row] for row in rows]
    chunks = [(r, d, c) for r, row in enumerate(rows) for d in laid(row) for c in row[d]]
    shapes = {tuple(chunk.keys.shape[1:]) for _, _, chunk in chunks}
    if len(shapes) != 1:
        raise ValueError(f"one shape of slots is needed, found {sorted(shapes)}")
    filled = [0] * len(rows)
    places = []
    for row, _, chunk in chunks:
        places.append(slice(filled[row], filled[row] + len(chunk.keys)))
        filled[row] += len(chunk.keys)
    memory = _empty(len(rows), max(filled), shapes.pop(), dtype, shared=_shared(chunks))
    bias = torch.zeros(memory.mask.shape) if log_bias is not None else None
    for (row, document, chunk), place in zip(chunks, places, strict=True):
        memory.keys[row, place] = chunk.keys.to(dtype)
        if memory.values is not memory.keys:
            memory.values[row, place] = (chunk.keys if chunk.values is None else chunk.values).to(
                dtype
            )
        memory.mask[row, place] = True
        memory.document[row, place] = document
        memory.position[row, place] = torch.arange(1, len(chunk.keys) + 1)
        if bias is not None and log_bias is not None:
            bias[row, place] = log_bias[row][document]
    return Memory(memory.keys, memory.values, memory.mask, memory.document, memory.position, bias)


def laid(documents: Sequence[Sequence[Slots]]) -> list[int]:
    """Return the numbers of documents in an order of their content, whatever order they are in."""
    return sorted(range(len(documents)), key=lambda one: _told_by(documents[one]))


def _told_by(document: Sequence[Slots]) -> list[list[float]]:
    ends = [chunk.keys[-1:].flatten()[-TOLD_BY:].tolist() for chunk in document]
    return [*ends, [sum(len(chunk.keys) for chunk in document)]]


@dataclass(frozen=True, slots=True)
class _Pooled:
    """A chunk of fewer slots."""

    keys: Tensor
    values: Tensor | None

    @classmethod
    def of(cls, chunk: Slots, tokens: int) -> "_Pooled":
        values = None if chunk.values is None else pooled(chunk.values, tokens)
        return cls(pooled(chunk.keys, tokens), values)


def _shared(chunks: Sequence[tuple[int, int, Slots]]) -> bool:
    return all(chunk.values is None for _, _, chunk in chunks)


def _empty(
    rows: int, slots: int, shape: tuple[int, ...], dtype: torch.dtype, shared: bool
) -> Memory:
    keys = torch.zeros(rows, slots, *shape, dtype=dtype)
    whole: dict[str, Any] = {"dtype": torch.long}
    return Memory(
        keys,
        keys if shared else torch.zeros_like(keys),
        torch.zeros(rows, slots, dtype=torch.bool),
        torch.full((rows, slots), -1, **whole),
        torch.zeros(rows, slots, **whole),
    )
