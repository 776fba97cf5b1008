"""Commands from discovery to curated commits: the user's own, with their options."""

import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from awareness_pipeline.cli.options import (
    FromFile,
    Json,
    Local,
    Recipe,
    Root,
    Version,
    settings_of,
)
from awareness_pipeline.config import Settings, UserError


class Sampling(StrEnum):
    """Which repositories are cloned where more were found than wanted."""

    STARS = "stars"
    STRATIFIED = "stratified"


Target = Annotated[
    int | None, typer.Option(help="Stop asking at so many; as many are cloned.", min=1)
]
MinStars = Annotated[
    int | None, typer.Option(help="Least stars, mainstream tier (niche 20, emerging 10).", min=0)
]
IncludeNiche = Annotated[
    bool | None, typer.Option("--include-niche/--no-include-niche", help="Ask for niche languages.")
]
IncludeEmerging = Annotated[
    bool | None,
    typer.Option("--include-emerging/--no-include-emerging", help="Ask for new languages."),
]
Languages = Annotated[str | None, typer.Option(help="Only these, separated by commas.")]
Cap = Annotated[
    int | None, typer.Option("--cap-per-language", help="Stop a language at so many.", min=1)
]
How = Annotated[
    Sampling | None,
    typer.Option(
        "--sampling",
        help="What is cloned of more than --target: most stars, or all languages and bands alike.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Of --sampling stratified.", min=0)]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget search progress and ask again.")]


def discover(
    target: Target = None,
    min_stars: MinStars = None,
    include_niche: IncludeNiche = None,
    include_emerging: IncludeEmerging = None,
    languages: Languages = None,
    cap_per_language: Cap = None,
    sampling: How = None,
    seed: Seed = None,
    fresh: Fresh = False,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    from_file: FromFile = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Discover repositories: by GitHub's search, from a list of names, or in a local folder."""
    from awareness_pipeline.cli import searches, work

    settings = _with(
        settings_of(recipe, version, root, local, from_file),
        "discover",
        target=target,
        min_stars=min_stars,
        include_niche=include_niche,
        include_emerging=include_emerging,
        languages=_split(languages),
        cap_per_language=cap_per_language,
        sampling=sampling.value if sampling else None,
        seed=seed,
    )
    if fresh:
        searches.forget(settings)
    else:
        searches.say_resumed(settings)
    work.tell(settings, work.run_stages(settings, ["discover"]), as_machine=as_json)


Concurrency = Annotated[int | None, typer.Option(help="Clones at a time.", min=1)]
Order = Annotated[
    Literal["stars", "random"] | None, typer.Option(help="Which come first (default: most stars).")
]
Randomize = Annotated[bool, typer.Option("--randomize", help="Short for --order random.")]
MaxSize = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Leave larger repositories out, e.g. 500m, 2g.")
]
MaxBlob = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Leave files of this size and more out, e.g. 1m.")
]
DiskBudget = Annotated[
    float | None, typer.Option(metavar="GB", help="Stop when the clones take so much.", min=0)
]
MinFree = Annotated[
    float | None, typer.Option(metavar="GB", help="Stop when less disk is free (1).", min=0)
]


