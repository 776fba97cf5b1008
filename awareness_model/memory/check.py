"""What is broken in a memory: found, named by document, and dropped so that it is encoded again.

`check` reads everything once. `repair` drops what cannot be trusted (records and unreadable files);
its documents are then `missing`, and indexing encodes exactly them. `recover` is for a table whose
last manifest is torn: manifests that cannot be opened are set aside and the last good version
counts. Object stores write whole objects, so `recover` is for folders only.
Not covered: what a crc32 cannot tell (forgery); a snapshots table that was wholly replaced.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from awareness_model.config import UserError
from awareness_model.memory.integrity import Damaged, checksum
from awareness_model.memory.location import local_folder
from awareness_model.memory.record import LOADED
from awareness_model.memory.snapshots import COLUMNS, LIVE, in_lists
from awareness_model.memory.tables import SCAN_ROWS, Table
from awareness_model.memory.upkeep import drop_broken
from awareness_model.schema import SnapshotRow, content_hash

EMPTY = content_hash(b"")
"""The document without bytes; it has no records."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A document that is not whole."""

    content_hash: str
    paths: tuple[str, ...]
    """Where it stands; `repository@sha:path` outside the live tree."""
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    records: int
    """Whole ones."""
    files: dict[str, str]
    """Data files that cannot be read, with the reason."""
    damaged: tuple[Damage, ...]
    absent: tuple[Damage, ...]
    """Documents that a tree names and no record holds: not encoded yet, or lost with a file."""
    lost_commits: dict[str, int]
    """By table, how many of the last commits have no manifest any more."""

    @property
    def good(self) -> bool:
        """Nothing is broken; documents may still wait to be encoded."""
        return not (self.files or self.damaged or self.lost_commits)


def check(records: Table, snapshots: Table) -> Report:
    """Read every record and row, and say what is broken.

    Raises:
        Damaged: a table cannot be opened at all: `recover`.
    """
    for table in (records, snapshots):
        table.broken.clear()
    places: dict[str, list[str]] = defaultdict(list)
    for batch in snapshots.batches(COLUMNS, rows=4096):
        for row in batch.to_pylist():
            places[row["content_hash"]].append(_place(SnapshotRow(**row)))
    whole, reasons, held = _records(records)
    damaged = [_damage(name, places, reason) for name, reason in sorted(reasons.items())]
    absent = sorted(set(places) - held - {EMPTY})
    lost = {one.uri.rsplit("/", 1)[-1]: _lost(one) for one in (records, snapshots)}
    return Report(
        whole,
        {**records.broken, **snapshots.broken},
        tuple(damaged),
        tuple(_damage(name, places, "no record") for name in absent),
        {name: count for name, count in lost.items() if count},
    )


def _damage(name: str, places: Mapping[str, list[str]], reason: str) -> Damage:
    return Damage(name, tuple(sorted(places.get(name, ()))), reason)


def _records(records: Table) -> tuple[int, dict[str, str], set[str]]:
    """Return how many records are whole, why documents are not, and all documents found."""
    whole: Counter[tuple[str, ...]] = Counter()
    chunks: dict[tuple[str, ...], int] = {}
    reasons: dict[str, str] = {}
    for batch in records.batches(LOADED, rows=SCAN_ROWS):
        for row in batch.to_pylist():
            name, made = str(row["content_hash"]), ("layout", "encoder_fingerprint", "pooling")
            one = (name, *(str(row[column]) for column in made))
            if checksum(row) == row["checksum"]:
                whole[one] += 1
                chunks[one] = row["chunks"]
            else:
                reasons[name] = "bytes differ from what was written"
    for one, wanted in chunks.items():
        if whole[one] != wanted:
            reasons.setdefault(one[0], f"{whole[one]} of {wanted} chunks")
    return sum(whole.values()), reasons, {one[0] for one in whole} | reasons.keys()


def _place(row: SnapshotRow) -> str:
    live = (row.repo_id, row.sha) == LIVE
    return row.path if live else f"{row.repo_id}@{row.sha}:{row.path}"


def repair(records: Table, snapshots: Table) -> tuple[str, ...]:
    """Drop unreadable files and damaged documents' records; returns the places of all documents
    that must be indexed again."""
    found = check(records, snapshots)
    for table in (records, snapshots):
        drop_broken(table)
    if found.files:
        found = check(records, snapshots)
    for part in in_lists([one.content_hash for one in found.damaged]):
        records.delete(f"content_hash IN ({part})")
    again = {place for one in (*found.damaged, *found.absent) for place in one.paths}
    return tuple(sorted(again))


def recover(table: Table) -> list[str]:
    """Set aside the newest manifests until the table opens; returns their names, none where it
    opens as it is.

    Raises:
        UserError: the table is not in a folder, or no version of it opens.
    """
    aside: list[str] = []
    while True:
        try:
            table.found()
            return aside
        except Damaged:
            folder = local_folder(table.uri)
            if folder is None or not (left := _manifests(folder)):
                raise UserError(
                    f"no version of {table.uri} opens: index into a new memory"
                ) from None
            left[0].rename(left[0].with_name(f"{left[0].name}.torn"))
            aside.append(left[0].name)


def _manifests(folder: Path) -> list[Path]:
    """Return manifests, newest first: their names count down from 2^64 - 1."""
    return sorted((folder / "_versions").glob("*.manifest"))


def _lost(table: Table) -> int:
    """Return by how much Lance's note of the last version is ahead of the last manifest."""
    folder = local_folder(table.uri)
    note = None if folder is None else folder / "_versions" / "latest_version_hint.json"
    if note is None or not note.is_file():
        return 0
    try:
        noted = int(json.loads(note.read_bytes())["version"])
    except (ValueError, KeyError, TypeError):
        return 0
    return max(0, noted - table.number())
