"""How many shards a version has, and its way to another number with nothing done again.

What is finished is known by the repository's id, and the digest of a unit covers neither its
partition nor the number of shards. So a unit's files move to the partition that the new number
gives, and its record, written last, says so. Records of other partitions (languages, wholes) stay
where they are and are restamped.

    <root>/.<version>.lock       shared by every stage at work; whoever reshards has it alone
    <root>/.<version>.reshard    what is under way; no stage runs until it is gone

Killed anywhere, the same command goes on: a unit whose record is still in the old partition moves
again, and moving is renaming. A partition's own record goes first and is written anew at the end.

Limits: locks on network file systems may not hold; there, see to it that nothing runs. Caps over a
version (`max_commits`, `max_traces`) are dealt by shard: where one bites, the next `reverse` and
`distil` choose anew for some repositories. What a killed stage had in hand is lost, and so is the
count of failed units, until the stage runs again. Curation compares once more; sides stay.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from awareness_model.schema import digest, write_atomic
from awareness_pipeline.artifacts import Counts, Record, read_record, write_record
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.config.settings import MOST_SHARDS
from awareness_pipeline.locks import hold
from awareness_pipeline.records import shard_of

_PARTITION = re.compile(r"\d{3}")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is under way, as it lies on disk until all is done."""

    shards: int
    fingerprints: dict[str, str] = field(default_factory=dict)
    """New fingerprints by old ones: some units name those of what they read."""
    shapes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The new settings of each sharded artifact that has any record."""


@contextmanager
def at_work(settings: Settings) -> Iterator[None]:
    """Keep the number of shards from being changed while the block runs.

    Raises:
        UserError: it is being changed, or that was begun and not finished.
    """
    settings.paths.root.mkdir(parents=True, exist_ok=True)
    with hold(_lock(settings), wait=False, shared=True) as held:
        begun = _read_plan(settings) if held else None
        if not held:
            raise UserError(f"version {settings.version!r} is being resharded: let it end first")
        if begun:
            raise UserError(
                f"resharding of version {settings.version!r} was interrupted: "
                f"run `awareness reshard {begun.shards}` again, it goes on where it stopped"
            )
        yield


def reshard(settings: Settings, shards: int, moving: Sequence[str], staying: Sequence[str]) -> int:
    """Give a version another number of shards. Returns how many units moved to another partition.

    Args:
        moving: artifacts whose partitions are shards.
        staying: artifacts with other partitions, whose records are restamped where they are.

    Raises:
        UserError: a number out of range, a stage at work, or another reshard that was interrupted.
    """
    if not 1 <= shards <= MOST_SHARDS:
        raise UserError(f"a version has 1 to {MOST_SHARDS:,} shards, not {shards}")
    settings.paths.root.mkdir(parents=True, exist_ok=True)
    with hold(_lock(settings), wait=False) as held:
        if not held:
            raise UserError(f"a stage of version {settings.version!r} is at work: let it end first")
        plan = _begin(settings, shards, moving, staying)
        moved = sum(_move(_home(settings, artifact), plan) for artifact in moving)
        for artifact in staying:
            for path in sorted(_home(settings, artifact).glob("*/*record.json")):
                if record := read_record(path):
                    write_record(path, _restamped(record, plan, record.partition))
        for artifact, shape in plan.shapes.items():
            _sum_up(_home(settings, artifact), artifact, settings.version, shape, plan)
        _journal(settings).unlink()
    return moved


def _lock(settings: Settings) -> Path:
    return settings.paths.root / f".{settings.version}.lock"


def _journal(settings: Settings) -> Path:
    return settings.paths.root / f".{settings.version}.reshard"


def _home(settings: Settings, artifact: str) -> Path:
    return settings.paths.artifact(artifact) / settings.version


def _read_plan(settings: Settings) -> _Plan | None:
    try:
        return _Plan(**json.loads(_journal(settings).read_bytes()))
    except FileNotFoundError:
        return None


def _begin(settings: Settings, shards: int, moving: Iterable[str], staying: Iterable[str]) -> _Plan:
    """Return the plan that lies on disk, or put a new one there."""
    if begun := _read_plan(settings):
        if begun.shards != shards:
            raise UserError(f"finish what was begun first: `awareness reshard {begun.shards}`")
        return begun
    plan = _Plan(shards)
    for artifact in moving:
        for path in sorted(_home(settings, artifact).glob("*/*record.json")):
            if record := read_record(path):
                shape = {**record.settings, "shards": shards}
                plan.fingerprints[record.fingerprint] = _fingerprint(shape)
                plan.shapes[artifact] = shape
    for artifact in staying:
        for path in sorted(_home(settings, artifact).glob("*/record.json")):
            if record := read_record(path):
                shape = {**record.settings, "shards": shards}
                plan.fingerprints[record.fingerprint] = _fingerprint(shape)
    write_atomic(_journal(settings), json.dumps(asdict(plan), sort_keys=True).encode())
    return plan


def _fingerprint(settings: Mapping[str, Any]) -> str:
    return digest(json.dumps(settings, sort_keys=True))


def _restamped(record: Record, plan: _Plan, partition: str) -> Record:
    """Return a record as it would be had there been the new number from the start."""
    settings = {**record.settings, "shards": plan.shards}
    inputs = {name: plan.fingerprints.get(said, said) for name, said in record.inputs.items()}
    mark = _fingerprint(settings)
    return replace(record, partition=partition, settings=settings, fingerprint=mark, inputs=inputs)


def _move(home: Path, plan: _Plan) -> int:
    """Move every unit of an artifact to its partition; return how many were elsewhere."""
    moved = 0
    keys = {f"{number:03d}" for number in range(plan.shards)}
    for folder in _partitions(home):
        (folder / "record.json").unlink(missing_ok=True)
        shutil.rmtree(folder / ".work", ignore_errors=True)
        for key, paths in _units(folder).items():
            target = home / shard_of(int(key), plan.shards)
            moved += target != folder
            _move_unit(key, paths, target, plan)
        if folder.name not in keys:
            _remove(folder)
    return moved


def _partitions(home: Path) -> list[Path]:
    if not home.is_dir():
        return []
    return [path for path in sorted(home.iterdir()) if _PARTITION.fullmatch(path.name)]


def _units(folder: Path) -> dict[str, list[Path]]:
    """Return what lies in a partition by repository, whether it has a record or not."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        key = path.name.split(".")[0]
        if key.isdecimal():
            found.setdefault(key, []).append(path)
    return found


