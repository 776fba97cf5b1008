"""Work done unit by unit, so that killing any process at any moment costs at most one unit.

A unit (one repository, usually) is done when its record is there, its fingerprint (settings,
prompts, model) is today's, its inputs (digests of upstream results) are today's and its files have
their recorded sizes. Changed inputs redo the unit; a changed fingerprint under the same version is
an error that names the fields. A unit redone with the same result leaves what depends on it as it
is: only content counts. A unit that fails is counted by reason and tried again by the next run;
one that its inputs rule out is dropped, and tried again when they change.

Every try is noted beside the partition's folder until the catalog has taken it (`flow.py`).
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from awareness_pipeline import store
from awareness_pipeline.artifacts import (
    Counts,
    Place,
    Record,
    fields_of,
    measure,
    read_record,
    result_of,
    unit_records,
    whole,
    write_record,
)
from awareness_pipeline.config import UserError
from awareness_pipeline.progress import bar


@dataclass(frozen=True, slots=True)
class Outcome:
    """What working on a unit gave: counts, the files written, and numbers worth keeping."""

    counts: Counts
    files: tuple[str, ...] = ()
    """Names inside the place's folder; their digests make the unit's result."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further compared results, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work that is done or not done as a whole."""

    key: str
    inputs: Mapping[str, str]
    """Digests of what it reads, by upstream artifact."""


