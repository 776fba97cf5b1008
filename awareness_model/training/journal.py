"""What a training writes down as it runs.

    metrics.jsonl   losses, rate and gradient norm of each step; the same on every run
    probe.jsonl     S on the probe, every `probe_every` steps; the same on every run
    timing.jsonl    seconds, tokens per second, MFU and memory of each step
    tensorboard/    the same as event files, where the package is installed

and, where `WANDB_API_KEY`, `WANDB_PROJECT` or `WANDB_MODE` is set, Weights & Biases. A resumed
training cuts off what lies beyond its checkpoint, and writes the event files anew from the lines.
Limits: rank 0 alone writes; a run at Weights & Biases is named by its folder and goes on there.
"""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from awareness_model.schema import digest

METRICS, PROBE, TIMING = "metrics.jsonl", "probe.jsonl", "timing.jsonl"
BOARD = "tensorboard"
WANDB = ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_MODE")

Board = Callable[[int, Mapping[str, float]], None]
"""Called with a step and its numbers."""


class Journal:
    """The files of a training, cut to the `done` steps that stand; boards open at the first row."""

    def __init__(self, folder: Path, done: int, *, tensorboard: bool = True) -> None:
        self.folder, self.tensorboard = folder, tensorboard
        self.closing: list[Callable[[], None]] = []
        self.kept = {name: _cut(folder / name, done) for name in (METRICS, PROBE, TIMING)}
        self.boards: list[Board] | None = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        for close in self.closing:
            close()

    def write(self, name: str, row: Mapping[str, float]) -> None:
        """Append a row that has a `step` to a file, and show its numbers on the boards."""
        if self.boards is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.boards = [*self._events(), *self._wandb()]
        with (self.folder / name).open("a") as file:
            file.write(json.dumps(row) + "\n")
        for show in self.boards:
            show(int(row["step"]), _tagged(name, row))

    def _events(self) -> list[Board]:
        shutil.rmtree(self.folder / BOARD, ignore_errors=True)
        if not self.tensorboard:
            return []
        try:
            writer = importlib.import_module("tensorboard.summary").Writer(str(self.folder / BOARD))
        except ImportError:
            print("note: no TensorBoard files (pip install tensorboard)", file=sys.stderr)
            return []
        self.closing.append(writer.close)

        def show(step: int, numbers: Mapping[str, float]) -> None:
            for tag, value in numbers.items():
                writer.add_scalar(tag, value, step)
            writer.flush()

        for name, rows in self.kept.items():
            for row in rows:
                show(int(row["step"]), _tagged(name, row))
        return [show]

    def _wandb(self) -> list[Board]:
        if not any(os.environ.get(name) for name in WANDB):
            return []
        try:
            wandb = importlib.import_module("wandb")
        except ImportError:
            print("note: nothing goes to Weights & Biases (pip install wandb)", file=sys.stderr)
            return []
        name = digest(str(self.folder.resolve()))
        run = wandb.init(dir=str(self.folder), id=name, resume="allow")
        self.closing.append(run.finish)
        return [lambda step, numbers: run.log(dict(numbers), step=step)]


def read(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file; a torn last one, left by a kill, is not one."""
    text = path.read_text() if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _cut(path: Path, done: int) -> list[dict[str, Any]]:
    """Drop the lines of steps that will be taken again; return those that stay."""
    if not path.is_file():
        return []
    kept = [row for row in read(path) if row["step"] <= done]
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text("".join(json.dumps(row) + "\n" for row in kept))
    aside.replace(path)
    return kept


def _tagged(name: str, row: Mapping[str, Any]) -> dict[str, float]:
    part = name.removesuffix(".jsonl")
    return {f"{part}/{key}": float(value) for key, value in row.items() if key != "step"}
