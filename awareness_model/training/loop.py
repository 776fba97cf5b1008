"""Training a reader on traces: schedules, one step, and the loop.

Everything a step depends on is a function of the settings, the samples and the step's number;
nothing is drawn from a global generator. A run killed at any step goes on from the newest
checkpoint; lines of `metrics.jsonl` (compared between runs) and `timing.jsonl` (not compared)
beyond that step are cut off. Limits: the learning rate ends at zero, so a finished training is not
prolonged; losses reported are those of rank 0.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from awareness_model import checkpoint
from awareness_model.config import TrainingConfig, UserError
from awareness_model.engine import Engine, Reader
from awareness_model.feed import Batch, Feed

BatchT = TypeVar("BatchT")

PLACES = ("output_dir", "checkpoint_every")
"""Settings that say where and how often to write, not what comes out."""


@dataclass(frozen=True, slots=True)
class Run:
    """Where a training writes and who it is among its ranks."""

    folder: Path
    data: str
    """Digest of the samples."""
    rank: int = 0
    say: Callable[[int, int], None] = lambda done, total: None
    """Called with (steps done, steps in all) after each step."""

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints that a killed run resumes from."""
        return self.folder / "checkpoints"

    @property
    def final(self) -> Path:
        """Return the folder of the finished reader."""
        return self.folder / "final"


def learning_rate_factor(step: int, training: TrainingConfig) -> float:
    """Return the share of the base rate at a step (from 0): linear warm-up, then cosine to 0."""
    warmup = max(math.ceil(training.warmup_fraction * training.steps), 1)
    if step < warmup:
        return (step + 1) / warmup
    through = (step - warmup) / max(training.steps - warmup, 1)
    return 0.5 * (1.0 + math.cos(math.pi * through))


def visible_documents(step: int, training: TrainingConfig) -> int:
    """Return how many documents a row may see at a step (from 0).

    Raises:
        UserError: the curriculum's stages and switches do not fit together.
    """
    stages = training.visible_documents
    switches = training.visible_switch or tuple(n / len(stages) for n in range(1, len(stages)))
    if len(switches) != len(stages) - 1 or list(switches) != sorted(switches) or min(stages) < 1:
        raise UserError(
            f"visible_documents {list(stages)} needs {len(stages) - 1} rising visible_switch "
            f"fractions, found {list(switches)}"
        )
    return stages[sum(step >= round(share * training.steps) for share in switches)]


def decisive(training: TrainingConfig) -> dict[str, Any]:
    """Return the settings that decide what comes out, as plain JSON values."""
    found = {name: value for name, value in asdict(training).items() if name not in PLACES}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in found.items()
    }


def fit(
    reader: Reader, feed: Feed, training: TrainingConfig, run: Run, engine: Engine[Batch]
) -> None:
    """Train to the last step and write the final reader, from the newest checkpoint if any.

    Raises:
        UserError: the folder holds another training, or the loss is no longer a number.
    """
    done = resume(training, run, engine)
    metrics, timing = run.folder / "metrics.jsonl", run.folder / "timing.jsonl"
    if run.rank == 0:
        _truncate(metrics, done)
        _truncate(timing, done)
    for step in range(done, training.steps):
        began = time.monotonic()
        visible = visible_documents(step, training)
        batch = feed.batch(step, visible)
        values = take(engine, [batch], step, training)
        if run.rank == 0:
            spent = time.monotonic() - began
            _append(metrics, {"step": step + 1, **values, "visible": visible})
            speed = {"seconds": spent, "tokens_per_second": batch.input_ids.numel() / spent}
            _append(timing, {"step": step + 1, **speed})
            run.say(step + 1, training.steps)
        if (step + 1) % training.checkpoint_every == 0 or step + 1 == training.steps:
            _save(run.checkpoints, reader, training, run, step + 1, engine)
    if run.rank == 0:
        checkpoint.save(
            run.final,
            reader.decoder,
            step=training.steps,
            settings=decisive(training),
            data=run.data,
        )


def take(
    engine: Engine[BatchT], batches: Sequence[BatchT], step: int, training: TrainingConfig
) -> dict[str, float]:
    """Take one optimizer step over batches that weigh alike; return the mean of their losses, the
    rate and the gradient's norm.

    Raises:
        UserError: a loss is no longer a number; the weights stay as they were before the step.
    """
    factor = learning_rate_factor(step, training)
    sums: dict[str, float] = {}
    for batch in batches:
        parts = engine(batch)
        values = parts.values()
        if not math.isfinite(values["loss"]):
            raise UserError(f"the loss is {values['loss']} at step {step + 1}: lower learning_rate")
        engine.backward(parts.total / len(batches))
        sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
    norm = engine.step(factor)
    means = {name: value / len(batches) for name, value in sums.items()}
    return {**means, "lr": training.learning_rate * factor, "grad_norm": norm}


def resume(training: TrainingConfig, run: Run, engine: Engine[Batch]) -> int:
    """Load the newest checkpoint into the engine; return the steps it has behind it.

    Raises:
        UserError: it belongs to a training with other settings or samples.
    """
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        return 0
    record = checkpoint.read_record(newest)
    refuse_other(record, training, run)
    engine.load(newest / checkpoint.ENGINE)
    return record.step


def refuse_other(record: checkpoint.CheckpointRecord, training: TrainingConfig, run: Run) -> None:
    """Raise UserError where a checkpoint was made with other settings or samples."""
    now = decisive(training)
    changed = [name for name, value in now.items() if record.settings.get(name) != value]
    if record.data != run.data:
        changed.append("the traces")
    if changed:
        raise UserError(
            f"{run.folder} holds a training with other settings ({', '.join(changed)}): "
            "choose another output_dir, or remove it to train anew"
        )


def _save(
    root: Path,
    reader: Reader,
    training: TrainingConfig,
    run: Run,
    step: int,
    engine: Engine[Batch],
) -> None:
    checkpoint.save(
        checkpoint.step_folder(root, step),
        reader.decoder,
        step=step,
        settings=decisive(training),
        data=run.data,
        engine=engine.save,
        leader=run.rank == 0,
    )
    if run.rank == 0:
        checkpoint.prune(root)


def _append(path: Path, row: Mapping[str, float]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def _truncate(path: Path, steps: int) -> None:
    """Drop the lines of steps that will be taken again, and a torn last line."""
    lines = path.read_text().splitlines()[:steps] if path.exists() else []
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text("".join(f"{line}\n" for line in lines))
    aside.replace(path)
