"""What a reader is worth: exact answers about needles, nats on remote tokens, every control beside.

    own      the documents that decide, among others of the same kind or package
    other    as many of other needles, or of the package nearest in size: nothing that decides
    none     the base model without memory
    text     own documents in the base model's context, behind a BOS: what memory stands for

Answers are scored in one pass over prompt and answer; that all tokens are the likeliest ones is
what greedy writing would give. Limits: each document is one chunk or few; one order of documents
in `text`, the one of the row.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import sink_token
from awareness_model.evaluation.needles import Task, ask
from awareness_model.question import boundary
from awareness_model.reader.needle_rows import Known
from awareness_model.reader.rows import Batch, Row, Shelf, batch

GROUP = 8
"""Rows of one pass."""


@dataclass(frozen=True, slots=True)
class Score:
    """One row's answers."""

    nats: float
    tokens: int
    exact: float
    """Share of answers of which every token was the likeliest."""


@torch.no_grad()
def read(decoder: ReasoningDecoder, rows: Sequence[Row], shelf: Shelf) -> list[Score]:
    """Return the scores of rows that read memory."""
    made: list[Score] = []
    for start in range(0, len(rows), GROUP):
        group = rows[start : start + GROUP]
        one = batch(group, shelf, decoder.tokenizer.pad_token_id)
        reading = decoder.prepare(one.memory)
        output = decoder.base.model(one.ids, attention_mask=one.mask, memory=reading)
        made += _scored(decoder, one, group, output.last_hidden_state)
    return made


@torch.no_grad()
def plain(decoder: ReasoningDecoder, rows: Sequence[Row]) -> list[Score]:
    """Return the scores of rows without memory."""
    made: list[Score] = []
    for row in rows:
        counted = [place for begin, end in row.answers for place in range(begin, end)]
        ids = torch.tensor([row.ids])
        states = decoder.base.model(ids, use_cache=False).last_hidden_state
        places = torch.tensor(counted)
        one = _Counted(torch.zeros_like(places), places - 1, ids[0, places])
        made += _scored(decoder, one, [row], states)
    return made


def in_context(decoder: ReasoningDecoder, row: Row, texts: Mapping[str, Sequence[int]]) -> Row:
    """Return a row with its documents as text before it.

    Args:
        texts: ids of documents, by name.
    """
    first = sink_token(decoder.tokenizer, decoder.base.config)
    before = [first, *(one for name in row.visible for one in texts[name])]
    shift = len(before)
    answers = tuple((begin + shift, end + shift) for begin, end in row.answers)
    return replace(row, ids=(*before, *row.ids), answers=answers)


@dataclass(frozen=True, slots=True)
class _Counted:
    rows: Tensor
    places: Tensor
    targets: Tensor


def _scored(
    decoder: ReasoningDecoder, one: Batch | _Counted, group: Sequence[Row], states: Tensor
) -> list[Score]:
    logits = decoder.base.lm_head(states[one.rows, one.places])
    nats = F.cross_entropy(logits, one.targets, reduction="none").tolist()
    right = (logits.argmax(-1) == one.targets).tolist()
    made, place = [], 0
    for row in group:
        begun, exact = place, 0
        for begin, end in row.answers:
            exact += all(right[place : place + end - begin])
            place += end - begin
        made.append(Score(sum(nats[begun:place]), place - begun, exact / len(row.answers)))
    return made


def needle_rows(tokenizer: Any, documents: Sequence[Known], asked: "Asked") -> list[Row]:
    """Return one row a question: a needle's document among others, in a drawn order."""
    made = []
    functions = [one for one in documents if one.needle is not None]
    for number, known in enumerate(functions[: asked.count]):
        assert known.needle is not None
        drawn = random.Random(f"asked {asked.visible} {number}")
        rest = [one.path for one in functions if one is not known]
        shown = [known.path, *drawn.sample(rest, asked.visible - 1)]
        drawn.shuffle(shown)
        if asked.is_other:
            absent = drawn.choice([one for one in rest if one not in shown])
            shown = [absent if one == known.path else one for one in shown]
        question = ask(known.needle, asked.task)
        prompt, answer = boundary(tokenizer, question.prompt, question.answer)
        ids = (*prompt, *answer)
        made.append(Row("needle", ids, ((len(prompt), len(ids)),), tuple(shown), frozenset()))
    return made


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about needles."""

    visible: int
    count: int
    task: Task = "value"
    is_other: bool = False


def mean(scores: Sequence[Score]) -> dict[str, float]:
    """Return nats per answer token and the share of exact answers."""
    tokens = sum(one.tokens for one in scores)
    return {
        "nll": sum(one.nats for one in scores) / tokens,
        "exact": sum(one.exact for one in scores) / len(scores),
    }
