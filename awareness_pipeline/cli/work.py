"""Run stages one after another for a command, and tell what came of them."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from awareness_pipeline import doctor
from awareness_pipeline.artifacts import Record
from awareness_pipeline.cli.table import print_evaluation, print_evidence, print_stages
from awareness_pipeline.config import Settings
from awareness_pipeline.flow import STAGES, run_step, step_named
from awareness_pipeline.logs import tell as say
from awareness_pipeline.report import evaluation_of, evidence_of
from awareness_pipeline.standing import Standing, as_json, standings
from awareness_pipeline.teacher.books import PENDING


@dataclass(frozen=True, slots=True)
class Work:
    """What a command's stages did."""

    stages: tuple[Standing, ...]
    seconds: float

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything was done before, with nothing left for another run."""
        return not any(one.fresh or PENDING in one.counts.dropped for one in self.stages)


def between(first: str, last: str) -> tuple[str, ...]:
    """Return the stages from `first` to `last`, in flow order. UserError for an unknown one."""
    start, end = (STAGES.index(step_named(name).name) for name in (first, last))
    return STAGES[start : end + 1]


def run_stages(
    settings: Settings, stages: Iterable[str], partitions: Sequence[str] | None = None
) -> Work:
    """Run stages in the order given, with a line on stderr for each.

    Args:
        partitions: these alone, by the names they have in every one of the stages; else all.

    Raises:
        UserError: git is not there, or whatever a stage says.
    """
    doctor.require_git()
    started = time.monotonic()
    fresh = {}
    for stage in stages:
        began = time.monotonic()
        records = run_step(settings, stage, partitions)
        fresh[stage] = sum(record.fresh for record in records)
        _say(stage, records, time.monotonic() - began)
    found = standings(settings.paths, settings.version, fresh)
    return Work(tuple(one for one in found if one.stage in fresh), time.monotonic() - started)


def tell(settings: Settings, work: Work, *, as_machine: bool) -> None:
    """Print what was done: JSON on stdout, or tables and whether there was anything to do."""
    ran = {one.stage for one in work.stages if one.partitions}
    told = {
        name: read(settings.paths, settings.version)
        for stage, name, read in (
            ("audit", "evidence", evidence_of),
            ("evaluate", "evaluation", evaluation_of),
        )
        if stage in ran
    }
    if as_machine:
        done = {"version": settings.version, "stages": as_json(work.stages)}
        print(json.dumps({**done, **told}))
        return
    print_stages(work.stages, f"version {settings.version}, below {settings.paths.root}")
    if evidence := told.get("evidence"):
        print_evidence(evidence)
    if evaluation := told.get("evaluation"):
        print_evaluation(evaluation)
    if work.nothing_to_do:
        print(f"everything was done: nothing to do ({work.seconds:.1f} s)")
    else:
        print(f"done in {work.seconds:.0f} s")


def _say(stage: str, records: list[Record], seconds: float) -> None:
    rows = sum(record.counts.rows_out for record in records)
    fresh = sum(record.fresh for record in records)
    what = f"{rows:,} out" if fresh else f"{rows:,} out, done before"
    say(
        f"{stage}: {what} ({seconds:.1f} s)",
        stage=stage,
        rows_out=rows,
        units_fresh=fresh,
        seconds=round(seconds, 3),
    )
