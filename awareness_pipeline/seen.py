"""Which partitions are as their last complete run left them, told without opening their records.

A run that finds nothing to do would read every record of a partition several times to learn that.
So a run that left nothing open notes a mark of what it saw: the fingerprint, what it was given
(`facts`: upstream, the catalog), and a listing of its own folder. Where the mark is the same again,
the partition's record is the answer. Any difference only means the full pass, and so does a note
that is lost: it lies aside from all outputs and may be deleted at any time.

    <root>/.seen/<version>/<artifact>/<partition>.json    marks by who looked: the run, or a check

A listing has names, sizes, times and inodes: files are replaced by renaming, which changes them.
Limits: a file that is changed in place to the same size within one tick of the file system's clock
(4 ms) after the run that noted it is not noticed; bits that rot on the disk are not either.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from awareness_model.schema import digest
from awareness_pipeline.artifacts import Place, Record, read_record
from awareness_pipeline.config import Settings

FAILED = "failed: "
RUN = "run"


def kept(settings: Settings, here: Place, facts: str) -> Record | None:
    """Return the partition's record, nothing fresh in it, if nothing changed since `keep`; None
    where files are in a bucket, as times say nothing of copies."""
    if settings.paths.store:
        return None
    marks = _marks(settings, here.artifact, here.partition)
    if marks.get(RUN) != _mark(here, facts):
        return None
    record = read_record(here.folder / "record.json")
    return replace(record, fresh=0) if record else None


def keep(settings: Settings, here: Place, facts: str, record: Record) -> Record:
    """Note that a run ended and what it saw, unless something failed; return its record."""
    if not any(reason.startswith(FAILED) for reason in record.counts.dropped):
        note(settings, here.artifact, here.partition, RUN, _mark(here, facts))
    return record


def passed(settings: Settings, artifact: str, partition: str, who: str, mark: str) -> bool:
    """Tell whether `who` noted this very mark of a partition."""
    return _marks(settings, artifact, partition).get(who) == mark


def note(settings: Settings, artifact: str, partition: str, who: str, mark: str) -> None:
    """Note a mark of a partition for `who`."""
    marks = _marks(settings, artifact, partition) | {who: mark}
    path = _file(settings, artifact, partition)
    # Written in place and not synced: a note that is torn, lost or has no room costs time only.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(marks, sort_keys=True) + "\n")


def listing(*folders: Path | str) -> str:
    """Return a digest of what lies in folders: names, sizes, times, inodes; not what lies below."""
    return digest(*(line for folder in folders for line in ("/", *_lines(folder))))


def files(paths: Iterable[Path]) -> str:
    """Return a digest of files' sizes, times and inodes, in the order given."""
    return digest(*map(_of_file, paths))


def _mark(here: Place, facts: str) -> str:
    return digest(here.fingerprint, facts, listing(here.folder))


def _lines(folder: Path | str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(f"{one.name} {_told(one.stat(follow_symlinks=False))}" for one in entries)
    except FileNotFoundError:
        return []


def _of_file(path: Path) -> str:
    try:
        return _told(path.stat())
    except FileNotFoundError:
        return ""


def _told(stat: os.stat_result) -> str:
    return f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"


def _marks(settings: Settings, artifact: str, partition: str) -> dict[str, str]:
    """Return the marks noted of a partition; none where they cannot be read, which costs time
    only."""
    try:
        found = json.loads(_file(settings, artifact, partition).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _file(settings: Settings, artifact: str, partition: str) -> Path:
    return settings.paths.root / ".seen" / settings.version / artifact / f"{partition}.json"
