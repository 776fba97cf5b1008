"""Curation by workers on many machines: what is brought before, and what is sent after.

Facts of every shard are wanted, and the ledger of sides; whoever finds them behind makes them, and
the others wait for that. Records of partitions say whether anything is behind, so a worker that
finds all done brings its own shard alone. What was said of repositories (`index.py`) is sent as
files, with the state of what that was made of last.

Limits: the one worker that compares all commits brings the facts of all shards.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from awareness_model.schema import digest
from awareness_pipeline import store
from awareness_pipeline.artifacts import Place, Record, read_record
from awareness_pipeline.curation.index import LEDGER, STATE, VERDICTS
from awareness_pipeline.parcels import Damaged

__all__ = ["bring_index", "content_of", "facts_are_current", "read_by", "send_index"]

_SIDES, _SAID = "sides", "verdicts"


def bring_index(home: Place, partition: str) -> None:
    """Bring the sides of all repositories, and what was said of those of a shard. Damaged: nothing
    is known of what was said, so all is compared again."""
    store.bring_files(home, _SIDES)
    verdicts = _verdicts(home)
    verdicts.folder.mkdir(parents=True, exist_ok=True)
    try:
        store.bring_files(verdicts, _SAID, (STATE, f"{partition}.json", f"{partition}.parquet"))
    except Damaged:
        (verdicts.folder / STATE).unlink(missing_ok=True)


def send_index(home: Place) -> None:
    """Send both, the sides first."""
    store.send_files(home, _SIDES, [LEDGER])
    verdicts = _verdicts(home)
    names = [path.name for path in verdicts.folder.iterdir() if path.is_file()]
    store.send_files(verdicts, _SAID, [name for name in names if not name.startswith(".")])


def content_of(path: Path) -> str:
    """Return what tells one state of a record or file from the next on every machine."""
    if path.name == "record.json":
        record = read_record(path)
        return read_by([record]) if record else ""
    try:
        return digest(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""


def read_by(records: Iterable[Record | None]) -> str:
    """Return a digest of what partitions hold, and of how it was made."""
    parts = [(one.fingerprint, dict(one.inputs)) for one in records if one]
    return digest(json.dumps(parts, sort_keys=True))


def facts_are_current(
    facts: Record | None, commits: Record | None, fingerprint: str, *, whole: bool
) -> bool:
    """Whether the facts of a shard are those of its commits; `whole`: with none that failed."""
    if not facts or not commits:
        return facts is commits
    same = facts.extra.get("commits") == read_by([commits])
    return same and facts.fingerprint == fingerprint and not (whole and facts.counts.dropped)


def _verdicts(home: Place) -> Place:
    return Place(
        home.artifact, home.version, home.partition, home.folder / VERDICTS, {}, home.store
    )
