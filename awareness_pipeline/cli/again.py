"""What a stage is to do again: all, one repository, or what failed.

Forgotten units are redone in place by the next run. Failed ones need no forgetting, as they were
never finished: it is enough to run the partitions that hold them.
"""

from awareness_pipeline import store
from awareness_pipeline.artifacts import Record, place, read_record
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.flow import step_named
from awareness_pipeline.records import shard_of
from awareness_pipeline.teacher.books import PENDING
from awareness_pipeline.units import forget as forget_units

FAILED = "failed: "


def forget(settings: Settings, stage: str, repo: str | None = None) -> int:
    """Forget every unit of a stage, or one repository's. Returns how many were forgotten.

    Raises:
        UserError: an unknown stage or repository, or a stage that is not done per repository.
    """
    step = step_named(stage)
    if repo is None:
        places = [place(settings, step.artifact, key, {}) for key in step.partitions(settings)]
        return sum(forget_units(here) for here in places)
    if step.partitioned_by != "shard":
        raise UserError(f"{step.name} is not done per repository: use --all")
    repo_id = _repo_id(settings, repo)
    here = place(settings, step.artifact, shard_of(repo_id, settings.shards), {})
    return forget_units(here, [str(repo_id)])


def unfinished(settings: Settings, stage: str, *, every: bool = False) -> tuple[str, ...]:
    """Return the partitions of a stage that hold failures or have no record; `every`: all.

    A stage that is one whole has none once it is done: training again is for a person to ask.
    """
    step = step_named(stage)
    keys = step.partitions(settings)
    if settings.paths.store:
        store.bring_records(place(settings, step.artifact, key, {}) for key in keys)
    if every and step.partitioned_by:
        return keys
    records = {
        key: read_record(place(settings, step.artifact, key, {}).folder / "record.json")
        for key in keys
    }
    return tuple(key for key, record in records.items() if record is None or _has_failures(record))


def _has_failures(record: Record) -> bool:
    return any(reason == PENDING or reason.startswith(FAILED) for reason in record.counts.dropped)


def _repo_id(settings: Settings, name: str) -> int:
    with Catalog(settings.paths.database_url) as catalog:
        for repository in catalog.repositories(settings.source.host):
            if repository.full_name.lower() == name.lower():
                return repository.repo_id
    raise UserError(
        f"no repository {name!r} in the catalog: `awareness stats` counts what is there"
    )
