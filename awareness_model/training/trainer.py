"""AwarenessTrainer: a reader learns from batches of one's own.

    trainer = AwarenessTrainer(config)
    history = trainer.train(train_dataloader, teacher_model=teacher, eval_dataloader=eval_loader)

Batches are as `training.rows` says, losses as `training.learner`, controls as `training.controls`;
steps are those of the loop over traces (`loop.take`). Only what reads memory trains. All batches
are gone through `num_epochs` times; `config.training.steps`, if not 0, ends it earlier. Batches
have the size they come with. After every epoch the reader is saved to `output_dir/final`, for
`ReasoningDecoder.from_pretrained`. The same batches give the same weights.

A killed training goes on with `train(…, resume=True)`: the batches that were read before are read
again, without work, so that shuffles come out the same, and must be the same. Limits: one device,
plain AdamW (`zero_stage` and the curriculum are for `awareness_model.train`).
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from awareness_model import checkpoint
from awareness_model.config import (
    Config,
    TrainingConfig,
    UserError,
    compute_type,
    frozen,
    model_identity,
)
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import Engine, PlainEngine, autocast, train_in_float32
from awareness_model.loss import Weights
from awareness_model.training.controls import Evaluation, evaluate, refuse_incomparable
from awareness_model.training.journal import METRICS, PROBE, Journal, read
from awareness_model.training.learner import Learner
from awareness_model.training.loop import refuse_other, take
from awareness_model.training.rows import Rows, rows_of
from awareness_model.training.run import Run
from awareness_model.training.schedule import decisive

Batches: TypeAlias = Iterable[Mapping[str, Any]]
"""A DataLoader, a list: what can be gone through once per epoch."""

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class History:
    """What a training did."""

    steps: int
    losses: tuple[float, ...]
    """The whole loss of each step, in nats."""
    evaluations: tuple[Evaluation, ...]
    """One after each epoch; none without an eval_dataloader."""


class AwarenessTrainer:
    """Trains `decoder`, made from `config.decoder` unless one is given."""

    def __init__(self, config: Config, decoder: ReasoningDecoder | None = None) -> None:
        self.training = frozen(config.training)
        ranks = self.training.lora_rank, self.training.encoder_rank
        made = replace(config.decoder, lora_rank=ranks[0], encoder_rank=ranks[1])
        self.decoder = decoder or ReasoningDecoder(made)
        if self.decoder.config.layout != "latent":
            raise UserError("only the latent layout has something to train: config.decoder.layout")
        own = self.decoder.config
        if (own.lora_rank, own.encoder_rank) != ranks:
            raise UserError(
                f"the decoder has lora_rank {own.lora_rank} and encoder_rank {own.encoder_rank}: "
                "set those of config.training to them"
            )
        compute_type(self.training.precision)
        train_in_float32(self.decoder)

    def train(
        self,
        train_dataloader: Batches,
        teacher_model: Callable[..., Any] | None = None,
        eval_dataloader: Batches | None = None,
        *,
        epochs: int | None = None,
        accumulate: int | None = None,
        resume: bool = False,
    ) -> History:
        """Train, save to `output_dir/final`, and evaluate after each epoch.

        Args:
            teacher_model: gives `.logits` for `input_ids` and `attention_mask`, `[B, T]`; the KL to
                it weighs `kl_weight`.
            eval_dataloader: scored with own, other and no memory; needs two rows per batch.
            epochs: times the batches are gone through; None: `config.training.num_epochs`.
            accumulate: batches per optimizer step; None: `config.training.accumulate`.
            resume: go on from the newest checkpoint in `output_dir`, if there is one; otherwise
                those of an earlier training are removed.

        Raises:
            UserError: no batches, a batch that does not fit, a teacher of another vocabulary, a
                loss that is no number, or a checkpoint of other settings or batches.
        """
        model_identity(self.decoder.config.model_name)
        training = self._planned(train_dataloader, epochs, accumulate)
        if eval_dataloader is not None:
            refuse_incomparable(self._rows(eval_dataloader))
        weights = Weights.of(training)
        course = self._begin(training, Learner(self.decoder, weights, teacher_model), resume)
        evaluated = {row["step"]: _evaluation(row) for row in read(course.folder / PROBE)}
        with course.journal:
            while course.step < training.steps:
                with _at_rest(teacher_model):
                    self._epoch(train_dataloader, course)
                if course.step < course.done:
                    continue
                # saved before the evaluation, whose failure must not cost the training
                self._save(course, course.folder / "final")
                if eval_dataloader is not None and course.step not in evaluated:
                    found = self._evaluate(eval_dataloader, course.step)
                    course.journal.write(PROBE, {**asdict(found), "S": found.S})
                    evaluated[found.step] = found
        losses = tuple(row["loss"] for row in read(course.folder / METRICS))
        return History(course.step, losses, tuple(evaluated.values()))

    def _begin(self, training: TrainingConfig, learner: Learner, resume: bool) -> "_Course":
        """Take up the newest checkpoint, or clear the folder of those of an earlier training."""
        folder = Path(training.output_dir)
        if not resume:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        newest = checkpoint.latest(folder / CHECKPOINTS)
        done, expected = 0, ""
        if newest is not None:
            record = checkpoint.read_record(newest)
            refuse_other(record, training, Run(folder, record.data))
            checkpoint.load_gca(self.decoder, newest)
            done, expected = record.step, record.data
        engine = PlainEngine(learner, training)
        engine.optimizer.zero_grad()
        if newest is not None:
            engine.load(newest / checkpoint.ENGINE)
        journal = Journal(folder, done, tensorboard=training.tensorboard)
        return _Course(training, engine, journal, folder, done, expected)

    def _epoch(self, batches: Batches, course: "_Course") -> None:
        """Go through the batches once, or to the last step; what was learned before is skipped."""
        rows, before = self._rows(batches), course.step
        while course.step < course.training.steps:
            group = list(islice(rows, course.training.accumulate))
            if not group:
                break
            course.data.update(_digest(group))
            course.step += 1
            if course.step > course.done:
                self._step(group, course)
            elif course.step == course.done and course.data.hexdigest() != course.expected:
                raise UserError(
                    f"{course.folder} holds a training on other batches: give the same ones in the "
                    "same order, or train without resume"
                )
        if course.step == before:
            raise UserError("train_dataloader is empty: there is nothing to learn from")

    def _step(self, group: list[Rows], course: "_Course") -> None:
        training, step = course.training, course.step
        values = take(course.engine, group, step - 1, training)
        course.journal.write(METRICS, {"step": step, **values})
        if step % training.checkpoint_every == 0 or step == training.steps:
            root = course.folder / CHECKPOINTS
            self._save(course, checkpoint.step_folder(root, step), course.engine.save)
            checkpoint.prune(root, training.keep_checkpoints)

    def _evaluate(self, batches: Batches, step: int) -> Evaluation:
        with autocast(self.decoder.base.device.type, self.training.precision):
            return evaluate(self.decoder, self._rows(batches), step)

    def _rows(self, batches: Batches) -> Iterator[Rows]:
        return (rows_of(batch, self.decoder.base.device) for batch in batches)

    def _planned(
        self, batches: Batches, epochs: int | None, accumulate: int | None
    ) -> TrainingConfig:
        """Return the settings with the steps that will be taken."""
        training = self.training
        times = training.num_epochs if epochs is None else epochs
        together = training.accumulate if accumulate is None else accumulate
        if min(times, together) < 1 or training.steps < 0:
            raise UserError("epochs and accumulate must be at least 1, config.training.steps 0")
        found = _count(batches, training.steps * together)
        steps = times * -(-found // together)
        return TrainingConfig(
            **{
                **asdict(training),
                "num_epochs": times,
                "accumulate": together,
                "steps": min(steps, training.steps or steps),
            }
        )

    def _save(
        self, course: "_Course", folder: Path, engine: Callable[[Path], None] | None = None
    ) -> None:
        checkpoint.save(
            folder,
            self.decoder,
            step=course.step,
            settings=decisive(course.training),
            data=course.data.copy().hexdigest(),
            engine=engine,
        )


@dataclass(slots=True)
class _Course:
    """A training on its way."""

    training: TrainingConfig
    engine: Engine[Rows]
    journal: Journal
    folder: Path
    done: int
    """Steps behind the checkpoint it goes on from."""
    expected: str
    """Digest of the tokens that these steps read."""
    step: int = 0
    data: Any = field(default_factory=partial(blake2b, digest_size=16))


def _evaluation(row: Mapping[str, Any]) -> Evaluation:
    return Evaluation(**{name: value for name, value in row.items() if name != "S"})


def _count(batches: Batches, enough: int) -> int:
    """Return how many batches an epoch has; where it has no length they are counted, up to
    `enough` if that is not 0.

    Raises:
        UserError: none, or they can be read once only.
    """
    if iter(batches) is batches:
        raise UserError("an iterator can be read once only: give a DataLoader or a list")
    try:
        count = len(batches)  # type: ignore[arg-type]
    except TypeError:  # a DataLoader over a stream has `__len__`, and refuses
        count = sum(1 for _ in islice(batches, enough or None))
    if not count:
        raise UserError("train_dataloader is empty: there is nothing to learn from")
    return count


def _digest(group: Iterable[Rows]) -> bytes:
    """Return a digest of the tokens that a step read."""
    state = blake2b(digest_size=16)
    for rows in group:
        state.update(rows.input_ids.cpu().numpy().tobytes())
    return state.digest()


@contextmanager
def _at_rest(teacher: Any) -> Iterator[None]:
    """Have a teacher in eval mode inside, and as it was afterwards."""
    modules = list(teacher.modules()) if isinstance(teacher, nn.Module) else []
    modes = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
