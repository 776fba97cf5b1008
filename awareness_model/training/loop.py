"""Training a reader on traces: one step, and the loop that a kill does not spoil.

Everything a step depends on is a function of the settings, the samples, the step's number and where
the course stands (`curriculum`); nothing is drawn from a global generator. A run killed at any step
goes on from the newest checkpoint, and what was written of later steps is cut off (`journal`).
Limits: with several ranks a loss is the mean over them, each weighing alike.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from awareness_model import checkpoint, ranks
from awareness_model.config import TrainingConfig, UserError
from awareness_model.engine import Engine, Learner, Reader
from awareness_model.feed import Batch, Feed
from awareness_model.training.curriculum import Course, phases_of
from awareness_model.training.lessons import Lessons
from awareness_model.training.probe import Probe
from awareness_model.training.run import Run
from awareness_model.training.schedule import decisive, learning_rate_factor
from awareness_model.training.telling import telling

BatchT = TypeVar("BatchT")
LearnerT = TypeVar("LearnerT", bound=Learner[Any])


def fit(
    reader: Reader,
    feed: Feed,
    training: TrainingConfig,
    run: Run,
    make: Callable[[Reader, TrainingConfig], Engine[Batch]],
) -> None:
    """Train to the last step and write the final reader, from the newest checkpoint if any.

    Args:
        training: with the number of steps (`planned`).
        make: makes the engine, once the reader has the weights it goes on from.

    Raises:
        UserError: the folder holds another training, or the loss is no longer a number.
    """
    phases = phases_of(training, feed.samples.kinds)
    lessons = Lessons.of(reader.decoder, feed, training)
    done, engine = resume(reader, training, run, make)
    course, probe = Course(phases, training, _standing(run)), Probe(lessons, training)
    with telling(run, reader.decoder, training, done) as tell:
        for step in range(done, training.steps):
            began = time.monotonic()
            phase = course.at(step)
            batches = [lessons.batch(phase, step, piece) for piece in range(training.accumulate)]
            values = take(engine, batches, step, training)
            seconds = time.monotonic() - began
            look, measured = None, course.due(step + 1)
            if measured or probe.due(step + 1):
                look = probe.look(reader.decoder, phase, step + 1)
            if measured and look:
                course.heard(step + 1, *ranks.mean([look.low]))
            tell(step + 1, {**values, **phase.values}, batches, seconds, look)
            if (step + 1) % training.checkpoint_every == 0 or step + 1 == training.steps:
                _save(reader, training, run, step + 1, course, engine)
    with engine.whole():
        if run.rank == 0:
            _write(run.final, reader, training, run, training.steps, course)


def take(
    engine: Engine[BatchT], batches: Sequence[BatchT], step: int, training: TrainingConfig
) -> dict[str, float]:
    """Take one optimizer step over batches that weigh alike; return the mean of their losses over
    all ranks, the rate and the gradient's norm.

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
    means = ranks.mean([value / len(batches) for value in sums.values()])
    return {
        **dict(zip(sums, means, strict=True)),
        "lr": training.learning_rate * factor,
        "grad_norm": norm,
    }


def resume(
    reader: LearnerT,
    training: TrainingConfig,
    run: Run,
    make: Callable[[LearnerT, TrainingConfig], Engine[BatchT]],
) -> tuple[int, Engine[BatchT]]:
    """Give the reader the newest checkpoint's weights and make its engine; return the steps that
    are behind it, and the engine.

    Raises:
        UserError: the checkpoint belongs to a training with other settings or samples.
    """
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        return 0, make(reader, training)
    record = checkpoint.read_record(newest)
    refuse_other(record, training, run)
    checkpoint.load_gca(reader.decoder, newest)
    engine = make(reader, training)
    engine.load(newest / checkpoint.ENGINE)
    return record.step, engine


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


def _standing(run: Run) -> Mapping[str, Any] | None:
    """Return where the course stood at the newest checkpoint, if there is one."""
    newest = checkpoint.latest(run.checkpoints)
    return checkpoint.read_record(newest).course if newest else None


def _save(
    reader: Reader,
    training: TrainingConfig,
    run: Run,
    step: int,
    course: Course,
    engine: Engine[Batch],
) -> None:
    with engine.whole():
        folder = checkpoint.step_folder(run.checkpoints, step)
        _write(folder, reader, training, run, step, course, engine.save)
    if run.rank == 0:
        checkpoint.prune(run.checkpoints, training.keep_checkpoints)


def _write(
    folder: Path,
    reader: Reader,
    training: TrainingConfig,
    run: Run,
    step: int,
    course: Course,
    engine: Callable[[Path], None] | None = None,
) -> None:
    checkpoint.save(
        folder,
        reader.decoder,
        step=step,
        settings=decisive(training),
        data=run.data,
        engine=engine,
        leader=run.rank == 0,
        course=course.state,
    )
