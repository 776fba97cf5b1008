"""What the report shows from inside the files: funnels and samples of prompts, training losses.

Samples are drawn by a hash of what a prompt is about: the same files give the same ones, and new
prompts change few of them. Limits: all prompts of the partitions asked for are read.
"""

import heapq
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from awareness_model.schema import digest, read_rows
from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.config import Paths
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.standing import partition_records
from awareness_pipeline.teacher.funnel import STEPS
from awareness_pipeline.teacher.tasks import MESSAGE_STYLE, STYLES

__all__ = ["Curve", "Sample", "drawn_prompts", "funnels", "training_curve"]

SHOWN: Final = 20
"""Of the accepted prompts, and of the rejected."""
SEED: Final = "1"
NO_LOSS: Final = ("step", "lr", "grad_norm", "visible")


@dataclass(frozen=True, slots=True)
class Curve:
    """Training losses in nats per token; all of the same length as `steps`."""

    steps: tuple[int, ...]
    losses: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt that the model wrote for a commit, beside the commit's own message."""

    prompt: TaskPrompt
    message: str


def funnels(
    paths: Paths, version: str, partitions: Collection[str] | None = None
) -> dict[str, dict[str, int]]:
    """Return `{style: {step: prompts that reached it}}`, both in their order; empty: not run."""
    total: dict[str, dict[str, int]] = {}
    for _, record in _units(paths, version, partitions):
        found: Mapping[str, Mapping[str, int]] = record.extra.get("funnel", {})
        for style, steps in found.items():
            own = total.setdefault(style, dict.fromkeys(STEPS, 0))
            for step in STEPS:
                own[step] += steps[step]
    return {style: total[style] for style in (*STYLES, MESSAGE_STYLE) if style in total}


def drawn_prompts(
    paths: Paths, version: str, partitions: Collection[str] | None = None
) -> tuple[list[Sample], list[Sample]]:
    """Return `SHOWN` random prompts of the model that were accepted, and as many rejected."""
    both: dict[bool, list[Sample]] = {True: [], False: []}
    for folder, record in _units(paths, version, partitions):
        for name in sorted(record.files):
            found = _samples(folder / name)
            for accepted, kept in both.items():
                among = [*kept, *(one for one in found if one.prompt.accepted == accepted)]
                both[accepted] = heapq.nsmallest(SHOWN, among, key=_draw)
    return both[True], both[False]


def training_curve(paths: Paths, version: str) -> Curve | None:
    """Return the losses that training wrote down, or None where there are none."""
    for folder, _ in partition_records(paths, "gca_checkpoint", version):
        for path in sorted(folder.rglob("metrics.jsonl")):
            return _curve(path)
    return None


def _units(
    paths: Paths, version: str, partitions: Collection[str] | None
) -> Iterator[tuple[Path, Record]]:
    for folder, _ in partition_records(paths, "task_prompts", version):
        if partitions is None or folder.name in partitions:
            for path in sorted(folder.glob("*.record.json")):
                if record := read_record(path):
                    yield folder, record


def _samples(path: Path) -> list[Sample]:
    rows = list(read_rows(TaskPrompt, path))
    messages = {row.sha: row.prompt for row in rows if row.style == MESSAGE_STYLE}
    return [Sample(row, messages.get(row.sha, "")) for row in rows if row.style != MESSAGE_STYLE]


def _draw(one: Sample) -> str:
    return digest(SEED, str(one.prompt.repo_id), one.prompt.sha, one.prompt.style)


def _curve(path: Path) -> Curve | None:
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    if not rows:
        return None
    names = [name for name in rows[0] if name not in NO_LOSS]
    losses = {name: tuple(float(row[name]) for row in rows) for name in names}
    return Curve(tuple(int(row["step"]) for row in rows), losses)
