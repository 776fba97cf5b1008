"""What a step of the loop over traces says: rows for the journal, numbers for whoever watches.

Limits: times and memory are rank 0's; tokens per second are those of all ranks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from awareness_model.config import TrainingConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.feed import Batch
from awareness_model.training.controls import Evaluation
from awareness_model.training.journal import METRICS, PROBE, TIMING, Journal
from awareness_model.training.run import Run
from awareness_model.training.speed import Arithmetic, arithmetic, memory_mib, peak

Tell: TypeAlias = Callable[
    [int, Mapping[str, float], Sequence[Batch], float, Evaluation | None], None
]
"""Called with steps done, losses, what was computed, its seconds, and a look at the probe."""


@contextmanager
def telling(
    run: Run, decoder: ReasoningDecoder, training: TrainingConfig, done: int
) -> Iterator[Tell]:
    """Yield what tells of a step; on other ranks than the first it says nothing."""
    if run.rank:
        yield lambda *_: None
        return
    device, work = str(decoder.base.device), arithmetic(decoder)
    seen: dict[str, float] = {}

    def tell(
        step: int,
        values: Mapping[str, float],
        batches: Sequence[Batch],
        seconds: float,
        look: Evaluation | None,
    ) -> None:
        journal.write(METRICS, {"step": step, **values})
        timing = {
            "seconds": seconds,
            "tokens_per_second": _tokens(batches) * run.ranks / seconds,
            "mfu": _operations(work, batches) / seconds / peak(device),
            "memory_mib": memory_mib(device),
        }
        journal.write(TIMING, {"step": step, **timing})
        if look:
            seen["S"] = look.S
            nats = {"own": look.own, "other": look.other, "none": look.none, "low": look.low}
            journal.write(PROBE, {"step": step, **nats, **seen})
        run.say(step, training.steps, {"loss": values["loss"], **seen, **timing})

    with Journal(run.folder, done, tensorboard=training.tensorboard) as journal:
        yield tell


def _tokens(batches: Sequence[Batch]) -> int:
    return sum(batch.input_ids.numel() for batch in batches)


def _operations(work: Arithmetic, batches: Sequence[Batch]) -> float:
    return sum(
        work.step(batch.input_ids.numel(), batch.targets.numel(), batch.memory.mask.numel())
        for batch in batches
    )
