"""What memory is worth on held-out questions: own against shuffled, none, edited and permuted.

`exact` counts questions of which every digit is the likeliest one: what greedy decoding would
write, since a digit is judged behind the right digits before it, and the first wrong one decides.
Memory that is merely present is no yardstick (reference/model.md, section 7.1); shuffled memory is.
"""

import copy
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.engine import answered
from awareness_model.memory.batch import Memory
from awareness_model.proof.learner import scored
from awareness_model.proof.states import documents, visible
from awareness_model.proof.task import Fact, Lesson, shuffled

EVERY: Final = 4
"""One in so many documents is edited."""


@dataclass(frozen=True, slots=True)
class Score:
    """Means over questions."""

    exact: float
    digits: float
    """Share of digits that are right."""
    nll: float
    """Nats per digit."""


@torch.no_grad()
def compared(
    decoder: ReasoningDecoder, encoder: ContextEncoder, asked: Lesson
) -> tuple[Score, Score]:
    """Return the scores with own and with shuffled memory."""
    held = documents(encoder, [fact.document for fact in asked.facts])
    other = shuffled(asked)
    own = _scored(decoder, asked, visible(held, asked.views))
    return own, _scored(decoder, other, visible(held, other.views))


@torch.no_grad()
def controls(decoder: ReasoningDecoder, encoder: ContextEncoder, asked: Lesson) -> dict[str, Any]:
    """Return every control by name.

    own, shuffled, none: scores. edited: every fourth document gets another value and is encoded
    again, alone; scores of those questions against the new value, `stale` against the old one,
    `kept` of the other questions. written: exact match of what `generate` writes. permuted: the
    largest change of a logit when documents are given in the opposite order; turned: when all slots
    lie in the opposite order, in float64, so that rounding hides nothing.
    """
    held = documents(encoder, [fact.document for fact in asked.facts])
    seen, other = visible(held, asked.views), shuffled(asked)
    opposite = Lesson(asked.facts, tuple(view[::-1] for view in asked.views))
    gap = _logits(decoder, opposite, visible(held, opposite.views)) - _logits(decoder, asked, seen)
    news = edited(asked)
    changed = visible(_encoded_again(encoder, news, held), asked.views)
    ours = torch.arange(len(asked.facts)) % EVERY == 0
    scores = {
        "own": _scored(decoder, asked, seen),
        "shuffled": _scored(decoder, other, visible(held, other.views)),
        "none": _scored(decoder, asked, None),
        "edited": _scored(decoder, news, changed, ours),
        "stale": _scored(decoder, asked, changed, ours),
        "kept": _scored(decoder, asked, changed, ~ours),
    }
    named: dict[str, Any] = {name: asdict(score) for name, score in scores.items()}
    named["written"] = _written(decoder, asked, seen)
    named["permuted"] = gap.abs().max().item()
    named["turned"] = turned_gap(decoder, asked, seen)
    return named


@torch.no_grad()
def turned_gap(decoder: ReasoningDecoder, asked: Lesson, memory: Memory) -> float:
    """Return the largest change of a logit when a memory's slots lie in the opposite order."""
    wide = copy.deepcopy(decoder)
    wide.base.double()
    gap = _logits(wide, asked, memory) - _logits(wide, asked, turned(memory))
    return gap.abs().max().item()


def turned(memory: Memory) -> Memory:
    """Return a memory with its slots in the opposite order."""
    keys, values = memory.keys.flip(1), memory.values.flip(1)
    bias = None if memory.log_bias is None else memory.log_bias.flip(1)
    place = memory.document.flip(1), memory.position.flip(1)
    return Memory(keys, values, memory.mask.flip(1), *place, bias)


def edited(asked: Lesson) -> Lesson:
    """Return the lesson with another value, in every digit, for every fourth fact."""
    facts = [
        replace(fact, value=_other_value(fact)) if row % EVERY == 0 else fact
        for row, fact in enumerate(asked.facts)
    ]
    return Lesson(tuple(facts), asked.views)


def _other_value(fact: Fact) -> str:
    return "".join(str((int(digit) + 3 + place) % 10) for place, digit in enumerate(fact.value))


def _encoded_again(encoder: ContextEncoder, news: Lesson, held: Memory) -> Memory:
    """Return the memory with the edited documents' slots replaced, the others as they are."""
    keys = held.keys.clone()
    for row in range(0, len(news.facts), EVERY):
        keys[row] = documents(encoder, [news.facts[row].document]).keys[0]
    return Memory(keys, keys, held.mask, held.document, held.position)


def _logits(decoder: ReasoningDecoder, asked: Lesson, memory: Memory) -> Tensor:
    """Return logits `[B, digits, V]`."""
    ids, at, _ = scored(decoder, asked)
    return answered(decoder, ids, at, memory)[0].unflatten(0, (len(asked.facts), -1))


def _scored(
    decoder: ReasoningDecoder, asked: Lesson, memory: Memory | None, where: Tensor | None = None
) -> Score:
    """Score the questions, or those chosen by `where` `[B]`."""
    ids, at, targets = scored(decoder, asked)
    logits, _ = answered(decoder, ids, at, memory)
    right = (logits.argmax(-1) == targets).view(len(asked.facts), -1)
    nats = F.cross_entropy(logits.float(), targets, reduction="none").view_as(right)
    if where is not None:
        right, nats = right[where], nats[where]
    return Score(
        right.all(1).float().mean().item(), right.float().mean().item(), nats.mean().item()
    )


def _written(decoder: ReasoningDecoder, asked: Lesson, memory: Memory) -> float:
    """Return the exact match of greedily written answers."""
    prompts = decoder.tokenizer([fact.question for fact in asked.facts])["input_ids"]
    digits = len(asked.facts[0].value)
    ids = torch.tensor(prompts, device=decoder.base.device)
    written = decoder.generate(
        ids, memory, attention_mask=torch.ones_like(ids), max_new_tokens=digits, do_sample=False
    )
    texts = decoder.tokenizer.batch_decode(written[:, ids.shape[1] :])
    return sum(text == fact.value for text, fact in zip(texts, asked.facts, strict=True)) / len(
        texts
    )
