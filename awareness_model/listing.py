"""What a memory holds, as rows for machines and lines for people: documents with sizes and ages,
scopes by name and by folder, versions, and what garbage collection freed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from awareness_model.config import UserError
from awareness_model.memory.store import LatentMemoryStore

Row = dict[str, Any]
UNITS = ("B", "KB", "MB", "GB", "TB")


def documents(store: LatentMemoryStore, scope: str = "**") -> list[Row]:
    """Return the documents of a scope.

    Raises:
        UserError: it matches nothing in a memory that holds something.
    """
    found = store.listing(scope)
    if not found and store.documents():
        raise UserError(
            f"scope {scope!r} matches nothing in this memory: `awareness memory scopes` names some"
        )
    return [
        {
            "path": one.path,
            "scope": one.scope,
            "chunks": one.records,
            "tokens": one.tokens,
            "bytes": one.bytes,
            "written": _when(one.written),
        }
        for one in found
    ]


def scopes(store: LatentMemoryStore) -> list[Row]:
    """Return the named scopes, and each folder as a glob, with their numbers of documents."""
    named = [{"scope": name, "documents": count} for name, count in store.scopes().items()]
    folders: Counter[str] = Counter()
    for path in store.documents("repository"):
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    globs = [{"scope": f"{name}/**", "documents": n} for name, n in sorted(folders.items())]
    return [*named, *globs]


def versions(store: LatentMemoryStore) -> list[Row]:
    """Return the versions that can be read or gone back to, oldest first."""
    return [
        {
            "version": one.number,
            "written": one.written.strftime("%Y-%m-%d %H:%M:%S"),
            "documents": one.paths,
        }
        for one in store.versions()
    ]


def collect(store: LatentMemoryStore, hours: float) -> list[Row]:
    """Merge small files, bring the indices up to date (a large memory's routing vectors get one),
    and remove what no version younger than so many hours needs; return what went.

    Raises:
        UserError: a negative age.
    """
    if not 0 <= hours <= 1e6:
        raise UserError("--older-than is a number of hours, 0 or more")
    age = timedelta(hours=hours)
    store.compact()  # first: the files it replaces may be old enough to go
    done = store.collect_garbage(age)
    return [{"records": done.records, "versions": done.versions, "bytes": done.bytes}]


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as a table; control characters in names are escaped."""
    if not rows:
        return ["the memory is empty"]
    table = [list(rows[0]), *([_cell(name, row[name]) for name in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def size(count: int) -> str:
    """Return bytes for people: `12.3 MB`."""
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{count} B"


def _cell(name: str, value: Any) -> str:
    if name == "bytes":
        return size(value)
    return str(value) if str(value).isprintable() else repr(value)


def _when(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