class UnitFailed(Exception):
    """A unit that cannot be done now; its reason is counted, the others go on, a rerun retries."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class UnitDropped(UnitFailed):
    """A unit that its inputs rule out; its reason is counted, and it is done until they change."""


def run_units(
    here: Place,
    units: Iterable[Unit],
    work: Callable[[Unit], Outcome],
    *,
    workers: int = 1,
    label: str = "",
    order: Callable[[Unit], Any] | None = None,
    stop: Callable[[], None] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Record:
    """Do what is not done yet, one unit after another (or `workers` at a time), and close.

    `work` writes its files into `here.folder` (with `writing`) and returns an Outcome; a UnitFailed
    is counted as `failed: <reason>` and a UnitDropped as `<reason>`, and the others go on; any
    other error ends the run.

    Args:
        order: sort key of the work, by the unit's key otherwise; results do not depend on it.
        stop: called when the run is interrupted, to cut short what the workers have in hand. After
            a UserError they finish it.
        extra: further results of the partition as a whole.
    """
    started = time.monotonic()
    units = sorted(units, key=order or (lambda unit: unit.key))
    todo = pending(here, units)
    failed: dict[str, str] = {}

    with bar(label or here.artifact, len(todo)) as advance, ThreadPoolExecutor(workers) as pool:
        try:
            tried = pool.map(lambda one: _try(here, one, work), todo)
            for unit, reason in zip(todo, tried, strict=True):
                advance()
                if reason:
                    failed[unit.key] = f"failed: {reason}"
        except BaseException as error:
            if stop and not isinstance(error, UserError):
                stop()
            raise
    seconds = time.monotonic() - started
    reasons = Counter(failed.values())
    return close(
        here,
        units,
        fresh=len(todo),
        failed=reasons,
        stale=failed,
        extra=extra,
        seconds=seconds,
    )


def _try(here: Place, unit: Unit, work: Callable[[Unit], Outcome]) -> str:
    """Do one unit; return why it failed."""
    began, error = time.monotonic(), ""
    try:
        outcome = work(unit)
    except UnitDropped as drop:
        outcome, error = Outcome(Counts(1, 0, {drop.reason: 1})), str(drop)
    except UnitFailed as failure:
        _note_attempt(here, unit.key, str(failure))
        return failure.reason
    finish_unit(here, unit, outcome, time.monotonic() - began, error)
    return ""


def pending(here: Place, units: Iterable[Unit]) -> list[Unit]:
    """Return the units that are not done.

    Raises:
        UserError: the version was made with other settings; the message names them.
    """
    here.folder.mkdir(parents=True, exist_ok=True)
    partition = read_record(here.folder / "record.json")
    if partition:
        _refuse_drift(here, partition)
    todo = []
    for unit in units:
        record = read_record(here.folder / f"{unit.key}.record.json")
        if record:
            _refuse_drift(here, record)
        if not record or dict(record.inputs) != dict(unit.inputs) or not whole(here, record):
            todo.append(unit)
    return todo


def finish_unit(
    here: Place, unit: Unit, outcome: Outcome, seconds: float = 0.0, error: str = ""
) -> Record:
    """Write a unit's record. Its files are there and synced; the record makes them exist.

    `error` says why the unit was dropped, for the catalog.
    """
    record = Record(
        artifact=here.artifact,
        version=here.version,
        partition=here.partition,
        key=unit.key,
        fingerprint=here.fingerprint,
        settings=here.settings,
        inputs=dict(unit.inputs),
        counts=outcome.counts,
        files={name: measure(here.folder / name) for name in outcome.files},
        extra=dict(outcome.extra),
        seconds=seconds,
        fresh=1,
    )
    _note_attempt(here, unit.key, error)
    write_record(here.folder / f"{unit.key}.record.json", record)
    if here.store:
        store.publish(here, unit.key)
    return record


def attempts(here: Place) -> list[tuple[str, str]]:
    """Return the tries since `forget_attempts`: unit key and error (empty: it is done)."""
    try:
        lines = _attempts_file(here).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        # A full disk may have cut a line.
        with suppress(ValueError):
            key, error = json.loads(line)
            found.append((key, error))
    return found


def forget_attempts(here: Place) -> None:
    """Forget the tries that were noted; the catalog has them now."""
    _attempts_file(here).unlink(missing_ok=True)


def _note_attempt(here: Place, key: str, error: str) -> None:
    path = _attempts_file(here)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps([key, error]).encode() + b"\n")


def _attempts_file(here: Place) -> Path:
    return here.folder.with_name(f".{here.partition}.attempts")


def close(
    here: Place,
    units: Iterable[Unit],
    *,
    fresh: int,
    failed: Mapping[str, int] | None = None,
    stale: Container[str] = (),
    extra: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
) -> Record:
    """Write the partition's record over its units, and remove what no unit owns any more.

    A failed unit counts as one row in and one dropped, and only so: what an earlier run left of it
    still stands for those who read it, yet the counts of `stale` keys are left out. A rerun that
    did nothing keeps the record as it is, so its time stays the time the work took.
    """
    keys = {unit.key for unit in units}
    _sweep(here, keys)
    records = list(unit_records(here))
    counts = sum((record.counts for record in records if record.key not in stale), Counts())
    if failed:
        lost = sum(failed.values())
        counts = counts + Counts(rows_in=lost, dropped=failed)
    before = read_record(here.folder / "record.json")
    record = Record(
        artifact=here.artifact,
        version=here.version,
        partition=here.partition,
        key="",
        fingerprint=here.fingerprint,
        settings=here.settings,
        inputs={record.key: record.digest for record in records},
        counts=counts,
        files={},
        extra=dict(extra or {}),
        seconds=seconds + (before.seconds if before else 0.0),
        fresh=fresh,
    )
    shutil.rmtree(here.scratch, ignore_errors=True)
    if before and not fresh and result_of(before) == result_of(record):
        record = Record(**{**fields_of(before), "fresh": 0})
    else:
        write_record(here.folder / "record.json", record)
    if here.store:
        store.publish_partition(here)
    return record


def forget(here: Place, keys: Iterable[str] | None = None) -> int:
    """Forget units (all, or those named), so that the next run redoes them. Returns how many."""
    wanted = None if keys is None else set(keys)
    gone = store.forget(here, wanted) if here.store else set[str]()
    paths = {path.name.split(".")[0]: path for path in here.folder.glob("*.record.json")}
    chosen = [key for key in paths if wanted is None or key in wanted]
    for path in (*(paths[key] for key in chosen), here.folder / "record.json"):
        path.unlink(missing_ok=True)
    return len(gone | set(chosen))


def _refuse_drift(here: Place, record: Record) -> None:
    if record.fingerprint == here.fingerprint:
        return
    old, new = dict(record.settings), dict(here.settings)
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if changed == ["shards"]:
        raise UserError(
            f"version {here.version!r} has {old['shards']} shards: set AWARENESS_SHARDS to that, "
            f"or run `awareness reshard {new['shards']}`"
        )
    raise UserError(
        f"{here.artifact} of version {here.version!r} was made with other settings: "
        f"{', '.join(f'{name} was {old.get(name)!r}, now {new.get(name)!r}' for name in changed)}. "
        "Choose another --version, or run `awareness reprocess` to replace it"
    )


def _sweep(here: Place, keys: set[str]) -> None:
    """Remove records (and their files) that belong to no unit, and leftovers of killed writers."""
    for path in here.folder.glob("*.record.json"):
        if path.name.split(".")[0] not in keys:
            record = read_record(path)
            path.unlink()
            for name in record.files if record else ():
                (here.folder / name).unlink(missing_ok=True)
    for leftover in here.folder.glob(".*.aside"):
        if leftover.is_file():
            leftover.unlink()
