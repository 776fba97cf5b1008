"""How far every stage is, how fast, what failed in it, and when it is done: from records alone.

A unit (a repository, mostly) is `done` when its record is there, also in a partition that a run has
in hand; `failed` as the partition's last run counted it; `open` when something upstream waits for
it. The rate is units over the working seconds of their partitions: the wall time of all its runs,
or, where no run has ended yet, the time from the first unit's beginning to the last one's end. What
is left is open and failed units at that rate, one process working: n processes take an nth.

Discovery is not timed by units: what is left of it is calls at the pace between two searches.

Before a partition of reverse, distil or encode has been run once, the records upstream say how many
units it will have: distil has repositories to train on, encode those with traces and those held
out.

Limits: once a partition of these three has been run, what came upstream later is not counted until
the next run; a stage that asks in batches shows no unit before its first batch ends.
"""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import GITHUB, Settings
from awareness_pipeline.flow import FLOW, Step, step_named
from awareness_pipeline.github.client import SEARCH_INTERVAL_ANONYMOUS_S, SEARCH_INTERVAL_S
from awareness_pipeline.records import shard_of
from awareness_pipeline.report.coverage import askings, wanted
from awareness_pipeline.teacher.books import PENDING

FAILED = "failed: "
PER_PAGE = 100
"""Repositories that one search call shows at most."""


@dataclass(frozen=True, slots=True)
class Pace:
    """One stage. Times are seconds of work."""

    stage: str
    done: int
    failed: int
    open: int
    partitions_done: int
    partitions: int
    seconds: float
    per_hour: float | None
    """Units; None where nothing was timed."""
    left_s: float | None
    """None where no rate is known; 0 where nothing is left."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Units or rows that the next run tries again, by reason."""
    retry: str = ""
    """The command that does."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One partition on disk."""

    folder: Path
    record: Record | None
    units: int
    seconds: float


def paces(settings: Settings) -> tuple[Pace, ...]:
    """Return the ten stages in flow order."""
    parts = {step.artifact: _parts(settings, step) for step in FLOW}
    with Catalog(settings.paths.database_url) as catalog:
        host = settings.source.host
        chosen = catalog.selected(host)
        ids = [row.repo_id for row in catalog.repositories(host, under=settings.source.local)]
        searches = catalog.searches(host)
        found = askings(searches.ranges(), searches.passes())
    names = {one.language for one in found if one.in_hand and one.finished}
    never = [name for name in wanted(settings) if name not in {one.language for one in found}]
    calls = len(never) + math.ceil(
        sum(one.tally.unasked for one in found if one.in_hand) / PER_PAGE
    )
    shards = Counter(shard_of(one, settings.shards) for one in ids if one in chosen)
    told = [_pace(settings, step, parts, shards) for step in FLOW]
    return (_discovery(settings, told[0], len(names), calls, bool(found)), *told[1:])


def search_interval_s(settings: Settings) -> float:
    """Return the seconds between two searches."""
    source = settings.source
    usual = SEARCH_INTERVAL_S if source.tokens else SEARCH_INTERVAL_ANONYMOUS_S
    return source.search_interval_s or usual


def _parts(settings: Settings, step: Step) -> dict[str, _Part]:
    folder = settings.paths.artifact(step.artifact) / settings.version
    return {key: _part(folder / key) for key in step.partitions(settings)}


def _part(folder: Path) -> _Part:
    record = read_record(folder / "record.json")
    units = list(folder.glob("*.record.json"))
    if record or not units:
        return _Part(folder, record, len(units), record.seconds if record else 0.0)
    ends = sorted((path.stat().st_mtime, path) for path in units)
    first = read_record(ends[0][1])
    own = first.seconds if first else 0.0
    return _Part(folder, None, len(units), ends[-1][0] - ends[0][0] + own)


