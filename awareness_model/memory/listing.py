"""What a scope holds, put together from its rows and records: a listing with sizes, and one pair of
tensors for all of it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.memory.record import Record

BY_HAND = "by-hand"
"""The encoder fingerprint of documents added by hand, whose encoder is not known."""

SIZES = ("content_hash", "tokens", "bytes")


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a tree, with what its records hold, all encodings together."""

    path: str
    content_hash: str
    scope: str
    acl: str
    written: int
    """When the row was last changed, microseconds UTC."""
    records: int
    tokens: int
    bytes: int


def entries(rows: Sequence[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Return the documents of snapshot rows with the sizes of their records."""
    sizes: dict[str, Counter[str]] = {row["content_hash"]: Counter() for row in rows}
    for one in records:
        sizes[one["content_hash"]].update(records=1, tokens=one["tokens"], bytes=one["bytes"])
    return [Entry(**row, **_sum(sizes[row["content_hash"]])) for row in rows]


def _sum(sizes: Counter[str]) -> dict[str, Any]:
    return {name: sizes[name] for name in ("records", "tokens", "bytes")}


def choose(
    scope: str, held: Collection[tuple[str, str]], layout: str | None, fingerprint: str | None
) -> list[tuple[str, str]]:
    """Return the encodings (layout, fingerprint) of a scope to read: one encoder's, with documents
    added by hand.

    Raises:
        UserError: there is none, or several layouts or encoders and none is named.
    """
    found = sorted(
        (one, mark)
        for one, mark in held
        if layout in (None, one) and (mark == BY_HAND or fingerprint in (None, mark))
    )
    if not found:
        raise UserError(f"scope {scope!r} holds no document that is in memory: see `documents`")
    if len({one for one, _ in found}) > 1:
        raise UserError(f"scope {scope!r} holds both layouts: name one (layout=)")
    if len({mark for _, mark in found} - {BY_HAND}) > 1:
        raise UserError(f"scope {scope!r} holds several encoders: name one (fingerprint=)")
    return found


def joined(scope: str, records: Sequence[Record]) -> tuple[Tensor, Tensor]:
    """Return the keys and values of records, one after the other; one tensor where all values are
    the keys.

    Raises:
        UserError: the records' slots have different shapes.
    """
    shapes = {tuple(record.keys.shape[1:]) for record in records}
    if len(shapes) > 1:
        raise UserError(f"scope {scope!r} holds slots of different shapes {sorted(shapes)}")
    keys = torch.cat([record.keys for record in records])
    if all(record.values is None for record in records):
        return keys, keys
    return keys, torch.cat([record.value_slots for record in records])
