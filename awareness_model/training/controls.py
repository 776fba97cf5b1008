"""What memory is worth on a user's batches, with a shuffled control.

    S = NLL(another row's memory) − NLL(own memory)

Each number is a mean over the scored tokens, in nats, of the same rows. The other memory is that of
the next row of the batch whose memory differs; rows without such a neighbour are left out of all
three numbers. No memory is reported but is no yardstick: a reader that merely learns the form of
answers gains on it with any memory (reference/model.md, section 7.1). Limits: rows of a batch on
the same repository make the control milder than `awareness_model.evaluate`; the interval of S is
normal and takes rows for independent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import answered
from awareness_model.memory.batch import Memory
from awareness_model.training.rows import Rows

INCOMPARABLE = (
    "eval_dataloader has no batch of two rows with different memory, so nothing to compare their "
    "own with: give larger batches"
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Mean nats per scored token, after `step` steps."""

    step: int
    own: float
    """Each row reads its own memory."""
    other: float
    """Each row reads another row's."""
    none: float
    """The base model alone."""
    tokens: int
    """Scored tokens of the rows counted."""
    left_out: int
    """Rows without another memory in their batch."""
    low: float
    """Lower end of the 95 % interval of S, each row's mean weighing alike."""

    @property
    def S(self) -> float:
        """Return the specificity, in nats per token."""
        return self.other - self.own


@torch.no_grad()
def evaluate(decoder: ReasoningDecoder, batches: Iterable[Rows], step: int) -> Evaluation:
    """Return the three numbers over all batches.

    Raises:
        UserError: there is no batch, or no row has another memory beside it.
    """
    sums = torch.zeros(3, dtype=torch.float64)
    tokens = left_out = 0
    gains: list[Tensor] = []
    for rows in batches:
        others = other_rows(rows.memory)
        left_out += int((others < 0).sum())
        counted = (others >= 0).to(rows.targets.device)[rows.at[0]]
        shuffled = _taken(rows.memory, torch.where(others < 0, 0, others))
        said = [_nats(decoder, rows, memory) for memory in (rows.memory, shuffled, None)]
        nats = torch.stack(said)[:, counted].double().cpu()
        sums += nats.sum(1)
        tokens += int(counted.sum())
        gains.append(_by_row(nats[1] - nats[0], rows.at[0][counted].cpu()))
    if not tokens:
        raise UserError(INCOMPARABLE)
    own, other, none = (sums / tokens).tolist()
    return Evaluation(step, own, other, none, tokens, left_out, _low(torch.cat(gains)))


def _by_row(values: Tensor, rows: Tensor) -> Tensor:
    """Return the mean of the values of each row that has any."""
    found, place, count = rows.unique(return_inverse=True, return_counts=True)
    return values.new_zeros(len(found)).index_add(0, place, values) / count


def _low(gains: Tensor) -> float:
    """Return the mean less 1.96 standard errors; one row shows nothing above 0."""
    if len(gains) < 2:
        return min(float(gains.mean()), 0.0)
    return float(gains.mean() - 1.96 * gains.std() / len(gains) ** 0.5)


def refuse_incomparable(batches: Iterable[Rows]) -> None:
    """Raise UserError where `evaluate` would: before a training, not after it. Reads batches up to
    the first that can be compared."""
    if not any((other_rows(rows.memory) >= 0).any() for rows in batches):
        raise UserError(INCOMPARABLE)


def other_rows(memory: Memory) -> Tensor:
    """Return for each row the next row, cyclically, whose memory differs; −1 for none, `[B]`."""
    count = len(memory.mask)
    turns = [[(row + turn) % count for turn in range(1, count)] for row in range(count)]
    found = [
        next((other for other in turn if _differ(memory, row, other)), -1)
        for row, turn in enumerate(turns)
    ]
    return torch.tensor(found)


def _differ(memory: Memory, one: int, two: int) -> bool:
    seen = memory.mask[one], memory.mask[two]
    if not torch.equal(*seen):
        return True
    return any(
        not torch.equal(slots[one][seen[0]], slots[two][seen[1]])
        for slots in (memory.keys, memory.values)
    )


def _taken(memory: Memory, rows: Tensor) -> Memory:
    """Return a memory with the given rows of this one."""
    rows = rows.to(memory.mask.device)
    keys = memory.keys[rows]
    return Memory(
        keys,
        keys if memory.values is memory.keys else memory.values[rows],
        memory.mask[rows],
        memory.document[rows],
        memory.position[rows],
        None if memory.log_bias is None else memory.log_bias[rows],
    )


def _nats(decoder: ReasoningDecoder, rows: Rows, memory: Memory | None) -> Tensor:
    """Return −log likelihood of each scored token, `[N]`."""
    logits, _ = answered(
        decoder, rows.input_ids, rows.at, memory, attention_mask=rows.attention_mask
    )
    return F.cross_entropy(logits.float(), rows.targets, reduction="none")
