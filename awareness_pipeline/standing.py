"""Where every stage of a version stands, summed from the records beside the artifacts.

Nothing here runs a stage or needs a recipe: whatever partitions lie on disk are counted, so any
version of any recipe can be read. Limits: a partition counts when its own record is there; a unit
that a killed run finished before that shows only after the next run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awareness_pipeline.artifacts import Counts, Record, read_record
from awareness_pipeline.config import Paths, UserError
from awareness_pipeline.flow import FLOW


@dataclass(frozen=True, slots=True)
class Standing:
    """One stage: its partitions' records summed. No partitions: it has not run."""

    stage: str
    artifact: str
    counts: Counts
    seconds: float
    """Working time of all runs together."""
    partitions: int
    fresh: int = 0
    """Units done by the run that is being told about."""

    @property
    def state(self) -> str:
        """Return `not run`, `fresh` (something was done just now) or `done`."""
        if not self.partitions:
            return "not run"
        return "fresh" if self.fresh else "done"


def versions(paths: Paths) -> list[str]:
    """Return the versions that have records below these paths, the newest work first."""
    newest: dict[str, int] = {}
    for step in FLOW:
        for path in paths.artifact(step.artifact).glob("*/*/record.json"):
            version = path.parent.parent.name
            newest[version] = max(newest.get(version, 0), path.stat().st_mtime_ns)
    return sorted(newest, key=lambda version: (-newest[version], version))


def chosen_version(paths: Paths, version: str | None) -> str:
    """Return `version`, or the one worked on last.

    Raises:
        UserError: nothing has run yet, or not under that name.
    """
    known = versions(paths)
    if not known:
        raise UserError(f"nothing has run yet below {paths.root}: run `awareness demo` or `full`")
    if version is None:
        return known[0]
    if version not in known:
        raise UserError(f"no version {version!r} below {paths.root}: there is {', '.join(known)}")
    return version


def partition_records(paths: Paths, artifact: str, version: str) -> list[tuple[Path, Record]]:
    """Return (folder, record) of every finished partition of an artifact, by partition."""
    found = []
    for path in sorted((paths.artifact(artifact) / version).glob("*/record.json")):
        if record := read_record(path):
            found.append((path.parent, record))
    return found


def standings(
    paths: Paths, version: str, fresh: Mapping[str, int] | None = None
) -> tuple[Standing, ...]:
    """Return the ten stages in flow order. `fresh`: units just done, by stage."""
    found = []
    for step in FLOW:
        records = [record for _, record in partition_records(paths, step.artifact, version)]
        found.append(
            Standing(
                stage=step.name,
                artifact=step.artifact,
                counts=sum((record.counts for record in records), Counts()),
                seconds=sum(record.seconds for record in records),
                partitions=len(records),
                fresh=(fresh or {}).get(step.name, 0),
            )
        )
    return tuple(found)


def as_json(found: Iterable[Standing]) -> list[dict[str, Any]]:
    """Return stages in the form that `report --json` and `full --json` print."""
    return [
        {
            "name": one.stage,
            "in": one.counts.rows_in,
            "out": one.counts.rows_out,
            "dropped": dict(sorted(one.counts.dropped.items())),
            "seconds": round(one.seconds, 3),
            "state": one.state,
        }
        for one in found
    ]
