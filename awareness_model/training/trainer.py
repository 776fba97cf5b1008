"""AwarenessTrainer: a reader learns from batches of one's own.

    trainer = AwarenessTrainer(config)
    history = trainer.train(train_dataloader, teacher_model=teacher, eval_dataloader=eval_loader)

Batches are as `training.rows` says, losses as `training.learner`, controls as `training.controls`;
steps are those of the loop over traces (`loop.take`). Only the memory-reading layers train.
`config.training.steps` is the most that are taken; batches have the size they come with. After
every epoch the reader is saved to `output_dir/final`, for `ReasoningDecoder.from_pretrained`. The
same batches give the same weights. Limits: one device, plain AdamW in fp32 (`zero_stage` and the
curriculum are for `awareness_model.train`); a killed run starts anew.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from awareness_model import checkpoint
from awareness_model.config import Config, TrainingConfig, UserError, frozen, model_identity
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import PlainEngine
from awareness_model.loss import Weights
from awareness_model.training.controls import Evaluation, evaluate, refuse_incomparable
from awareness_model.training.learner import Learner
from awareness_model.training.loop import decisive, take
from awareness_model.training.rows import Rows, rows_of

Batches: TypeAlias = Iterable[Mapping[str, Any]]
"""A DataLoader, a list: what can be gone through once per epoch."""


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
        self.decoder = decoder or ReasoningDecoder(config.decoder)
        if self.decoder.config.layout != "latent":
            raise UserError("only the latent layout has something to train: config.decoder.layout")
        if self.training.precision != "fp32":
            raise UserError("AwarenessTrainer trains in fp32: set config.training.precision to it")

    def train(
        self,
        train_dataloader: Batches,
        teacher_model: Callable[..., Any] | None = None,
        eval_dataloader: Batches | None = None,
        *,
        epochs: int = 1,
        accumulate: int = 1,
    ) -> History:
        """Train, save to `output_dir/final`, and evaluate after each epoch.

        Args:
            teacher_model: gives `.logits` for `input_ids` and `attention_mask`, `[B, T]`; the KL to
                it weighs `kl_weight`.
            eval_dataloader: scored with own, other and no memory; needs two rows per batch.
            epochs: times the batches are gone through.
            accumulate: batches per optimizer step.

        Raises:
            UserError: no batches, a batch that does not fit, a teacher of another vocabulary, or a
                loss that is no number.
        """
        model_identity(self.decoder.config.model_name)
        training = self._planned(train_dataloader, epochs, accumulate)
        if eval_dataloader is not None:
            refuse_incomparable(self._rows(eval_dataloader))
        weights = Weights(training.kl_weight, training.citation_weight, training.null_weight)
        engine = PlainEngine(Learner(self.decoder, weights, teacher_model), training)
        engine.optimizer.zero_grad()
        losses: list[float] = []
        evaluations: list[Evaluation] = []
        data = blake2b(digest_size=16)
        while len(losses) < training.steps:
            with _at_rest(teacher_model):
                found = self._epoch(train_dataloader, accumulate, engine, training, len(losses))
                losses += [loss for loss, _ in found]
            for _, mark in found:
                data.update(mark)
            # saved before the evaluation, whose failure must not cost the training
            self._save(training, len(losses), data.hexdigest())
            if eval_dataloader is not None:
                rows = self._rows(eval_dataloader)
                evaluations.append(evaluate(self.decoder, rows, len(losses)))
        return History(len(losses), tuple(losses), tuple(evaluations))

    def _epoch(
        self,
        batches: Batches,
        accumulate: int,
        engine: PlainEngine[Rows],
        training: TrainingConfig,
        done: int,
    ) -> list[tuple[float, bytes]]:
        """Go through the batches once, or to the last step; return each step's loss and the digest
        of the tokens it read."""
        found: list[tuple[float, bytes]] = []
        rows = self._rows(batches)
        while done + len(found) < training.steps and (group := list(islice(rows, accumulate))):
            values = take(engine, group, done + len(found), training)
            found.append((values["loss"], _digest(group)))
        if not found:
            raise UserError("train_dataloader is empty: there is nothing to learn from")
        return found

    def _rows(self, batches: Batches) -> Iterator[Rows]:
        return (rows_of(batch, self.decoder.base.device) for batch in batches)

    def _planned(self, batches: Batches, epochs: int, accumulate: int) -> TrainingConfig:
        """Return the settings with the steps that will be taken."""
        if min(epochs, accumulate, self.training.steps) < 1:
            raise UserError("epochs, accumulate and config.training.steps must be at least 1")
        found = _count(batches, self.training.steps * accumulate)
        steps = min(self.training.steps, epochs * -(-found // accumulate))
        return TrainingConfig(**{**asdict(self.training), "steps": steps})

    def _save(self, training: TrainingConfig, step: int, data: str) -> None:
        folder = Path(training.output_dir) / "final"
        checkpoint.save(folder, self.decoder, step=step, settings=decisive(training), data=data)


def _count(batches: Batches, enough: int) -> int:
    """Return how many batches an epoch has; counted up to `enough` where it has no length.

    Raises:
        UserError: none, or they can be read once only.
    """
    if iter(batches) is batches:
        raise UserError("an iterator can be read once only: give a DataLoader or a list")
    try:
        count = len(batches)  # type: ignore[arg-type]
    except TypeError:  # a DataLoader over a stream has `__len__`, and refuses
        count = sum(1 for _ in islice(batches, enough))
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
