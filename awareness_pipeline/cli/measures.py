"""Commands that measure and foretell: metrics for Prometheus, and what a target will take."""

import json
from pathlib import Path
from typing import Annotated

import typer

from awareness_pipeline.cli.options import Json, Local, Recipe, Root, Version, settings_of


def metrics(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write a file, such as node_exporter's awareness.prom."),
    ] = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
) -> None:
    """Print every number of a version in Prometheus' text form, or write it to a file."""
    from awareness_pipeline.report.metrics import exposition, write_metrics

    settings = settings_of(recipe, version, root, local)
    if out:
        write_metrics(settings, out)
    else:
        print(exposition(settings), end="")


def plan(
    target: Annotated[
        int | None, typer.Option(help="So many repositories (default: the recipe's).", min=1)
    ] = None,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Estimate time, calls, disk, tokens and money for a target, from measured rates."""
    from dataclasses import asdict

    from awareness_pipeline.report.estimate import planned

    settings = settings_of(recipe, version, root, local)
    found = planned(settings, target or settings.discover.target)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        from awareness_pipeline.cli.table import print_plan

        print_plan(found)
