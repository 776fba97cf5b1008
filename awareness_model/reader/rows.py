"""Rows to learn from: a prompt with the tokens that count, and the documents that may be read.

A shelf holds encoded documents by name, in bfloat16: they are encoded once and never change.
Limits: one prompt per row, right-padded; documents must fit the decoder that reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from awareness_model.encoder import ContextEncoder
from awareness_model.memory.batch import Memory, collate

Document: TypeAlias = Sequence["Held"]
Shelf: TypeAlias = Mapping[str, Document]

CODE = "remote"
"""Kind of a row that is a line of a package, among its documents."""
CONTEXT = 8
"""Tokens at a row's beginning that foretell too little to count."""


@dataclass(frozen=True, slots=True)
class Held:
    """One encoded chunk: keys before RoPE and values, `[n, L, G, D]`, bfloat16."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt with its answers."""

    kind: str
    ids: tuple[int, ...]
    answers: tuple[tuple[int, int], ...]
    """Tokens that count, as ranges of `ids`, one for each answer."""
    visible: tuple[str, ...]
    """Names of documents on the shelf, in any order."""
    gold: frozenset[str] = frozenset()
    is_harmless: bool = False
    """Nothing in memory helps: the reader is to write what the base model writes without it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as tensors."""

    ids: Tensor
    mask: Tensor
    rows: Tensor
    """Row of each token that counts, `[K]`."""
    places: Tensor
    """Where the hidden state that foretells it stands, `[K]`."""
    targets: Tensor
    memory: Memory


def encoded(
    encoder: ContextEncoder, texts: Mapping[str, str], suffix: str = ".py"
) -> dict[str, list[Held]]:
    """Return documents encoded in the kv layout, by name."""
    shelf = {}
    for name, text in texts.items():
        chunks = encoder.encode([text], "kv", [suffix])[0]
        shelf[name] = [held(one.keys, one.values) for one in chunks]
    return shelf


def held(keys: Tensor, values: Tensor | None) -> Held:
    """Return a chunk as it lies on the shelf."""
    assert values is not None
    return Held(keys.bfloat16(), values.bfloat16())


def batch(rows: Sequence[Row], shelf: Shelf, pad: int) -> Batch:
    """Return rows padded on the right, with their memory."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([[*row.ids, *[pad] * (longest - len(row.ids))] for row in rows])
    mask = torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows])
    counted = [
        (number, place)
        for number, row in enumerate(rows)
        for begin, end in row.answers
        for place in range(begin, end)
    ]
    number, place = torch.tensor(counted).T
    memory = collate([[shelf[name] for name in row.visible] for row in rows])
    return Batch(ids, mask, number, place - 1, ids[number, place], memory)


def uncounted(made: Batch) -> tuple[Tensor, Tensor]:
    """Return rows and places from which no token that counts is foretold."""
    rest = made.mask.bool()
    rest[:, :CONTEXT] = False
    rest[made.rows, made.places] = False
    rows, places = rest.nonzero().unbind(1)
    return rows, places


def shuffled(rows: Sequence[Row]) -> list[Row]:
    """Return rows that read their neighbour's documents: the control of every training."""
    return [
        replace(row, visible=rows[(n + 1) % len(rows)].visible, gold=frozenset())
        for n, row in enumerate(rows)
    ]
