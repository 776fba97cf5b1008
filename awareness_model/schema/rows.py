"""Rows as JSON lines: how any row of this package is written and read.

A row's JSON form is the dict of its fields; lists come back as tuples, and dicts as the rows that
their field promises. Files appear whole or not at all. Limits: the fields that hold rows are listed
here by name; nothing checks the type of a plain value.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from awareness_model.schema.asking import ManifestEntry, SourceFile
from awareness_model.schema.audit import Reading

RowT = TypeVar("RowT")


def to_json(row: Any) -> str:
    """Return a row (dataclass instance) as one line of JSON, keys in field order."""
    return json.dumps(dataclasses.asdict(row), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[RowT], line: str) -> RowT:
    """Read one JSON line as a row of `kind`. Raises ValueError naming what is missing or new."""
    found = json.loads(line)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(found, dict) or (extra := set(found) - known):
        raise ValueError(f"not a {kind.__name__}: unexpected {sorted(extra) if found else found!r}")
    try:
        row = kind(**found)
    except TypeError as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from None
    return _nested(row)


def _nested(row: RowT) -> RowT:
    """Lists become tuples, and dicts inside become the rows that their field promises."""
    inner: dict[str, Any] = {
        "files": SourceFile,
        "manifest": ManifestEntry,
        "readings": Reading,
        "student_file": SourceFile,
    }
    for field in fields(row):  # type: ignore[arg-type]
        value, kind = getattr(row, field.name), inner.get(field.name)
        if isinstance(value, list):
            rows = tuple(
                _nested(kind(**item)) if kind else tuple(item) if isinstance(item, list) else item
                for item in value
            )
            object.__setattr__(row, field.name, rows)
        elif kind and isinstance(value, dict):
            object.__setattr__(row, field.name, kind(**value))
    return row


def write_atomic(path: Path, data: bytes) -> None:
    """Write aside, fsync, rename: readers see the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    with aside.open("wb") as file:
        write_through(file, data)
    aside.replace(path)


def write_through(file: BinaryIO, data: bytes) -> None:
    """Write to the disk itself: what was written outlives a kill."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file that is only appended to, none without a file. A torn last line,
    left by a kill, is cut off, so that the next one begins where it began."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return data[:whole].split(b"\n")[:-1]


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON lines, atomically."""
    write_atomic(path, "".join(to_json(row) + "\n" for row in rows).encode())


def read_rows(kind: type[RowT], path: Path) -> Iterator[RowT]:
    """Read JSON lines as rows of `kind`. Raises ValueError naming the file and line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield from_json(kind, line.decode())
            except ValueError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from None
