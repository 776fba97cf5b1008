"""Batches for training: which samples and which documents a step sees.

Both are functions of (seed, step) and the samples alone, so a resumed run sees what an
uninterrupted one would have seen. `views` says what a row sees. Samples of like length share a
batch.

Held-out samples are never in a batch of the training; they are asked for by name (`held_out`).
Slots are pooled by a number drawn for the step. A row that would see more than `most_slots` loses
its last documents, never gold.

A trace of text only (`top_k` 0) has no teacher distribution: its tokens count for CE alone.

Shapes: B rows, T prompt and answer tokens (padded at the end), N answer tokens of all rows, k
teacher alternatives, M memory slots. Limits: traces and documents are read from disk at every step.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from awareness_model.config import TrainingConfig, UserError
from awareness_model.data import Documents, Sample, Samples
from awareness_model.memory.batch import Memory, Slots, collate
from awareness_model.views import View, view

WINDOW: Final = 16
"""Batches among which samples are sorted by length: less padding, order still nearly free."""


Pool: TypeAlias = tuple[str, bool]
"""A kind of trace (empty: all of them), and whether its held-out samples are meant."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of samples, ready for the decoder."""

    input_ids: Tensor
    """[B, T]; the fillers at the end are never attended to by a token that counts."""
    rows: Tensor
    """[N] the row of each answer token."""
    positions: Tensor
    """[N] the position whose output predicts the token."""
    targets: Tensor
    """[N]"""
    topk_ids: Tensor
    """[N, k]"""
    topk_logprobs: Tensor
    """[N, k]; −inf for fillers."""
    tail_mass: Tensor
    """[N]"""
    taught: Tensor
    """[N] bool: the token has a teacher distribution."""
    memory: Memory
    gold: Tensor
    """[B, M] bool: slots of gold documents."""
    may_lack_gold: bool = False
    """Gold is hidden from a share of the samples of this step: told alike on all ranks."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on a device; the memory moves when it is read."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True, slots=True)
class Feed:
    """Batches by step number, for one of `ranks` processes."""

    samples: Samples
    store: Documents
    training: TrainingConfig
    filler: int
    """A token id to pad with."""
    rank: int = 0
    ranks: int = 1
    _pools: dict[Pool, list[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Samples by kind, and whether they are held out."""
    _epochs: dict[Pool, tuple[int, list[list[int]]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The newest epoch of each pool that was dealt, so that it is shuffled once."""

    @property
    def steps_per_epoch(self) -> int:
        """Return the steps in which all samples are gone through once."""
        return self._steps(("", False))

    def batch(
        self,
        step: int,
        visible: int,
        piece: int = 0,
        *,
        kind: str = "",
        gold_absent: float | None = None,
        held_out: bool = False,
    ) -> Batch:
        """Return this rank's batch of a step, with `visible` documents per row: one piece of
        `accumulate`. What a step sees, all ranks and pieces together, depends on neither.

        Args:
            kind: of the traces; empty: all of them.
            gold_absent: share of the samples whose gold is hidden; None: as the settings say.
            held_out: of the samples that are not trained on.
        """
        share = list(enumerate(self._chosen(step, kind, held_out)))[self.rank :: self.ranks]
        numbered = share[piece :: self.training.accumulate]
        absent = self.training.gold_absent if gold_absent is None else gold_absent
        views = [
            self._view(self.samples.usable[sample], step, place, visible, absent)
            for place, sample in numbered
        ]
        rows = [self.samples.usable[sample].row for _, sample in numbered]
        traces = self.samples.traces.take(rows)
        p = pooling(step, self.training)
        made = collate_batch(traces, views, self.store, self.training, self.filler, p)
        return replace(made, may_lack_gold=absent > 0)

    def _chosen(self, step: int, kind: str = "", held_out: bool = False) -> list[int]:
        """Return the samples of a step, all ranks together."""
        pool = kind, held_out
        epoch, place = divmod(step, self._steps(pool))
        if pool not in self._epochs or self._epochs[pool][0] != epoch:
            members = self._members(pool)
            lengths = [self.samples.usable[one].length for one in members]
            dealt = batches_of(epoch, lengths, self.training.batch_size, self.training.seed)
            found = [[members[one] for one in batch] for batch in dealt]
            self._epochs[pool] = epoch, found
        return self._epochs[pool][1][place]

    def _members(self, pool: Pool) -> list[int]:
        """Return the samples of a pool, found once."""
        if pool not in self._pools:
            self._pools[pool] = self.samples.of(*pool)
        return self._pools[pool]

    def _steps(self, pool: Pool) -> int:
        return max(len(self._members(pool)) // self.training.batch_size, 1)

    def _view(self, sample: Sample, step: int, place: int, visible: int, share: float) -> View:
        draw = random.Random(f"documents {self.training.seed} {step} {place}")
        absent = draw.random() < share
        return view(sample, self.samples, visible, draw, absent)


def pooling(step: int, training: TrainingConfig) -> int:
    """Return the tokens of a slot at a step: one of those the settings name, drawn by its number
    (Activation Beacon: one reader then serves every budget of bytes)."""
    draw = random.Random(f"pooling {training.seed} {step}")
    return draw.choice(training.pooling)


def batches_of(epoch: int, lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Return the batches of an epoch: a shuffle cut into batches of `size` samples of like length.

    What does not fill a batch is left for another epoch. With fewer samples than `size`, samples
    repeat.
    """
    count = len(lengths)
    batches = max(count // size, 1)
    draw = random.Random(f"samples {seed} {epoch}")
    order = draw.sample(range(count), count)
    order = [order[n % count] for n in range(batches * size)]
    cut: list[list[int]] = []
    for start in range(0, len(order), WINDOW * size):
        window = sorted(order[start : start + WINDOW * size], key=lambda one: lengths[one])
        cut += [window[n : n + size] for n in range(0, len(window), size)]
    return draw.sample(cut, len(cut))


def collate_batch(
    traces: Sequence[Mapping[str, Any]],
    views: Sequence[View],
    store: Documents,
    training: TrainingConfig,
    filler: int,
    pooling: int = 1,
) -> Batch:
    """Put traces and what they see together, `pooling` tokens to a slot."""
    wanted = sorted({one for row in views for one in (*row.gold, *row.others)})
    found = dict(zip(wanted, store.chunks(wanted), strict=True))
    documents = [_fitting(row, found, training.most_slots * pooling) for row in views]
    memory = collate(documents, pooling=pooling)
    golden = torch.tensor([len(row.gold) for row in views])[:, None]
    rows = [_tokens(trace, training) for trace in traces]
    teacher = _teacher(traces, [len(answer) for _, answer in rows])
    gold = (memory.document >= 0) & (memory.document < golden)
    return put_together(rows, filler, teacher, memory, gold)


def put_together(
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    filler: int,
    teacher: Mapping[str, Tensor],
    memory: Memory,
    gold: Tensor,
) -> Batch:
    """Return the batch of (prompt, answer) tokens, every answer token scored."""
    longest = max(len(prompt) + len(answer) - 1 for prompt, answer in rows)
    ids = torch.full((len(rows), longest), filler)
    at: list[tuple[int, int]] = []
    for number, (prompt, answer) in enumerate(rows):
        read = [*prompt, *answer[:-1]]
        ids[number, : len(read)] = torch.tensor(read)
        at += [(number, len(prompt) - 1 + place) for place in range(len(answer))]
    return Batch(
        input_ids=ids,
        rows=torch.tensor([row for row, _ in at]),
        positions=torch.tensor([position for _, position in at]),
        targets=torch.tensor([token for _, answer in rows for token in answer]),
        topk_ids=teacher["topk_ids"],
        topk_logprobs=teacher["topk_logprobs"],
        tail_mass=teacher["tail_mass"],
        taught=teacher["taught"],
        memory=memory,
        gold=gold,
    )


def untaught(tokens: int) -> dict[str, Tensor]:
    """Return the teacher's part of a batch that nothing is taught in."""
    return {
        "topk_ids": torch.zeros(tokens, 0, dtype=torch.long),
        "topk_logprobs": torch.zeros(tokens, 0),
        "tail_mass": torch.zeros(tokens),
        "taught": torch.zeros(tokens, dtype=torch.bool),
    }


def _fitting(row: View, found: Mapping[str, Sequence[Slots]], most: int) -> list[Sequence[Slots]]:
    """Return what a row sees: gold, and the others up to the first that is too much."""
    shown = [found[one] for one in row.gold]
    held = sum(len(chunk.keys) for document in shown for chunk in document)
    for one in row.others:
        held += sum(len(chunk.keys) for chunk in found[one])
        if held > most and shown:
            break
        shown.append(found[one])
    return shown


def _teacher(traces: Sequence[Mapping[str, Any]], lengths: Sequence[int]) -> dict[str, Tensor]:
    """Return the teacher's distributions, padded to the widest row; none for text only."""
    width = max((len(row) for trace in traces for row in trace["topk_ids"]), default=0)
    ids: list[list[int]] = []
    logprobs: list[list[float]] = []
    tail: list[float] = []
    for trace, length in zip(traces, lengths, strict=True):
        for row, known, rest in _distributions(trace, length):
            fill = width - len(row)
            ids.append([*row, *[row[0] if row else 0] * fill])
            logprobs.append([*known, *[float("-inf")] * fill])
            tail.append(rest)
    return {
        "topk_ids": torch.tensor(ids, dtype=torch.long).reshape(len(ids), width),
        "topk_logprobs": torch.tensor(logprobs).reshape(len(ids), width),
        "tail_mass": torch.tensor(tail),
        "taught": torch.tensor([bool(row) and row[0] > float("-inf") for row in logprobs]),
    }


def _distributions(
    trace: Mapping[str, Any], length: int
) -> list[tuple[list[int], list[float], float]]:
    """Return (ids, log-probabilities, tail) of the answer's first tokens; empty for text only.

    Raises:
        UserError: the trace promises alternatives and does not have them for every token.
    """
    if not trace["top_k"]:
        return [([], [], 0.0)] * length
    columns = [trace[name] for name in ("topk_ids", "topk_logprobs", "tail_mass")]
    if any(len(column) != len(trace["response_ids"]) for column in columns):
        raise UserError(
            f"trace {trace['trace_id']} has not as many distributions as answer tokens: "
            "run distil again"
        )
    return list(zip(*(column[:length] for column in columns), strict=True))


def _tokens(trace: Mapping[str, Any], training: TrainingConfig) -> tuple[list[int], list[int]]:
    """Return the end of the prompt and the start of the answer that are read."""
    prompt = trace["student_prompt_ids"][-training.max_prompt_tokens :]
    return prompt, trace["response_ids"][: training.max_answer_tokens]
