"""Versions of a memory: pins, rollback and garbage collection.

The version of a memory is that of its snapshots table; records never change, so any version of the
trees can be read with the records of today, as long as garbage collection leaves what a kept
version names. That is its rule: a record goes when no version that stays names it and it was
written before the cutoff. A pin is a Lance tag on both tables, so that Lance keeps the files of
both; it carries the time it ends, for readers that die. Times are the writing machines' clocks.

Two writers and a collector: who names a record that no tree names now, and that is old, first marks
it as fresh (`claim`); the collector's delete looks at that mark in the same commit. So nothing is
lost as long as a writer names its records within the cutoff (default a day) of writing or claiming
them. A cutoff of zero is for one process alone.

Lance lists tags by reading a file each, and fails where one leaves between the two ("Not found:
…/_refs/tags/…"; three processes that pin and clean met it in one of ten listings): what lists them
is tried again.
"""

import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from awareness_model.config import UserError
from awareness_model.memory.conflicts import Conflict, ResultT, retried
from awareness_model.memory.snapshots import hashes_named, in_lists
from awareness_model.memory.tables import TORN, Table, files_of
from awareness_model.memory.upkeep import keep_up

KEEP = timedelta(days=1)
"""Younger versions and records are not collected unless asked."""
HOLD = timedelta(hours=1)
"""A pin that nobody gave back ends after this."""
FRESH_US = 3600 * 10**6
"""A record written or claimed so recently needs no claim, in microseconds."""


@dataclass(frozen=True, slots=True)
class Version:
    """A state of the memory that can be read or gone back to."""

    number: int
    written: datetime
    """UTC."""
    paths: int
    """Rows of all trees."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection removed."""

    records: int
    versions: int
    bytes: int
    """Freed on disk."""


def list_versions(snapshots: Table) -> list[Version]:
    """Return the versions that are kept, oldest first; upkeep makes some that differ in nothing."""
    table = snapshots.found()
    return [] if table is None else [_version(one) for one in table.versions()]


def _version(one: dict[str, Any]) -> Version:
    written = one["timestamp"].astimezone(UTC)
    return Version(int(one["version"]), written, int(one["metadata"].get("total_rows", 0)))


def at_version(snapshots: Table, version: int) -> Table:
    """Return the snapshots as they were.

    Raises:
        UserError: there is no such version (any more).
    """
    kept = [one.number for one in list_versions(snapshots)]
    if version not in kept:
        told = f"{kept[0]} to {kept[-1]} are kept" if kept else "the memory is empty"
        raise UserError(f"no version {version} of this memory: {told}")
    return snapshots.at(version)


@contextmanager
def pinned(
    records: Table, snapshots: Table, version: int | None, hold: timedelta
) -> Iterator[tuple[Table, Table]]:
    """Give both tables at one state that no collector takes away meanwhile: the snapshots first,
    the records after, so that every path has its records."""
    trees = _now(snapshots) if version is None else at_version(snapshots, version)
    with _tagged(trees, hold), _tagged(chunks := _now(records), hold):
        yield chunks, trees


def _now(table: Table) -> Table:
    number = table.number()
    return table.at(number) if number else table


@contextmanager
def _tagged(table: Table, hold: timedelta) -> Iterator[None]:
    """Tag a version; a table that is not there yet has none to tag."""
    held = table.found()
    if held is None:
        yield
        return
    until = int((datetime.now(UTC) + hold).timestamp())
    name = f"pin-{until}-{uuid.uuid4().hex}"
    held.tags.create(name, held.version)
    try:
        yield
    finally:
        _drop(held, name)


def _drop(held: Any, name: str) -> None:
    """Delete a tag, unless it is gone already: a collector drops those that have ended."""
    try:
        held.tags.delete(name)
    except ValueError as error:
        if "does not exist" not in str(error) and not _is_gone(error):
            raise


def _tags(held: Any) -> dict[str, Any]:
    """Return the tags by name."""
    return _settled(lambda: dict(held.tags.list()))


