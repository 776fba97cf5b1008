"""The numbers of a version as Prometheus reads them (text exposition format, version 0.0.4).

All are gauges, since outputs may be done again or removed: a rate is `deriv`, not `rate`. They are
read from records and the catalog when asked for, so a scrape may come from any machine that sees
the folder, or from node_exporter's textfile collector. Limits: what a run has in hand shows by its
units' records only; clones are measured file by file, which takes a while for many.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awareness_model.schema import READINGS, write_atomic
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Settings
from awareness_pipeline.flow import FLOW
from awareness_pipeline.report.numbers import evaluation_of
from awareness_pipeline.report.pace import FAILED, Pace, paces
from awareness_pipeline.report.samples import training_curve
from awareness_pipeline.standing import standings
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.ledger import account

HELP = {
    "rows_in": "Rows read by a stage.",
    "rows_out": "Rows that a stage left behind.",
    "rows_dropped": "Rows that a stage left out, by reason.",
    "units_done": "Units (repositories, mostly) with a record.",
    "units_failed": "Units that the last run could not do.",
    "units_open": "Units that wait.",
    "failures": "Units or rows that the next run tries again, by reason.",
    "partitions_done": "Partitions with a record.",
    "partitions": "Partitions.",
    "work_seconds": "Working time of all runs together.",
    "left_seconds": "Estimate of the work left, one process working.",
    "bytes": "Size on disk of what a stage left behind.",
    "repositories": "Repositories in the catalog, by state.",
    "search_calls": "Search calls of each language's last pass.",
    "teacher_requests": "Answers that were paid for.",
    "teacher_cached": "Answers that the cache had.",
    "teacher_tries": "Requests sent, those without an answer among them.",
    "teacher_tokens": "Tokens, of prompts and of answers.",
    "teacher_cost": "Money by the prices set, in their currency.",
    "teacher_seconds": "Time spent asking.",
    "loss": "The last losses of training.",
    "train_step": "The last step of training.",
    "evaluation_s": "S: nats per answer token by which own memory beats another repository's.",
    "evaluation_s_low": "Lower end of its 95 % interval.",
    "evaluation_s_high": "Upper end of its 95 % interval.",
    "evaluation_r": "R: share of what the same text in context would give.",
}
"""Every metric, without the prefix `awareness_`, and what it counts."""


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    value: float
    labels: tuple[tuple[str, str], ...]


def exposition(settings: Settings) -> str:
    """Return all metrics of a version as text."""
    found: dict[str, list[_Sample]] = {name: [] for name in HELP}
    for sample in _samples(settings):
        found[sample.name].append(sample)
    lines: list[str] = []
    for name, samples in found.items():
        if samples:
            lines += [f"# HELP awareness_{name} {HELP[name]}", f"# TYPE awareness_{name} gauge"]
            lines += [_line(one, settings.version) for one in samples]
    return "".join(f"{line}\n" for line in lines)


def write_metrics(settings: Settings, path: Path) -> None:
    """Write all metrics to a file, whole: node_exporter may read it at any moment."""
    write_atomic(path, exposition(settings).encode())


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what goes meanwhile is not counted."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118
    return total


def _line(one: _Sample, version: str) -> str:
    labels = (("version", version), *one.labels)
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"awareness_{one.name}{{{told}}} {one.value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _sample(name: str, value: float, **labels: str) -> _Sample:
    return _Sample(name, value, tuple(labels.items()))


def _samples(settings: Settings) -> Iterator[_Sample]:
    yield from _stages(settings)
    for one in paces(settings):
        yield from _pace(one)
    yield from _catalog(settings)
    yield from _teacher(settings)
    yield from _learning(settings)


def _stages(settings: Settings) -> Iterator[_Sample]:
    paths, version = settings.paths, settings.version
    for one in standings(paths, version):
        stage = {"stage": one.stage}
        if not one.partitions:
            continue
        yield _sample("rows_in", one.counts.rows_in, **stage)
        yield _sample("rows_out", one.counts.rows_out, **stage)
        for reason, number in sorted(one.counts.dropped.items()):
            if not reason.startswith(FAILED):
                yield _sample("rows_dropped", number, **stage, reason=reason)
    for step in FLOW:
        folder = paths.artifact(step.artifact) / version
        if folder.is_dir():
            yield _sample("bytes", size_of(folder), stage=step.name)


def _pace(one: Pace) -> Iterator[_Sample]:
    stage = {"stage": one.stage}
    yield _sample("units_done", one.done, **stage)
    yield _sample("units_failed", one.failed, **stage)
    yield _sample("units_open", one.open, **stage)
    yield _sample("partitions_done", one.partitions_done, **stage)
    yield _sample("partitions", one.partitions, **stage)
    yield _sample("work_seconds", round(one.seconds, 3), **stage)
    if one.left_s is not None:
        yield _sample("left_seconds", round(one.left_s, 3), **stage)
    for reason, number in one.failures.items():
        yield _sample("failures", number, **stage, reason=reason)


def _catalog(settings: Settings) -> Iterator[_Sample]:
    host = settings.source.host
    with Catalog(settings.paths.database_url) as catalog:
        states, passes = catalog.states(host), catalog.searches(host).passes()
    for state, number in states.items():
        yield _sample("repositories", number, state=state)
    for language, one in sorted(passes.items()):
        yield _sample("search_calls", one.calls, language=language)


def _teacher(settings: Settings) -> Iterator[_Sample]:
    for one in account(ledger_folder(settings)):
        who = {"stage": one.stage, "model": one.model}
        yield _sample("teacher_requests", one.requests, **who)
        yield _sample("teacher_cached", one.cached, **who)
        yield _sample("teacher_tries", one.tries, **who)
        yield _sample("teacher_tokens", one.prompt_tokens, **who, kind="prompt")
        yield _sample("teacher_tokens", one.completion_tokens, **who, kind="answer")
        yield _sample("teacher_cost", one.cost, **who)
        yield _sample("teacher_seconds", round(one.seconds, 3), **who)


def _learning(settings: Settings) -> Iterator[_Sample]:
    if curve := training_curve(settings.paths, settings.version):
        yield _sample("train_step", curve.steps[-1])
        for name, values in curve.losses.items():
            yield _sample("loss", values[-1], kind=name)
    evaluation: dict[str, Any] = evaluation_of(settings.paths, settings.version) or {}
    for layout in READINGS:
        if one := evaluation.get(layout):
            named = {"layout": layout}
            numbers = {"s": one["S"], "r": one["R"]}
            numbers |= dict(zip(("s_low", "s_high"), one["S_ci"], strict=True))
            for name, value in numbers.items():
                if value is not None:
                    yield _sample(f"evaluation_{name}", value, **named)
