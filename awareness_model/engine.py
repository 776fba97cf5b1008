"""What takes a training step: the seam, and plain AdamW behind it.

    engine(batch) → Losses      forward
    engine.backward(total)      gradients; those of several batches before a step add up
    engine.step(factor) → norm  one optimizer step at `factor` × the base learning rates

Two engines keep the seam: this one, on one device, and DeepSpeed's (`sharded`). Both leave the same
file of moments, so a killed run goes on with the losses it would have had, and under the other
engine too. What trains is fp32; in `bf16` and `fp16` the forward pass runs under autocast. Limits:
fp16's loss scale begins anew on a resume.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from awareness_model import moments
from awareness_model.config import TrainingConfig, compute_type
from awareness_model.decoder import ReasoningDecoder
from awareness_model.feed import Batch
from awareness_model.loss import Answers, Losses, Weights, entropy, losses
from awareness_model.memory.batch import Memory

BETAS = (0.9, 0.95)
DECAYED = ("projections", "encoder")
"""Groups whose weights decay; gates, norm gains, null slots and low-rank adapters do not
(reference/model.md, section 3.5)."""

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
        train_in_float32(decoder)

    def forward(self, batch: Batch) -> Losses:
        """Return the losses of a batch; the head runs at positions that predict answers only."""
        batch = batch.to(self.decoder.base.device)
        at = batch.rows, batch.positions
        base = None
        if batch.may_lack_gold:
            with torch.no_grad():
                base, _ = answered(self.decoder, batch.input_ids, at, None)
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
            entropy=entropy(mass) if self.weights.sparsity else None,
            base=base,
        )
        return losses(answers, self.weights)


class Engine(Protocol[BatchT]):
    """What the loop needs of whoever holds parameters and optimizer."""

    def __call__(self, batch: BatchT) -> Losses:
        """Return the losses of a batch."""

    def backward(self, total: Tensor) -> None:
        """Compute gradients, adding to those since the last step."""

    def step(self, factor: float) -> float:
        """Clip, update at `factor` × the base rates, clear; return the gradient's norm before."""

    def whole(self) -> AbstractContextManager[None]:
        """Have what trains whole on every rank inside; every rank enters."""

    def save(self, folder: Path) -> None:
        """Write what a resumed run needs beside the trained weights; every rank calls it."""

    def load(self, folder: Path) -> None:
        """Take up what `save` wrote; the weights are already those of that step."""


class PlainEngine(Generic[BatchT]):
    """AdamW on one device."""

    def __init__(self, reader: Learner[BatchT], training: TrainingConfig) -> None:
        self.reader, self.training = reader, training
        self.optimizer = optimizer(reader.decoder, training)
        self.named = trained(reader.decoder)
        self.device = reader.decoder.base.device.type
        self.scaler = torch.amp.GradScaler(self.device, enabled=training.precision == "fp16")

    def __call__(self, batch: BatchT) -> Losses:
        """Return the losses of a batch."""
        with autocast(self.device, self.training.precision):
            return self.reader(batch)

    def backward(self, total: Tensor) -> None:
        """Compute gradients."""
        self.scaler.scale(total).backward()

    def step(self, factor: float) -> float:
        """Clip, update, clear; return the gradient's norm before clipping."""
        set_rates(self.optimizer, factor)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(list(self.named.values()), self.training.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def whole(self) -> AbstractContextManager[None]:
        """Return a context that changes nothing: one device has all of it."""
        return nullcontext()

    def save(self, folder: Path) -> None:
        """Write the moments; the weights are in the checkpoint beside them."""
        moments.save(folder, moments.of(self.optimizer, self.named), moments.steps(self.optimizer))

    def load(self, folder: Path) -> None:
        """Take up the moments."""
        moments.put(self.optimizer, self.named, *moments.load(folder))


def optimizer(decoder: ReasoningDecoder, training: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW over what trains: each group of `trainable_parameters` at its own rate, gates at
    `gate_lr_factor` times the base rate; weight decay on `DECAYED` alone."""
    rates = {
        "gates": training.learning_rate * training.gate_lr_factor,
        "encoder": training.encoder_learning_rate,
        "lora": training.lora_learning_rate,
    }
    groups = []
    for name, members in decoder.trainable_parameters().items():
        rate = rates.get(name, training.learning_rate)
        decay = training.weight_decay if name in DECAYED else 0.0
        if parameters := list(members.values()):
            groups.append({"params": parameters, "lr": rate, "rate": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=BETAS)


def trained(decoder: ReasoningDecoder) -> dict[str, nn.Parameter]:
    """Return every parameter that trains by its name, sorted."""
    groups = decoder.trainable_parameters().values()
    return dict(sorted((name, one) for group in groups for name, one in group.items()))


def train_in_float32(decoder: ReasoningDecoder) -> None:
    """Make what trains fp32, whatever the base model's type: its steps vanish in half precision."""
    for parameter in trained(decoder).values():
        parameter.data = parameter.data.float()


def autocast(device: str, precision: str) -> torch.autocast:
    """Return the context in which matrix products run in `precision`.

    Raises:
        UserError: no such precision.
    """
    kind: torch.dtype = getattr(torch, compute_type(precision))
    return torch.autocast(device, kind if precision != "fp32" else None, precision != "fp32")


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
    layers = middle_half(decoder.reading_layers)
    reading = None if memory is None else decoder.prepare(memory, layers if want_mass else False)
    more = {} if reading is None else {"memory": reading}
    output = decoder.base.model(
        input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **more
    )
    logits = decoder.base.lm_head(output.last_hidden_state[at])
    if reading is None or reading.mass is None:
        return logits, None
    return logits, torch.stack([reading.mass[layer][at] for layer in layers])


def middle_half(layers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the middle half of the reading layers: those the citation loss looks at."""
    cut = len(layers) // 4
    return layers[cut : len(layers) - cut]


def set_rates(optimizer: Any, factor: float) -> None:
    """Set every group's rate to `factor` × its own."""
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * factor
