"""One memory record: its identity, its columns, and how it is loaded.

A record is one encoded chunk, addressed by what it is made of (`record_id`); the path is not part
of it. `checksum`: see `integrity`. `written` (microseconds, UTC) only protects fresh records from
garbage collection.
Shapes: see `awareness_model.memory.batch`; tensors as bytes: `awareness_model.memory.payload`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import torch
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.memory.batch import Slots
from awareness_model.memory.integrity import Damaged, checksum
from awareness_model.memory.payload import from_bytes, to_bytes
from awareness_model.schema import digest

PAYLOAD = ("K", "V", "scale", "route")
"""The columns that hold tensors."""


class Encoding(Slots, Protocol):
    """What an encoder gives for one chunk."""

    @property
    def route(self) -> Tensor | None:
        """Routing vector, `[d]`, float32, length 1; None: no selector finds the document."""

    @property
    def tokens(self) -> int:
        """Tokens of the chunk."""

    @property
    def span(self) -> tuple[int, int]:
        """Characters of the document."""


@dataclass(frozen=True, slots=True)
class Record:
    """A loaded record; `values` None means that the keys are the values. Tensors may be shared with
    the store's hot rows: they are read, never changed in place."""

    record_id: str
    content_hash: str
    layout: str
    level: int
    span: tuple[int, int]
    tokens: int
    keys: Tensor
    values: Tensor | None
    route: Tensor | None
    dtype: str
    """How it is stored."""

    @property
    def value_slots(self) -> Tensor:
        """The values, also where they are the keys."""
        return self.keys if self.values is None else self.values

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        held = (self.keys, self.values, self.route)
        return sum(one.numel() * one.element_size() for one in held if one is not None)


@dataclass(frozen=True, slots=True)
class Held:
    """A record without its tensors."""

    record_id: str
    content_hash: str
    tokens: int
    bytes: int


def record_id(
    content_hash: str, fingerprint: str, layout: str, pooling: int, span: tuple[int, int]
) -> str:
    """Return the blake2b that names a record."""
    return digest(content_hash, fingerprint, layout, str(pooling), f"{span[0]}:{span[1]}")


def schema(route_size: int) -> pa.Schema:
    """Return the table's columns; Lance takes `record_id` for its key, so that two processes that
    write the same record at once leave it once."""
    key = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False, metadata=key),
            ("content_hash", pa.string()),
            ("encoder_fingerprint", pa.string()),
            ("layout", pa.string()),
            ("level", pa.int32()),
            ("parent", pa.string()),
            ("span_start", pa.int32()),
            ("span_end", pa.int32()),
            ("pooling", pa.int32()),
            ("tokens", pa.int32()),
            ("chunks", pa.int32()),
            ("bytes", pa.int64()),
            ("K", pa.large_binary()),
            ("V", pa.large_binary()),
            ("shape", pa.list_(pa.int32())),
            ("dtype", pa.string()),
            ("scale", pa.large_binary()),
            ("route", pa.list_(pa.float32(), route_size)),
            ("checksum", pa.int64()),
            ("written", pa.int64()),
        ]
    )


LOADED = tuple(one for one in schema(1).names if one not in ("parent", "bytes", "written"))
"""The columns a record is made from."""


def pack(
    content_hash: str,
    encodings: Sequence[Encoding],
    layout: str,
    fingerprint: str,
    pooling: int,
    dtype: str,
) -> list[dict[str, Any]]:
    """Return one row per encoded chunk of a document; a missing column is null (`written` is the
    store's to fill).

    Raises:
        UserError: a tensor holds NaN or infinity.
    """
    rows = []
    for encoding in encodings:
        try:
            keys, scale = to_bytes(encoding.keys, dtype)
            values, more = (None, b"")
            if encoding.values is not None:
                values, more = to_bytes(encoding.values, dtype)
        except ValueError as error:
            raise UserError(f"document {content_hash[:16]} was not stored: {error}") from None
        row = {
            "record_id": record_id(content_hash, fingerprint, layout, pooling, encoding.span),
            "content_hash": content_hash,
            "encoder_fingerprint": fingerprint,
            "layout": layout,
            "level": 0,
            "span_start": encoding.span[0],
            "span_end": encoding.span[1],
            "pooling": pooling,
            "tokens": encoding.tokens,
            "chunks": len(encodings),
            "bytes": len(keys) + len(values or b"") + len(scale) + len(more),
            "K": keys,
            "V": values,
            "shape": list(encoding.keys.shape),
            "dtype": dtype,
            "scale": scale + more or None,
            "route": None if encoding.route is None else encoding.route.float().tolist(),
        }
        rows.append({**row, "checksum": checksum(row)})
    return rows


def unpack(row: Mapping[str, Any]) -> Record:
    """Return the record of a row.

    Raises:
        Damaged: the row is not what was written.
    """
    if checksum(row) != row["checksum"]:
        raise Damaged(
            f"record {row['record_id']} of document {row['content_hash'][:16]} is damaged: "
            "`check()` names all that are, `repair()` drops them, then index again"
        )
    shape, dtype, scale = row["shape"], row["dtype"], row["scale"] or b""
    middle = len(scale) if row["V"] is None else len(scale) // 2
    return Record(
        row["record_id"],
        row["content_hash"],
        row["layout"],
        row["level"],
        (row["span_start"], row["span_end"]),
        row["tokens"],
        from_bytes(row["K"], scale[:middle], shape, dtype),
        None if row["V"] is None else from_bytes(row["V"], scale[middle:], shape, dtype),
        None if row["route"] is None else torch.tensor(row["route"]),
        dtype,
    )