def _settled(look: Callable[[], ResultT]) -> ResultT:
    """Run what lists the tags, again as long as another takes one away meanwhile."""

    def once() -> ResultT:
        try:
            return look()
        except TORN as error:
            if _is_gone(error):
                raise Conflict(str(error)) from None
            raise

    return retried(once)


def _is_gone(error: Exception) -> bool:
    return "Not found" in str(error) and "/_refs/tags/" in str(error)


def unpin(table: Table, every: bool = False) -> None:
    """Drop the pins that have ended, or all of them."""
    if (held := table.found()) is None:
        return
    now = datetime.now(UTC).timestamp()
    for name in _tags(held):
        if name.startswith("pin-") and (every or int(name.split("-")[1]) < now):
            _drop(held, name)


def rollback(snapshots: Table, version: int) -> None:
    """Make an earlier version the newest one; the versions in between stay, and it can be undone.

    Raises:
        UserError: there is no such version.
    """
    table = at_version(snapshots, version).found()
    assert table is not None
    table.restore()


def claim(records: Table, snapshots: Table, hashes: Collection[str], now: int) -> None:
    """Mark as fresh the records of documents that no tree names and that a collector might take."""
    old = {
        row["content_hash"]
        for part in in_lists(hashes)
        for row in records.rows(
            ["content_hash"], f"written < {now - FRESH_US} AND content_hash IN ({part})"
        )
    }
    for part in in_lists(old - hashes_named(snapshots, old)):
        records.update({"written": str(now)}, f"content_hash IN ({part})")


def collect(records: Table, snapshots: Table, older_than: timedelta) -> Collected:
    """Remove records that no kept version names, and versions older than an age.

    What the current state or a pin needs stays, whatever the age.
    """
    cutoff = datetime.now(UTC) - older_than
    for table in (snapshots, records):
        unpin(table)
    named = _named(snapshots, cutoff)
    before = int(cutoff.timestamp() * 10**6)
    held = {row["content_hash"] for row in records.rows(["content_hash"], f"written < {before}")}
    gone = sum(
        records.delete(f"written < {before} AND content_hash IN ({part})")
        for part in in_lists(held - named)
    )
    stats = [_clean(table, older_than, bool(gone)) for table in (snapshots, records)]
    return Collected(gone, sum(one[0] for one in stats), sum(one[1] for one in stats))


def _clean(table: Table, older_than: timedelta, rewrite: bool) -> tuple[int, int]:
    """Remove old versions; `rewrite`: deleted rows leave the disk with them."""
    keep_up(table, always=rewrite)
    if (held := table.found()) is None:
        return 0, 0
    stats = _settled(
        lambda: held.cleanup_old_versions(older_than, error_if_tagged_old_versions=False)
    )
    return stats.old_versions, stats.bytes_removed


def _named(snapshots: Table, cutoff: datetime) -> set[str]:
    """Return the documents that some version names which will be kept: the last, younger ones and
    pinned ones. A part of the table that two versions share is read once."""
    if (table := snapshots.found()) is None:
        return set()
    tagged = {tag["version"] for tag in _tags(table).values()}
    named: set[str] = set()
    seen: set[tuple[object, ...]] = set()
    for version in list_versions(snapshots):
        if version.number == table.version or version.number in tagged or version.written > cutoff:
            for fragment in snapshots.at(version.number).found().get_fragments():  # type: ignore[union-attr]
                state = (*files_of(fragment), fragment.deletion_file())
                if state not in seen:
                    seen.add(state)
                    rows = fragment.scanner(columns=["content_hash"]).to_table()
                    named |= set(rows["content_hash"].to_pylist())
    return named


def purge(table: Table) -> None:
    """Rewrite what holds deleted rows, and remove every version but the last, pinned ones too."""
    unpin(table, every=True)
    keep_up(table, always=True)
    if (held := table.found()) is not None:
        held.cleanup_old_versions(timedelta(0), delete_unverified=True)