def _move_unit(key: str, paths: Sequence[Path], target: Path, plan: _Plan) -> None:
    target.mkdir(exist_ok=True)
    last = f"{key}.record.json"
    for path in paths:
        if path.name != last and path.parent != target:
            path.replace(target / path.name)
    source = paths[0].parent / last
    if record := read_record(source):
        write_record(target / last, _restamped(record, plan, target.name))
        if source.parent != target:
            source.unlink()


def _remove(folder: Path) -> None:
    """Remove a partition that is no more. Tries that the catalog has not taken are kept: they say
    which repository they are of, so any partition may hold them."""
    beside = folder.with_name(f".{folder.name}.attempts")
    if beside.exists():
        with folder.with_name(".000.attempts").open("ab") as file:
            file.write(beside.read_bytes())
        beside.unlink()
    folder.with_name(f".{folder.name}.lock").unlink(missing_ok=True)
    for leftover in folder.glob(".*.aside"):
        leftover.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _sum_up(home: Path, artifact: str, version: str, shape: Mapping[str, Any], plan: _Plan) -> None:
    """Write the record of every partition over its units, as the stage would that finds all done.

    Units that failed are not among them; the next run tries these, and counts them again.
    """
    for number in range(plan.shards):
        folder = home / f"{number:03d}"
        units = [read_record(path) for path in sorted(folder.glob("*.record.json"))]
        there = [unit for unit in units if unit]
        record = Record(
            artifact=artifact,
            version=version,
            partition=folder.name,
            key="",
            fingerprint=_fingerprint(shape),
            settings=shape,
            inputs={unit.key: unit.digest for unit in there},
            counts=sum((unit.counts for unit in there), Counts()),
            files={},
            extra={},
            seconds=sum(unit.seconds for unit in there),
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_record(folder / "record.json", record)
