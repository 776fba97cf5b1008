"""Where an output lives, and the record that makes it exist.

A `Place` is `<root>/<artifact>/<version>/<partition>/`. A unit's files come first, then
`<key>.record.json`; the partition's `record.json` sums the units and comes last (`units.py` does
the work). What has no record does not exist for readers.

A record keeps `result` (compared between runs) apart from `run` (times). Not covered: the code's
own version; a change of meaning needs a new version name or `reprocess`.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from awareness_model.schema import digest, write_atomic
from awareness_pipeline.config import Settings, UserError


@dataclass(frozen=True, slots=True)
class Place:
    """One partition of one artifact, and the identity of whoever writes it."""

    artifact: str
    version: str
    partition: str
    folder: Path
    settings: Mapping[str, Any]
    """Everything that makes the output what it is, as plain JSON values."""
    store: str = ""
    """The URL of the bucket that has the truth (`store.py`); the folder is a copy then."""

    @property
    def fingerprint(self) -> str:
        """Return the digest of `settings`."""
        return digest(json.dumps(self.settings, sort_keys=True))

    @property
    def scratch(self) -> Path:
        """Return a folder for work in hand; readers never look into it."""
        return self.folder / ".work"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows in, rows out, and rows dropped by reason; they add up unless a stage says otherwise."""

    rows_in: int = 0
    rows_out: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        dropped = dict(self.dropped)
        for reason, number in other.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + number
        ordered = dict(sorted(dropped.items()))
        return Counts(self.rows_in + other.rows_in, self.rows_out + other.rows_out, ordered)


@dataclass(frozen=True, slots=True)
class Record:
    """What a unit or a partition left behind."""

    artifact: str
    version: str
    partition: str
    key: str
    """The unit's key; empty for a partition's record."""
    fingerprint: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    counts: Counts
    files: Mapping[str, tuple[int, str]]
    """Size in bytes and blake2b-128 of every file."""
    extra: Mapping[str, Any]
    seconds: float = 0.0
    """Time spent, all runs together; no part of the result."""
    fresh: int = 0
    """Units done in the run that wrote this record; no part of the result."""

    @property
    def digest(self) -> str:
        """Return the digest of the result: what downstream compares."""
        return digest(json.dumps(result_of(self), sort_keys=True))


def place(settings: Settings, artifact: str, partition: str, identity: Mapping[str, Any]) -> Place:
    """Return the place of one partition. `identity`: the stage's own part of the fingerprint;
    the source and the number of shards belong to every fingerprint."""
    folder = settings.paths.artifact(artifact) / settings.version / partition
    shared = {"source": settings.source.host, "shards": settings.shards}
    store = settings.paths.store
    return Place(artifact, settings.version, partition, folder, {**shared, **identity}, store)


def unit_records(here: Place) -> Iterator[Record]:
    """Yield the records of a partition's units, by key; only whole ones."""
    for path in sorted(here.folder.glob("*.record.json")):
        record = read_record(path)
        if record and whole(here, record):
            yield record


def upstream_records(
    settings: Settings, artifact: str, partitions: Iterable[str]
) -> Iterator[tuple[Path, Record]]:
    """Yield (folder, record) of every finished unit of another artifact, in a fixed order."""
    for partition in partitions:
        source = place(settings, artifact, partition, {})
        for record in unit_records(source):
            yield source.folder, record


def read_record(path: Path) -> Record | None:
    """Return a record, or None where there is none.

    Raises:
        UserError: the file is there but cannot be read as a record.
    """
    try:
        return parsed(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it to redo that work") from None


def parsed(text: bytes) -> Record:
    """Return the record that a text is. Raises ValueError, KeyError or TypeError: it is none."""
    found = json.loads(text)
    result, run = found.pop("result"), found.pop("run")
    counts = Counts(result["in"], result["out"], result["dropped"])
    files = {name: (size, mark) for name, (size, mark) in result["files"].items()}
    return Record(**found, counts=counts, files=files, extra=result["extra"], **run)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; afterwards it is synced and takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    aside.unlink(missing_ok=True)
    yield aside
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def whole(here: Place, record: Record) -> bool:
    """Whether every file of a record is there with its size."""
    for name, (size, _) in record.files.items():
        path = here.folder / name
        if not path.is_file() or path.stat().st_size != size:
            return False
    return True


def measure(path: Path) -> tuple[int, str]:
    """Return the size in bytes and the blake2b-128 of a file."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return path.stat().st_size, state.hexdigest()


def result_of(record: Record) -> dict[str, Any]:
    """Return the part of a record that two runs must have in common, as it is stored."""
    return {
        "in": record.counts.rows_in,
        "out": record.counts.rows_out,
        "dropped": dict(record.counts.dropped),
        "files": {name: list(mark) for name, mark in sorted(record.files.items())},
        "extra": dict(record.extra),
    }


def fields_of(record: Record) -> dict[str, Any]:
    """Return a record's fields by name."""
    return {name: getattr(record, name) for name in Record.__slots__}


def write_record(path: Path, record: Record) -> None:
    """Write a record, atomically."""
    known = fields_of(record)
    run = {"seconds": round(known.pop("seconds"), 3), "fresh": known.pop("fresh")}
    for name in ("counts", "files", "extra"):
        known.pop(name)
    content = {**known, "result": result_of(record), "run": run}
    write_atomic(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
