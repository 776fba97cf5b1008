"""The engines that take a training step.

    engine(batch) → Losses      forward
    engine.backward(total)      gradients
    engine.step(factor) → norm  one optimizer step at `factor` × the base learning rates

Two engines keep that seam: DeepSpeed (ZeRO; gloo on CPU), and plain AdamW for `zero_stage: 0` on
one device. Both save and load their optimizer state, so that a killed run goes on with the losses
it would have had. Limits: gradients of several batches before a step add up in the plain one alone.
"""

from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from awareness_model import checkpoint
from awareness_model.config import TrainingConfig, UserError, deepspeed_config
from awareness_model.decoder import ReasoningDecoder
from awareness_model.feed import Batch
from awareness_model.loss import Answers, Losses, Weights, losses
from awareness_model.memory.batch import Memory

BETAS = (0.9, 0.95)

BatchT = TypeVar("BatchT", contravariant=True)


class Learner(Protocol[BatchT]):
    """A decoder with losses over one kind of batch."""

    @property
    def decoder(self) -> ReasoningDecoder:
        """What trains."""

    def __call__(self, batch: BatchT) -> Losses:
        """Return the losses of a batch."""


class Reader(nn.Module):
    """A decoder with its losses: one forward pass from a batch to numbers."""

    def __init__(self, decoder: ReasoningDecoder, weights: Weights) -> None:
        super().__init__()
        self.decoder, self.weights = decoder, weights

    def forward(self, batch: Batch) -> Losses:
        """Return the losses of a batch; the head runs at positions that predict answers only."""
        batch = batch.to(self.decoder.base.device)
        at = batch.rows, batch.positions
        logits, mass = answered(self.decoder, batch.input_ids, at, batch.memory, want_mass=True)
        assert mass is not None
        answers = Answers(
            logits=logits,
            targets=batch.targets,
            topk_ids=batch.topk_ids,
            topk_logprobs=batch.topk_logprobs,
            tail_mass=batch.tail_mass,
            taught=batch.taught,
            gold_mass=(mass[..., 1:] * batch.gold[batch.rows]).sum(-1),
            null_mass=mass[..., 0],
            gold_visible=batch.gold.any(1)[batch.rows],
        )
        return losses(answers, self.weights)


class Engine(Protocol[BatchT]):
    """What the loop needs of whoever holds parameters and optimizer."""

    def __call__(self, batch: BatchT) -> Losses:
        """Return the losses of a batch."""

    def backward(self, total: Tensor) -> None:
        """Compute gradients."""

    def step(self, factor: float) -> float:
        """Clip, update at `factor` × the base rates, clear; return the gradient's norm before."""

    def save(self, folder: Path) -> None:
        """Write what a resumed run needs beyond the trained weights."""

    def load(self, folder: Path) -> None:
        """Take up what `save` wrote."""


class PlainEngine(Generic[BatchT]):
    """AdamW on one device."""

    def __init__(self, reader: Learner[BatchT], training: TrainingConfig) -> None:
        self.reader, self.clip = reader, training.grad_clip
        self.optimizer = optimizer(reader.decoder, training)

    def __call__(self, batch: BatchT) -> Losses:
        """Return the losses of a batch."""
        return self.reader(batch)

    def backward(self, total: Tensor) -> None:
        """Compute gradients."""
        total.backward()

    def step(self, factor: float) -> float:
        """Clip, update, clear; return the gradient's norm before clipping."""
        _set_rates(self.optimizer, factor)
        parameters = [one for group in self.optimizer.param_groups for one in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def save(self, folder: Path) -> None:
        """Write the optimizer's state; the weights are in the checkpoint beside it."""
        folder.mkdir()
        torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")

    def load(self, folder: Path) -> None:
        """Load the checkpoint's weights and the optimizer's state."""
        checkpoint.load_gca(self.reader.decoder, folder.parent)
        self.optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))


class DeepSpeedEngine:
    """DeepSpeed over however many ranks the launcher started."""

    TAG = "state"

    def __init__(self, reader: Reader, training: TrainingConfig) -> None:
        import deepspeed

        deepspeed.init_distributed()
        self.comm = deepspeed.comm
        self.engine, *_ = deepspeed.initialize(
            model=reader,
            optimizer=optimizer(reader.decoder, training),
            config=deepspeed_config(training, self.comm.get_world_size()),
        )

    def __call__(self, batch: Batch) -> Losses:
        """Return the losses of this rank's batch."""
        return self.engine(batch)

    def backward(self, total: Tensor) -> None:
        """Compute gradients, reduced over ranks."""
        self.engine.backward(total)

    def step(self, factor: float) -> float:
        """Clip, update, clear; return the gradient's norm before clipping."""
        _set_rates(self.engine.optimizer, factor)
        self.engine.step()
        return float(self.engine.get_global_grad_norm())

    def save(self, folder: Path) -> None:
        """Write weights and optimizer state of all ranks; the frozen base stays out."""
        self.comm.barrier()
        self.engine.save_checkpoint(
            str(folder), tag=self.TAG, save_latest=False, exclude_frozen_parameters=True
        )
        self.comm.barrier()

    def load(self, folder: Path) -> None:
        """Load what `save` wrote."""
        found, _ = self.engine.load_checkpoint(
            str(folder), tag=self.TAG, load_module_strict=False, load_lr_scheduler_states=False
        )
        if found is None:
            raise UserError(f"{folder} has no optimizer state; remove {folder.parent} to train on")


def optimizer(decoder: ReasoningDecoder, training: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW over what trains: gates at `gate_lr_factor` times the rate, and no weight decay
    on gates, norm gains and null slots (reference/model.md, section 3.5)."""
    groups = []
    for name, members in decoder.trainable_parameters().items():
        rate = training.learning_rate * (training.gate_lr_factor if name == "gates" else 1.0)
        decay = training.weight_decay if name == "projections" else 0.0
        parameters = list(members.values())
        groups.append({"params": parameters, "lr": rate, "rate": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=BETAS)


def answered(
    decoder: ReasoningDecoder,
    input_ids: Tensor,
    at: tuple[Tensor, Tensor],
    memory: Memory | None,
    *,
    attention_mask: Tensor | None = None,
    want_mass: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return logits `[N, V]` at (rows, positions), `[N]` each, the head run nowhere else; and with
    `want_mass` the attention mass there, `[L, N, M + 1]` over the middle half of the layers."""
    reading = None if memory is None else decoder.prepare(memory, want_mass)
    more = {} if reading is None else {"memory": reading}
    output = decoder.base.model(
        input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **more
    )
    logits = decoder.base.lm_head(output.last_hidden_state[at])
    if reading is None or reading.mass is None:
        return logits, None
    layers = middle_half(decoder.reading_layers)
    return logits, torch.stack([reading.mass[layer][at] for layer in layers])


def middle_half(layers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the middle half of the reading layers: those the citation loss looks at."""
    cut = len(layers) // 4
    return layers[cut : len(layers) - cut]


def _set_rates(optimizer: Any, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * factor
