"""DeepSpeed behind the seam of `engine`: ZeRO 0 to 3 over however many ranks, gloo on CPU.

Its checkpoints are not used: moments are gathered by the parameter's name (`moments`), so they fit
any number of ranks, any stage and the plain engine; each rank takes its share when they are loaded.
Limits: optimizer state passes through rank 0's memory; every rank reads the folder.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from awareness_model import moments
from awareness_model.config import TrainingConfig, deepspeed_config
from awareness_model.engine import Reader, optimizer, set_rates, trained
from awareness_model.feed import Batch
from awareness_model.loss import Losses


class _Plainly(nn.Module):
    """A reader whose losses come as a dict: ZeRO 3 looks into what a module returns, and knows no
    row with slots."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of a batch by name."""
        found = self.reader.forward(batch)  # not the call, whose hooks would look into it
        return {one.name: getattr(found, one.name) for one in fields(found)}


class DeepSpeedEngine:
    """DeepSpeed over however many ranks the launcher started."""

    def __init__(self, reader: Reader, training: TrainingConfig) -> None:
        import deepspeed

        deepspeed.init_distributed()
        self.deepspeed, self.comm, self.stage = deepspeed, deepspeed.comm, training.zero_stage
        self.named = trained(reader.decoder)
        self.engine, *_ = deepspeed.initialize(
            model=_Plainly(reader),
            optimizer=optimizer(reader.decoder, training),
            config=deepspeed_config(training, self.comm.get_world_size()),
        )
        self.norm, self.clip = 0.0, training.grad_clip
        if self.stage == 0:
            self.engine.clip_fp32_gradients = self._clip  # DeepSpeed's own does not keep the norm

    def __call__(self, batch: Batch) -> Losses:
        """Return the losses of this rank's batch."""
        return Losses(**self.engine(batch))

    def backward(self, total: Tensor) -> None:
        """Compute gradients, reduced over ranks."""
        self.engine.backward(total, scale_wrt_gas=False)

    def step(self, factor: float) -> float:
        """Clip, update, clear; return the gradient's norm before clipping."""
        set_rates(self.engine.optimizer, factor)
        self.engine.step()
        return self.norm if self.stage == 0 else float(self.engine.get_global_grad_norm())

    def whole(self) -> AbstractContextManager[None]:
        """Gather what ZeRO 3 has shared out."""
        if self.stage < 3:
            return nullcontext()
        return self.deepspeed.zero.GatheredParameters(list(self.named.values()))

    def save(self, folder: Path) -> None:
        """Gather the moments and have rank 0 write them."""
        inner = self._inner()
        if self.stage == 0:
            found = moments.of(inner, self.named)
        else:
            self._link()
            get = self.deepspeed.utils.safe_get_full_optimizer_state
            found = {
                f"{name}.{kind}": get(parameter, kind)
                for name, parameter in self.named.items()
                for kind in moments.KINDS
            }
        if self.comm.get_rank() == 0:
            moments.save(folder, found, moments.steps(inner))

    def load(self, folder: Path) -> None:
        """Take up the moments, each rank its share."""
        found, steps = moments.load(folder)
        inner = self._inner()
        if self.stage == 0:
            moments.put(inner, self.named, found, steps)
            return
        self._make_room(inner, steps)
        for name, parameter in self.named.items():
            for kind in moments.KINDS:
                self._put(parameter, found[f"{name}.{kind}"], kind)

    def _inner(self) -> Any:
        """Return the AdamW that DeepSpeed wraps, or uses as it is."""
        return getattr(self.engine.optimizer, "optimizer", self.engine.optimizer)

    def _make_room(self, inner: Any, steps: float) -> None:
        """Give every flat part of this rank moments of zero: torch makes them at the first step."""
        zero = self.engine.optimizer
        name = (
            "fp32_partitioned_groups_flat" if self.stage == 3 else "single_partition_of_fp32_groups"
        )
        for flat in getattr(zero, name):
            inner.state[flat] = {kind: torch.zeros_like(flat) for kind in moments.KINDS}
            inner.state[flat]["step"] = torch.tensor(steps)
        self._link()

    def _link(self) -> None:
        """Have ZeRO 1 and 2 find the moments of every group: DeepSpeed 0.19 links them after the
        first group's first step, when the other groups have none yet."""
        if self.stage < 3:
            self.engine.optimizer._hp_optimizer_states_linked = False
            self.engine.optimizer._lazy_init_hp_params_optimizer_state()

    def _clip(self) -> None:
        self.norm = float(nn.utils.clip_grad_norm_(list(self.named.values()), self.clip))

    def _put(self, parameter: Any, moment: Tensor, kind: str) -> None:
        if self.stage < 3:
            moment = moment.to(parameter.device)
            self.deepspeed.utils.safe_set_full_optimizer_state(parameter, moment, kind)
            return
        size, rank = parameter.ds_tensor.numel(), self.comm.get_rank()
        filled = nn.functional.pad(
            moment.flatten(), (0, size * self.comm.get_world_size() - moment.numel())
        )
        share = filled[rank * size : (rank + 1) * size]
        self.deepspeed.utils.safe_set_local_optimizer_state(parameter, share, kind)