def _pace(
    settings: Settings,
    step: Step,
    parts: Mapping[str, Mapping[str, _Part]],
    shards: Mapping[str, int],
) -> Pace:
    here = parts[step.artifact]
    reasons = _failures(part.record for part in here.values() if part.record)
    missed = {key: _missed(part.record) for key, part in here.items()}
    open_units = sum(
        max(0, _expected(step, key, parts, shards) - part.units - missed[key])
        for key, part in here.items()
    )
    done, failed = sum(part.units for part in here.values()), sum(missed.values())
    seconds = sum(part.seconds for part in here.values())
    rate = done / seconds if done and seconds else None
    left = open_units + failed
    again = [key for key, part in here.items() if part.record and _failures([part.record])]
    return Pace(
        stage=step.name,
        done=done,
        failed=failed,
        open=open_units,
        partitions_done=sum(part.record is not None for part in here.values()),
        partitions=len(here),
        seconds=seconds,
        per_hour=rate and rate * 3600,
        left_s=0.0 if not left else left / rate if rate else None,
        failures=reasons,
        retry=_command(settings, step, again) if again else "",
    )


def _expected(
    step: Step, key: str, parts: Mapping[str, Mapping[str, _Part]], shards: Mapping[str, int]
) -> int:
    """Return how many units a partition should have, as far as upstream tells."""
    here = parts[step.artifact][key]
    if step.name == "clone":
        return shards.get(key, 0)
    if step.partitioned_by != "shard":
        return 1
    above = parts[step.upstream[0]][key]
    if step.name == "extract":
        return above.record.counts.rows_out if above.record else above.units
    if here.record and step.name != "curate":
        return here.units
    if step.name == "distil":
        return _on_side(above.folder, "train")
    if step.name == "encode":
        traced = sum(bool(one.counts.rows_out) for one in _records(above.folder))
        return traced + _on_side(parts["curated_commits"][key].folder, "held_out")
    return above.units


def _on_side(folder: Path, split: str) -> int:
    return sum(one.extra.get("split") == split for one in _records(folder))


def _records(folder: Path) -> Iterator[Record]:
    for path in folder.glob("*.record.json"):
        if record := read_record(path):
            yield record


def _missed(record: Record | None) -> int:
    """Return the units that the last run could not do; rows that failed inside units aside."""
    if record is None or step_named(record.artifact).name not in ("clone", "extract", "discover"):
        return 0
    return sum(n for reason, n in record.counts.dropped.items() if reason.startswith(FAILED))


def _failures(records: Iterable[Record]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for record in records:
        for reason, number in record.counts.dropped.items():
            if reason.startswith(FAILED) or reason == PENDING:
                found[reason.removeprefix(FAILED)] += number
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _discovery(settings: Settings, told: Pace, finished: int, calls: int, asked: bool) -> Pace:
    """Return discovery's pace: languages, and the calls that are left."""
    if settings.source.local or settings.source.listing:
        return told
    unfinished = max(0, told.partitions - max(finished, told.done if not asked else 0))
    return Pace(
        stage=told.stage,
        done=told.partitions - unfinished,
        failed=told.failed,
        open=unfinished,
        partitions_done=told.partitions_done,
        partitions=told.partitions,
        seconds=told.seconds,
        per_hour=None,
        left_s=calls * search_interval_s(settings),
        failures=told.failures,
        retry=told.retry,
    )


def _command(settings: Settings, step: Step, partitions: Iterable[str]) -> str:
    """Return the line that runs some partitions of a stage again."""
    source, words = settings.source, ["awareness", "run", step.name]
    if step.partitioned_by:
        words += ["--partition", ",".join(partitions)]
    words += ["--recipe", settings.recipe, "--version", settings.version]
    words += ["--root", str(settings.paths.root)]
    if source.local:
        words += ["--local", str(source.local)]
    before = "" if source.url == GITHUB or source.local else f"AWARENESS_GITHUB_URL={source.url} "
    return before + shlex.join(words)
