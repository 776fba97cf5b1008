"""Commands for partitions: one, a range, those that hold failures; and how many there are."""

from typing import Annotated

import typer

from awareness_pipeline.cli.options import Json, Local, Recipe, Root, Version, settings_of
from awareness_pipeline.config import Settings, UserError

RANGE = "..."
"""Between the first and the last of a range, as `dg launch` has it."""


def run(
    stage: Annotated[str, typer.Argument(help="A stage, or what it leaves: commits, for one.")],
    partition: Annotated[
        str, typer.Option(help="A language or shard, FIRST...LAST, several by commas, or all.")
    ] = "all",
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Run one stage over one partition, some of them, or all; what is done stays as it is."""
    from awareness_pipeline.cli import work
    from awareness_pipeline.flow import step_named

    settings = settings_of(recipe, version, root, local)
    step = step_named(stage)
    keys = chosen(step.partitions(settings), partition)
    work.tell(settings, work.run_stages(settings, [step.name], keys), as_machine=as_json)


def chosen(known: tuple[str, ...], said: str) -> tuple[str, ...]:
    """Return the partitions that a person named, in flow order.

    Raises:
        UserError: one that is not there, or a range from last to first.
    """
    if said == "all":
        return known
    wanted: set[str] = set()
    for part in said.split(","):
        ends = [end.strip() for end in part.split(RANGE)]
        if len(ends) > 2 or not set(ends) <= set(known):
            raise UserError(f"no partition {part!r}: there are {known[0]} to {known[-1]}")
        first, last = known.index(ends[0]), known.index(ends[-1])
        if first > last:
            raise UserError(f"{part!r} ends before it begins")
        wanted |= set(known[first : last + 1])
    return tuple(key for key in known if key in wanted)


def retry(
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Try again what failed, and let later stages that have run before follow.

    Only partitions that hold failures, or were never finished, are run; what is done in them stays.
    """
    from awareness_pipeline.cli import again, work
    from awareness_pipeline.standing import standings

    settings = settings_of(recipe, version, root, local)
    begun = [one.stage for one in standings(settings.paths, settings.version) if one.partitions]
    stages: list[work.Work] = []
    following = False
    for stage in begun:
        keys = again.unfinished(settings, stage, every=following)
        if keys:
            done = work.run_stages(settings, [stage], keys)
            stages.append(done)
            following = following or any(one.fresh for one in done.stages)
    told = work.Work(
        tuple(one for done in stages for one in done.stages), sum(one.seconds for one in stages)
    )
    work.tell(settings, told, as_machine=as_json)


def bring(
    stages: Annotated[
        list[str] | None, typer.Argument(help="Stages, or what they leave; none: all of them.")
    ] = None,
    records: Annotated[
        bool, typer.Option("--records", help="Only what `stats` and `report` read, without data.")
    ] = False,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
) -> None:
    """Bring what workers left in the store (AWARENESS_STORE) into a folder, to look at or export.

    What the folder has already is not brought again.
    """
    from awareness_pipeline import flow

    settings = settings_of(recipe, version, root)
    number = flow.bring(settings, stages or flow.STAGES, records=records)
    print(
        f"{number:,} partitions are below {settings.paths.root} as {settings.paths.store} has them"
    )


def reshard(
    shards: Annotated[int, typer.Argument(help="So many from now on.", min=1)],
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
) -> None:
    """Give a version another number of shards; what is finished moves and is not done again."""
    moved = resharded(settings_of(recipe, version, root, local), shards)
    print(
        f"{moved:,} units moved. Set AWARENESS_SHARDS={shards} from now on, in `.env` for one; "
        "in Dagster, one backfill of all shards shows them as done (it does nothing again)"
    )


def resharded(settings: Settings, shards: int) -> int:
    """Move a version to another number of shards; return how many units moved."""
    from awareness_pipeline import shards as moving
    from awareness_pipeline.flow import FLOW
    from awareness_pipeline.stages.curate import FACTS

    if settings.paths.store:
        raise UserError(
            "shards are moved in a folder, not in a store: begin a new --version with another "
            "AWARENESS_SHARDS"
        )
    sharded = [step.artifact for step in FLOW if step.partitioned_by == "shard"]
    others = [step.artifact for step in FLOW if step.partitioned_by != "shard"]
    return moving.reshard(settings, shards, [*sharded, FACTS], others)
