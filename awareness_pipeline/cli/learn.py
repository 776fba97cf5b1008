"""Commands from task prompts to the evaluation."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from awareness_pipeline.cli.options import Json, Local, Recipe, Root, Version, settings_of
from awareness_pipeline.config import Reverse, Settings, UserError

MaxCost = Annotated[
    float | None,
    typer.Option(help="Stop before the endpoint has cost so much, in your currency.", min=0),
]
MaxTokens = Annotated[
    int | None, typer.Option(help="Stop before so many tokens are read and written.", min=0)
]


def tasks(
    styles: Annotated[
        str | None,
        typer.Option(help="Styles to write, with commas between them; the message is always one."),
    ] = None,
    judge: Annotated[
        bool | None,
        typer.Option("--judge/--no-judge", help="Have the model rate what the gate accepts."),
    ] = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Have the language model write the tasks that each commit answers (stage reverse)."""
    from awareness_pipeline.cli import work

    settings = _within(settings_of(recipe, version, root, local), max_cost, max_tokens)
    reverse = settings.reverse
    if styles is not None:
        reverse = replace(reverse, styles=_styles(styles, Reverse().styles))
    if judge is not None:
        reverse = replace(reverse, judge=judge)
    settings = replace(settings, reverse=reverse)
    work.tell(settings, work.run_stages(settings, ["reverse"]), as_machine=as_json)


def traces(
    target: Annotated[
        Literal["teacher", "commit", "both"] | None,
        typer.Option(help="What answers a task: the teacher itself, the true diff, or both."),
    ] = None,
    edit_form: Annotated[
        Literal["search-replace", "unified"] | None,
        typer.Option(help="How a true diff is written."),
    ] = None,
    styles: Annotated[
        str | None, typer.Option(help="Styles of the tasks to answer, with commas between them.")
    ] = None,
    multi_hop: Annotated[
        bool,
        typer.Option("--multi-hop", help="Only tasks that need two files beyond the touched ones."),
    ] = False,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Have the teacher answer with the repository in its context (stage distil).

    An answer is its own, or a commit's true diff along which it is forced.
    """
    from awareness_pipeline.cli import work

    settings = _within(settings_of(recipe, version, root, local), max_cost, max_tokens)
    distil = settings.distil
    if styles is not None:
        distil = replace(distil, styles=_styles(styles, distil.styles))
    distil = replace(
        distil,
        target=target or distil.target,
        edit_form=edit_form or distil.edit_form,
        multi_hop_only=multi_hop or distil.multi_hop_only,
    )
    settings = replace(settings, distil=distil)
    work.tell(settings, work.run_stages(settings, ["distil"]), as_machine=as_json)


def audit(
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Measure whether task prompts and traces say anything of their commits."""
    from awareness_pipeline.cli import work

    settings = settings_of(recipe, version, root, local)
    work.tell(settings, work.run_stages(settings, ["audit"]), as_machine=as_json)


def encode(
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Encode documents once into memory."""
    from awareness_pipeline.cli import work

    settings = settings_of(recipe, version, root, local)
    work.tell(settings, work.run_stages(settings, ["encode"]), as_machine=as_json)


def evaluate(
    eval_type: Annotated[
        Literal["needle", "perplexity", "all"] | None,
        typer.Option(help="Measure on installed packages instead: no repository is needed."),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="With --eval-type: where the report goes.")
    ] = None,
    reader: Annotated[
        list[str] | None,
        typer.Option(help="With --eval-type: a trained reader's folder, or none; repeatable."),
    ] = None,
    control: Annotated[
        str, typer.Option(help="With --eval-type: a reader trained on shuffled memory.")
    ] = "",
    lines: Annotated[
        int, typer.Option(help="With --eval-type: lines of packages (160).", min=0)
    ] = 0,
    haystack_lines: Annotated[
        int, typer.Option(help="With --eval-type: lines around the needles (10,000).", min=0)
    ] = 0,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="With --eval-type.")
    ] = "float32",
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Measure own memory against another repository's, none, and text in context."""
    from awareness_pipeline.cli import work

    settings = settings_of(recipe, version, root, local)
    if eval_type is None:
        work.tell(settings, work.run_stages(settings, ["evaluate"]), as_machine=as_json)
        return
    from awareness_pipeline.stages.evaluate import PackagesAsked, of_packages

    asked = PackagesAsked(
        eval_type, output_dir, tuple(reader or ()), control, lines, haystack_lines, precision
    )
    found = of_packages(settings, asked)
    print((found / "report.json").read_text() if as_json else found / "report.html")


def _styles(given: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return styles in the order of those known. Raises UserError for another one, or none."""
    asked = {style.strip() for style in given.split(",")} - {""}
    if wrong := sorted(asked - set(known)) or (["none"] if not asked else []):
        raise UserError(f"--styles takes some of {', '.join(known)}, not {', '.join(wrong)}")
    return tuple(style for style in known if style in asked)


def _within(settings: Settings, max_cost: float | None, max_tokens: int | None) -> Settings:
    """Return settings with the limits given; those of the environment stand otherwise."""
    teacher = settings.teacher
    if max_cost is not None:
        teacher = replace(teacher, max_cost=max_cost)
    if max_tokens is not None:
        teacher = replace(teacher, max_tokens=max_tokens)
    return replace(settings, teacher=teacher)
