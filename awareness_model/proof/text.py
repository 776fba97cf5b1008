"""The same task with the documents as text in the context: what a base can before it has memory.

A row reads `xyz = 1290`, a line each, then `bad = 4831`, and again `bad = `, and answers `4831`. A
base that learned this stands for a pretrained decoder, and with the documents in its context it is
the teacher of the KL loss.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import PlainEngine, answered
from awareness_model.loss import Losses
from awareness_model.proof.plan import Plan
from awareness_model.proof.task import Lesson, lesson, questions
from awareness_model.training.loop import take

WIDTH: Final = 32
"""Alternatives of the teacher that are kept; the rest is one bucket (reference/model.md, 3.5)."""


class TextLearner:
    """A decoder with its loss over lessons read as text; no memory is there."""

    def __init__(self, decoder: ReasoningDecoder) -> None:
        self.decoder = decoder

    def __call__(self, batch: Lesson) -> Losses:
        """Return the losses of a lesson: CE of the digits."""
        logits, targets = _said(self.decoder, batch)
        ce = F.cross_entropy(logits.float(), targets)
        return Losses(ce, ce, *torch.zeros(5))


def in_context(decoder: ReasoningDecoder, asked: Lesson) -> Tensor:
    """Return [visible documents, question, answer] of each row as ids, all of one length."""
    texts = [
        "".join(asked.facts[one].document for one in view) + fact.question + fact.value
        for fact, view in zip(asked.facts, asked.views, strict=True)
    ]
    return torch.tensor(decoder.tokenizer(texts)["input_ids"], device=decoder.base.device)


def learn(decoder: ReasoningDecoder, plan: Plan) -> None:
    """Teach the base to look values up in its context; the number of documents grows as in
    `growing`."""
    engine = PlainEngine[Lesson](TextLearner(decoder), plan.settings)
    stage = 0
    for step in range(plan.most_steps):
        visible = plan.stages[stage]
        take(engine, [lesson(plan, step, visible)], step, plan.settings)
        if (step + 1) % plan.measured_every:
            continue
        exact = exact_in_context(decoder, questions(plan, plan.asked // 2, visible))
        last = stage == len(plan.stages) - 1
        if last and exact >= plan.done:
            break
        stage += not last and exact >= plan.works


@torch.no_grad()
def taught(decoder: ReasoningDecoder, asked: Lesson) -> dict[str, Tensor]:
    """Return what the base says of the digits with the documents in its context, as a batch holds a
    teacher's distributions."""
    logits, _ = _said(decoder, asked)
    known, ids = logits.float().log_softmax(-1).topk(WIDTH)
    return {
        "topk_ids": ids,
        "topk_logprobs": known,
        "tail_mass": 1 - known.exp().sum(-1),
        "taught": torch.ones(len(ids), dtype=torch.bool),
    }


@torch.no_grad()
def exact_in_context(decoder: ReasoningDecoder, asked: Lesson) -> float:
    """Return the share of questions answered right with the documents in the context."""
    logits, targets = _said(decoder, asked)
    right = (logits.argmax(-1) == targets).view(len(asked.facts), -1)
    return right.all(1).float().mean().item()


def _said(decoder: ReasoningDecoder, asked: Lesson) -> tuple[Tensor, Tensor]:
    """Return logits and targets of the digits, `[N, V]` and `[N]`."""
    ids = in_context(decoder, asked)
    count, digits = len(ids), len(asked.facts[0].value)
    row = torch.arange(count).repeat_interleave(digits)
    position = torch.arange(ids.shape[1] - digits - 1, ids.shape[1] - 1).repeat(count)
    logits, _ = answered(decoder, ids, (row, position), None)
    return logits, ids[row, position + 1]
