"""The flow, in order: one step per artifact. READ THIS FIRST.

    discover  repositories     which repositories exist (catalog)       a partition per language
    clone     clones           bare git repositories                    a partition per shard
    extract   commits          true diffs as JSONL, labelled            a partition per shard
    curate    curated_commits  which commits go on, and on which side   a partition per shard
    reverse   task_prompts     the task a commit answers, by an LLM     a partition per shard
    distil    teacher_traces   the teacher, repository in its context   a partition per shard
    audit     data_evidence    do prompts and traces tell anything?     one partition
    encode    memory_shards    documents as keys and values (Lance)     a partition per shard
    train     gca_checkpoint   gated cross-attention, by DeepSpeed      one partition
    evaluate  evaluation       own memory, another's, none, text        one partition

Everything an asset or a command does is here and in `stages/`, and runs without Dagster. Steps meet
on disk only; each finds what is done and does the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from awareness_pipeline import store
from awareness_pipeline.artifacts import Place, Record, place, unit_records
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.catalog.workers import require_shared, turn
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.shards import at_work
from awareness_pipeline.stages import (
    audit,
    clone,
    curate,
    discover,
    distil,
    encode,
    evaluate,
    extract,
    reverse,
    train,
)
from awareness_pipeline.units import attempts, forget_attempts

WHOLE = ("all",)


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the flow."""

    name: str
    artifact: str
    upstream: tuple[str, ...]
    """Artifacts it reads."""
    partitioned_by: str
    """`language`, `shard` or `` (one partition)."""
    run: Callable[[Settings, str], Record]
    """Do what is not done in a partition."""
    ahead: Callable[[Settings, Sequence[str]], None] | None = None
    """Do what the partitions of a run have in common, before the first of them."""

    def partitions(self, settings: Settings) -> tuple[str, ...]:
        """Return the partition keys, in order."""
        if self.partitioned_by == "language":
            return discover.partitions(settings)
        return settings.shard_keys if self.partitioned_by == "shard" else WHOLE


FLOW: tuple[Step, ...] = (
    Step("discover", "repositories", (), "language", discover.run, discover.ahead),
    Step("clone", "clones", ("repositories",), "shard", clone.run),
    Step("extract", "commits", ("clones",), "shard", extract.run),
    Step("curate", "curated_commits", ("commits", "clones"), "shard", curate.run),
    Step(
        "reverse",
        "task_prompts",
        ("curated_commits", "commits", "clones"),
        "shard",
        reverse.run,
    ),
    Step("distil", "teacher_traces", ("task_prompts", "commits", "clones"), "shard", distil.run),
    Step(
        "audit",
        "data_evidence",
        ("task_prompts", "teacher_traces", "commits", "clones"),
        "",
        audit.run,
    ),
    Step(
        "encode",
        "memory_shards",
        ("teacher_traces", "curated_commits", "clones"),
        "shard",
        encode.run,
    ),
    Step("train", "gca_checkpoint", ("teacher_traces", "memory_shards"), "", train.run),
    Step("evaluate", "evaluation", ("gca_checkpoint", "memory_shards", "clones"), "", evaluate.run),
)
STAGES = tuple(step.name for step in FLOW)


def step_named(name: str) -> Step:
    """Return a step by stage or artifact name. Raises UserError for an unknown one."""
    for step in FLOW:
        if name in (step.name, step.artifact):
            return step
    raise UserError(f"unknown stage {name!r}: choose one of {', '.join(STAGES)}")


def run_step(
    settings: Settings, name: str, partitions: Iterable[str] | None = None
) -> list[Record]:
    """Run a stage over partitions (all by default), and note each repository in the catalog.

    Raises:
        UserError: an unknown stage, or the number of shards is being changed.
    """
    step = step_named(name)
    keys = step.partitions(settings) if partitions is None else tuple(partitions)
    with at_work(settings):
        if not settings.paths.store:
            return _run_partitions(settings, step, keys)
        require_shared(settings)
        with store.copied(settings.paths):
            return _run_partitions(settings, step, keys)


def _run_partitions(settings: Settings, step: Step, keys: Sequence[str]) -> list[Record]:
    unknown = step.partitioned_by == "shard" and not _progress(settings, step)
    records = []
    if step.ahead:
        step.ahead(settings, keys)
    for key in keys:
        here = place(settings, step.artifact, key, {})
        try:
            with _at_hand(settings, step, here):
                records.append(step.run(settings, key))
        finally:
            _note(settings, step, here, every=unknown)
    return records


@contextmanager
def _at_hand(settings: Settings, step: Step, here: Place) -> Iterator[None]:
    """Where files are in a bucket: hold a partition, and bring what is worked on and read."""
    if not here.store:
        yield
        return
    file = here.folder.with_name(f".{here.partition}.lock")
    with turn(settings, f"{here.artifact} {here.partition}", file, wait=False) as held:
        if not held:
            raise UserError(f"another worker is at {here.artifact} {here.partition}: let it end")
        store.bring(here, own=True)
        _bring_read(settings, step, here.partition)
        yield


def bring(settings: Settings, stages: Iterable[str], *, records: bool = False) -> int:
    """Bring all partitions of some stages from the bucket into the root; return how many.

    Args:
        records: the partitions' records alone, which is what `stats` and `report` read.

    Raises:
        UserError: an unknown stage, no store, or a root that is no copy of it.
    """
    if not settings.paths.store:
        raise UserError(
            "there is no store to bring from: set AWARENESS_STORE to s3://BUCKET/PREFIX"
        )
    places = [
        place(settings, step.artifact, key, {})
        for step in map(step_named, stages)
        for key in step.partitions(settings)
    ]
    with store.copied(settings.paths):
        if records:
            store.bring_records(places)
        else:
            for here in places:
                store.bring(here)
    return len(places)


def _bring_read(settings: Settings, step: Step, partition: str) -> None:
    """Bring what a partition of a step is made of from the bucket. Curation itself brings the packs
    of clones, where it wants them."""
    for artifact in step.upstream:
        above = step_named(artifact)
        same = step.partitioned_by and step.partitioned_by == above.partitioned_by
        for key in (partition,) if same else above.partitions(settings):
            store.bring(place(settings, artifact, key, {}), whole=step.name != "curate")


def run_flow(settings: Settings, until: str = STAGES[-1], start: str = STAGES[0]) -> list[Record]:
    """Run the stages from `start` to `until`, in flow order."""
    first, last = (STAGES.index(step_named(name).name) for name in (start, until))
    return [record for name in STAGES[first : last + 1] for record in run_step(settings, name)]


def _progress(settings: Settings, step: Step) -> dict[str, int]:
    with Catalog(settings.paths.database_url) as catalog:
        return catalog.progress(settings.version).get(step.name, {})


def _note(settings: Settings, step: Step, here: Place, *, every: bool) -> None:
    """Tell the catalog of each try; of every repository that is done where it knows of none."""
    tried = attempts(here)
    if every:
        keys = {key for key, _ in tried}
        tried += [(one.key, "") for one in unit_records(here) if one.key not in keys]
    if step.partitioned_by == "shard" and tried:
        with Catalog(settings.paths.database_url) as catalog:
            for key, error in tried:
                if key.isdecimal():
                    catalog.note(settings.version, step.name, int(key), error)
    forget_attempts(here)
