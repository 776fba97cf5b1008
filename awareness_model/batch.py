"""Batches: requests in, answers out, taken up again after a kill; greedy decoding and scoring.

Batches are formed over all requests before finished ones are skipped, and a batch with one missing
answer is computed whole, so a resumed run sees the same floats as an uninterrupted one. Rows are
padded on the left, so that every row's answer starts in the same column.

Limits: greedy only; a batch runs until its last row ends; no sharing of prompts' caches.
Shapes: B rows, T columns (padded), N new tokens, V vocabulary, k alternatives.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import torch

from awareness_model.schema import from_json, to_json, whole_lines, write_through


class Identified(Protocol):
    """A request or an answer: a row with an id."""

    @property
    def id(self) -> str:
        """Return what pairs a request with its answer."""
        ...


RequestT = TypeVar("RequestT")
Place: TypeAlias = tuple[list[int], list[float], float]
"""Ids, log-probabilities and tail mass at one place."""
AnswerT = TypeVar("AnswerT", bound=Identified)


@dataclass(frozen=True, slots=True)
class Alternatives:
    """The k likeliest tokens at each of N places, their log-probabilities, and what is left."""

    ids: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]
    tail_mass: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote in one row, the end-of-sequence token left out."""

    ids: tuple[int, ...]
    finish_reason: str
    """`stop`: the caller's stop test held; `end`: end of sequence; `length`: the limit came."""
    alternatives: Alternatives
    """Those that predicted `ids`, one place per token; empty where none were asked for."""


@dataclass(slots=True)
class _Row:
    """A row while it is being written."""

    limit: int
    reason: str
    ids: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def take(self, token: int, place: Place | None, ends: frozenset[int]) -> bool:
        """Add a token and return True, or end the row with it."""
        if token in ends:
            self.reason = "end"
            return False
        self.ids.append(token)
        if place:
            self.places.append(place)
        return True

    def close_if(self, stopped: bool) -> None:
        """End the row where it stopped or is full."""
        self.reason = "stop" if stopped else "length" if len(self.ids) >= self.limit else ""


def in_batches(
    rows: Iterable[RequestT], key: Callable[[RequestT], Any], size: int
) -> list[list[RequestT]]:
    """Return the rows in batches of `size`, ordered by `key` (length, then id): little padding."""
    ordered = sorted(rows, key=key)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def answer_batches(
    batches: Sequence[Sequence[Any]],
    answers: Path,
    kind: type[AnswerT],
    work: Callable[[Sequence[Any]], Iterable[AnswerT]],
    label: str,
    skip: Collection[str] = (),
) -> None:
    """Append every missing answer to `answers`, batch by batch, each batch synced to disk.

    Args:
        batches: requests with an `id`, in a fixed order.
        work: returns one answer per request of a batch.
        label: what the progress lines on stdout say.
        skip: ids that need no answer; they still take their part in forming batches.
    """
    done = finished_ids(answers, kind) | set(skip)
    total = sum(len(batch) for batch in batches)
    reached = 0
    answers.parent.mkdir(parents=True, exist_ok=True)
    with answers.open("ab") as file:
        for batch in batches:
            missing = {request.id for request in batch} - done
            if missing:
                rows = [row for row in work(batch) if row.id in missing]
                write_through(file, "".join(to_json(row) + "\n" for row in rows).encode())
            reached += len(batch)
            say_progress(label, reached, total)


def finished_ids(answers: Path, kind: type[AnswerT]) -> set[str]:
    """Return the ids answered so far; a torn last line of a killed run is cut off."""
    return {from_json(kind, line.decode()).id for line in whole_lines(answers) if line}


def read_ids(path: Path | None) -> list[str]:
    """Return the ids of a file, one a line; none without a file."""
    return path.read_text().split() if path else []


