"""What a run did, as tables for people: a row per stage, then evidence and evaluation."""

import math
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from awareness_model.schema import READINGS
from awareness_pipeline.report.estimate import Line, Plan
from awareness_pipeline.report.evidence import HEAD, rows
from awareness_pipeline.standing import Standing
from awareness_pipeline.teacher.ledger import Spent

PLAIN_WIDTH = 150
"""Columns where stdout is no terminal: a log is not wrapped at 80."""


def print_stages(found: Iterable[Standing], title: str) -> None:
    """Print rows in, rows out, dropped by reason, seconds and state of stages."""
    table = Table(title=title, title_justify="left")
    for name in ("stage", "in", "out", "dropped", "seconds", "state"):
        table.add_column(name, justify="right" if name in ("in", "out", "seconds") else "left")
    for one in found:
        table.add_row(
            one.stage,
            f"{one.counts.rows_in:,}",
            f"{one.counts.rows_out:,}",
            ", ".join(f"{reason} {n:,}" for reason, n in sorted(one.counts.dropped.items())) or "–",
            f"{one.seconds:.1f}",
            f"{one.state} ({one.fresh})" if one.fresh else one.state,
        )
    console().print(table)


def print_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Print NLL by condition, S with its interval and R, a row per reader."""
    title = f"evaluation: {evaluation['n_items']} items, {evaluation['n_repos']} repositories"
    table = Table(title=f"{title} (nats per answer token)", title_justify="left")
    for name in ("layout", "own", "other", "none", "text", "S [95%]", "R"):
        table.add_column(name, justify="left" if name == "layout" else "right")
    for layout in READINGS:
        if found := evaluation.get(layout):
            nll = [_number(found["nll"][name]) for name in ("own", "other", "none", "text")]
            low, high = found["S_ci"]
            interval = f"{_number(found['S'])} [{_number(low)}, {_number(high)}]"
            table.add_row(layout, *nll, interval, _number(found["R"]))
    console().print(table)


def print_evidence(evidence: Mapping[str, Any]) -> None:
    """Print every difference with its interval, then why some are not clear of 0."""
    title = "evidence: NLL behind another's prompt or files − behind its own (nats per token)"
    table = Table(title=title, title_justify="left")
    for name in HEAD:
        if name != "verdict":
            table.add_column(name, justify="left" if name in HEAD[:2] else "right")
    for compared, against, _, *numbers in rows(evidence):
        table.add_row(
            compared, against, *(f"{one:,}" if isinstance(one, int) else one for one in numbers)
        )
    console().print(table)
    for line in evidence["unclear"]:
        console().print(f"not clear of 0: {line}", markup=False)


def print_ledger(found: Iterable[Spent]) -> None:
    """Print what asking cost, a row per model and stage."""
    table = Table(title="what the teacher cost, all runs together", title_justify="left")
    numbers = (
        "answers",
        "from cache",
        "tries",
        "prompt tokens",
        "answer tokens",
        "cost",
        "seconds",
    )
    for name in ("stage", "model", *numbers):
        table.add_column(name, justify="right" if name in numbers else "left")
    for one in found:
        counts = (one.requests, one.cached, one.tries, one.prompt_tokens, one.completion_tokens)
        cost = f"{one.cost:,.4f}" if one.cost else "–"
        shown = (*(f"{number:,}" for number in counts), cost, f"{one.seconds:,.1f}")
        table.add_row(one.stage, one.model, *shown)
    console().print(table)


def print_plan(found: Plan) -> None:
    """Print estimates by kind with their sums, then what is unknown and what is assumed."""
    table = Table(title=f"{found.target:,} repositories", title_justify="left")
    for name in ("what", "stage", "from", "middle", "to", "measured by"):
        table.add_column(name, justify="right" if name in ("from", "middle", "to") else "left")
    for total in found.totals:
        for one in (*(line for line in found.lines if line.what == total.what), total):
            numbers = (_amount(one, value) for value in (one.low, one.middle, one.high))
            style = "bold" if one is total else None
            what = one.unit if one.what == "tokens" else one.what
            table.add_row(what, one.stage, *numbers, one.source, style=style)
        table.add_section()
    console().print(table)
    for name in found.unknown:
        console().print(f"not measured: {name}", markup=False)
    for line in found.assumptions:
        console().print(f"assumed: {line}", markup=False, soft_wrap=True)


def _amount(one: Line, value: float) -> str:
    if one.what == "time":
        return span(value)
    if one.what != "disk":
        return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
    power = min(4, int(math.log10(max(value, 1)) // 3))
    return f"{value / 1000**power:.3g} {('B', 'KB', 'MB', 'GB', 'TB')[power]}"


def span(seconds: float | None) -> str:
    """Return a time as people say it: `12 s`, `3:25:00`, `4 days, 0:10:00`; `?` for None."""
    if seconds is None:
        return "?"
    return f"{seconds:.0f} s" if seconds < 100 else str(timedelta(seconds=round(seconds)))


def console() -> Console:
    """Return a console on today's stdout."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def _number(value: float | None) -> str:
    # Adding 0.0 turns -0.0 into 0.0.
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"