def download(
    output: Annotated[Path | None, typer.Option(help="Folder for the clones.")] = None,
    concurrency: Concurrency = None,
    order: Order = None,
    randomize: Randomize = False,
    max_size: MaxSize = None,
    max_blob: MaxBlob = None,
    disk_budget: DiskBudget = None,
    min_free: MinFree = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    from_file: FromFile = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Clone the discovered repositories, bare."""
    from awareness_pipeline.cli import work

    settings = settings_of(recipe, version, root, local, from_file)
    if output:
        settings = replace(settings, paths=replace(settings.paths, repos=output))
    settings = _with(
        settings,
        "clone",
        concurrency=concurrency,
        order="random" if randomize else order,
        max_size_kb=None if max_size is None else _bytes_of(max_size) // 1024,
        max_blob_bytes=None if max_blob is None else _bytes_of(max_blob),
        disk_budget_gb=disk_budget,
        min_free_gb=min_free,
    )
    work.tell(settings, work.run_stages(settings, ["clone"]), as_machine=as_json)


def _bytes_of(size: str) -> int:
    """Return the bytes in `500m`; k, m and g are powers of 1024, as git has them."""
    found = re.fullmatch(r"(\d+)([kmg]?)b?", size.strip().lower())
    if not found:
        raise UserError(f"a size is a number with k, m or g, such as 500m, not {size!r}")
    return int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2]]


Workers = Annotated[int | None, typer.Option(help="Repositories at a time.", min=1)]
Plain = Annotated[bool, typer.Option("--plain", help="Write .jsonl, not .jsonl.zst.")]
Merges = Annotated[
    Literal["label", "first-parent"] | None,
    typer.Option(help="Merges without a diff (default), or with the diff to their first parent."),
]


def process(
    output: Annotated[Path | None, typer.Option(help="Folder for the commit files.")] = None,
    workers: Workers = None,
    plain: Plain = False,
    merges: Merges = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Extract commits as JSONL and curate them."""
    from awareness_pipeline.cli import work

    settings = settings_of(recipe, version, root, local)
    if output:
        settings = replace(settings, paths=replace(settings.paths, commits=output))
    settings = _with(settings, "extract", workers=workers, plain=plain or None, merges=merges)
    work.tell(settings, work.run_stages(settings, ["extract", "curate"]), as_machine=as_json)


def refresh(
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Ask for what was pushed since the last pass.")
    ] = False,
    liveness: Annotated[
        bool, typer.Option("--liveness", help="Look up, one by one, what no search showed lately.")
    ] = False,
    after_days: Annotated[
        float, typer.Option(help="With --liveness: not heard of for so many days.", min=0)
    ] = 30,
    min_stars: MinStars = None,
    include_niche: IncludeNiche = None,
    include_emerging: IncludeEmerging = None,
    languages: Languages = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    from_file: FromFile = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Ask again: for new repositories and new facts, or which of the known ones are still there.

    A refresh that was killed goes on where it stopped, if it is run again within a day.
    """
    from awareness_pipeline.cli import searches, work

    settings = settings_of(recipe, version, root, local, from_file)
    if incremental and liveness:
        raise UserError("choose one: --incremental or --liveness")
    if liveness:
        searches.say_swept(settings, after_days, as_machine=as_json)
        return
    settings = _with(
        settings,
        "discover",
        mode="incremental" if incremental else "refresh",
        min_stars=min_stars,
        include_niche=include_niche,
        include_emerging=include_emerging,
        languages=_split(languages),
    )
    work.tell(settings, work.run_stages(settings, ["discover"]), as_machine=as_json)


def reprocess(
    every: Annotated[bool, typer.Option("--all", help="Every repository.")] = False,
    repo: Annotated[str | None, typer.Option(help="One repository, OWNER/NAME.")] = None,
    stage: Annotated[str, typer.Option(help="The stage to redo.")] = "extract",
    workers: Workers = None,
    plain: Plain = False,
    merges: Merges = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Redo a stage under today's settings; what depends on it follows with its own command."""
    from awareness_pipeline.cli import again, work

    settings = settings_of(recipe, version, root, local)
    settings = _with(settings, "extract", workers=workers, plain=plain or None, merges=merges)
    if every == bool(repo):
        raise UserError("say what to redo: either --all or --repo OWNER/NAME")
    again.forget(settings, stage, repo)
    stages = ["extract", "curate"] if stage == "extract" else [stage]
    work.tell(settings, work.run_stages(settings, stages), as_machine=as_json)


def full(
    to: Annotated[str, typer.Option(help="The last stage; `evaluate` is all of them.")] = "curate",
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    from_file: FromFile = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Run the flow from discovery to curated commits, or on to another stage."""
    from awareness_pipeline.cli import work

    settings = settings_of(recipe, version, root, local, from_file)
    stages = work.between("discover", to)
    work.tell(settings, work.run_stages(settings, stages), as_machine=as_json)


def extract(
    path: Annotated[Path, typer.Argument(help="A git repository on this machine.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.jsonl or FILE.jsonl.zst.")],
    merges: Annotated[
        Literal["skip", "label", "first-parent"],
        typer.Option(
            help="Merges: not at all, without a diff, or with that to their first parent."
        ),
    ] = "skip",
) -> None:
    """Write the commits of one local repository as JSONL, oldest first."""
    from awareness_pipeline.doctor import require_git
    from awareness_pipeline.stages.extract import extract_repository

    require_git()
    done = extract_repository(path, output, merges=merges)
    print(f"{done.rows} commits in {output}")
    if done.unreadable:
        first = done.unreadable[0]
        print(
            f"{len(done.unreadable)} could not be read, the first {first.sha[:12]}: {first.reason}"
        )


def _with(
    settings: Settings, part: Literal["discover", "clone", "extract"], /, **options: Any
) -> Settings:
    """Return the settings with the options of a part that were given: those that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    return replace(settings, **{part: replace(getattr(settings, part), **given)})


def _split(languages: str | None) -> tuple[str, ...] | None:
    if languages is None:
        return None
    return tuple(name for part in languages.split(",") if (name := part.strip()))