def say_progress(label: str, done: int, total: int) -> None:
    """Print one progress line, which the pipeline turns into a bar."""
    print(json.dumps({"progress": {"label": label, "done": done, "total": total}}), flush=True)


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the ids that end an answer."""
    named = model.generation_config.eos_token_id
    several = named if isinstance(named, list) else [named]
    return frozenset(id for id in (*several, tokenizer.eos_token_id) if id is not None)


@torch.inference_mode()
def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: frozenset[int],
    *,
    stopped: Callable[[int, list[int]], bool] = lambda row, ids: False,
    top_k: int = 0,
) -> list[Written]:
    """Continue each prompt by its likeliest token until it ends, stops or reaches its limit.

    Args:
        prompts: token ids per row, none empty.
        limits: most new tokens per row.
        ends: ids that end a row; they are no part of the answer.
        stopped: asked after each token with (row, ids so far).
        top_k: alternatives to keep at each place; 0: none.
    """
    tokens, mask = _left_padded(model, prompts)
    rows = [_Row(limit, "length" if limit < 1 else "") for limit in limits]
    cache = None
    while not all(row.reason for row in rows):
        out = model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=_positions(mask)[:, -tokens.shape[1] :],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        logits_BV = out.logits[:, -1].float()
        chosen = logits_BV.argmax(-1).tolist()
        best = _likeliest(logits_BV, top_k) if top_k else [None] * len(rows)
        for number, row in enumerate(rows):
            if not row.reason and row.take(chosen[number], best[number], ends):
                row.close_if(stopped(number, row.ids))
        tokens = torch.tensor(chosen, device=mask.device)[:, None]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
    return [Written(tuple(row.ids), row.reason, _gathered(row.places)) for row in rows]


@torch.inference_mode()
def score(
    model: Any, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], top_k: int
) -> list[Alternatives]:
    """Force the model along given responses; return what it would have said at each place.

    The distribution that predicts response token t is read where token t - 1 goes in (for t = 0,
    the prompt's last token), so place t belongs to token t.
    """
    places = _forced(model, prompts, responses)
    return [_gathered(_likeliest(logits_NV, top_k)) for logits_NV in places]


@torch.inference_mode()
def nats(
    model: Any, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]
) -> list[float]:
    """Return −log likelihood of each response behind its prompt, in nats, all tokens summed."""
    found = []
    for logits_NV, response in zip(_forced(model, prompts, responses), responses, strict=True):
        ids_N = torch.tensor(response, device=logits_NV.device)
        logprobs_N = logits_NV.log_softmax(-1).gather(1, ids_N[:, None])
        found.append(-logprobs_N.double().sum().item())
    return found


def _forced(
    model: Any, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]
) -> Iterator[torch.Tensor]:
    """Yield the logits `[N, V]` that predict each response, float32."""
    joined = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
    tokens, mask = _left_padded(model, joined)
    longest = max(len(response) for response in responses)
    out = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=_positions(mask),
        use_cache=False,
        logits_to_keep=longest + 1,
    )
    for row, response in enumerate(responses):
        yield out.logits[row, -len(response) - 1 : -1].float()


def _left_padded(model: Any, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, `[B, T]` each. The padding id is never attended to."""
    longest = max(len(row) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for number, row in enumerate(rows):
        tokens[number, longest - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[number, longest - len(row) :] = 1
    return tokens.to(model.device), mask.to(model.device)


def _positions(mask_BT: torch.Tensor) -> torch.Tensor:
    """Return positions `[B, T]` that count from each row's first real token."""
    return (mask_BT.cumsum(1) - 1).clamp(min=0)


def _likeliest(logits_NV: torch.Tensor, k: int) -> list[Place]:
    """Return (k ids, k log-probabilities, tail mass) for each of N places."""
    logprobs = logits_NV.log_softmax(-1)
    best = logprobs.topk(min(k, logprobs.shape[-1]), dim=-1)
    tail = (1 - best.values.exp().sum(-1)).clamp(0, 1)
    return list(zip(best.indices.tolist(), best.values.tolist(), tail.tolist(), strict=True))


def _gathered(places: Sequence[Place]) -> Alternatives:
    """Six decimals are kept: what float32 holds of a log-probability."""
    return Alternatives(
        ids=tuple(tuple(ids) for ids, _, _ in places),
        logprobs=tuple(tuple(round(value, 6) for value in values) for _, values, _ in places),
        tail_mass=tuple(round(tail, 6) for _, _, tail in places),
    )
