"""From a lesson to losses: documents are encoded with gradients, then read as any batch is."""

import torch
from torch import Tensor

from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.engine import Reader
from awareness_model.feed import Batch, untaught
from awareness_model.loss import Losses, Weights
from awareness_model.memory.batch import Memory
from awareness_model.proof.plan import Plan
from awareness_model.proof.states import documents, visible
from awareness_model.proof.task import Lesson
from awareness_model.proof.text import taught


class LessonLearner:
    """A decoder and its encoder with the trainer's losses over lessons."""

    def __init__(self, decoder: ReasoningDecoder, encoder: ContextEncoder, plan: Plan) -> None:
        self.decoder, self.encoder, self.plan = decoder, encoder, plan
        self._reader = Reader(decoder, Weights.of(plan.settings))

    def __call__(self, batch: Lesson) -> Losses:
        """Return the losses of a lesson."""
        held = documents(self.encoder, [fact.document for fact in batch.facts])
        found: Losses = self._reader(
            batch_of(self.decoder, batch, visible(held, batch.views), self.plan)
        )
        return found


def batch_of(decoder: ReasoningDecoder, asked: Lesson, memory: Memory, plan: Plan) -> Batch:
    """Return the questions with their answers as the trainer reads them: the digits scored, in
    transmission of one document every token."""
    whole = plan.transmission and len(asked.views[0]) == 1
    ids, at, targets = scored(decoder, asked, whole)
    teacher = taught(decoder, asked) if plan.kl and not whole else untaught(len(targets))
    return Batch(
        ids,
        *at,
        targets,
        **teacher,
        memory=memory,
        gold=_gold(asked, memory),
        may_lack_gold=plan.harm > 0,
    )


def scored(
    decoder: ReasoningDecoder, asked: Lesson, whole: bool = False
) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """Return input ids `[B, T]`, (rows, positions) that predict the digits (or every token but the
    first), and what they predict, N each; rows follow one another."""
    ids = _tokens(decoder, asked)
    count, length = ids.shape
    predicted = length - 1 if whole else len(asked.facts[0].value)
    row = torch.arange(count).repeat_interleave(predicted)
    position = torch.arange(length - predicted - 1, length - 1).repeat(count)
    return ids, (row, position), ids[row, position + 1]


def _tokens(decoder: ReasoningDecoder, asked: Lesson) -> Tensor:
    """Return questions and answers; all are of one length."""
    texts = [fact.question + fact.value for fact in asked.facts]
    return torch.tensor(decoder.tokenizer(texts)["input_ids"], device=decoder.base.device)


def _gold(asked: Lesson, memory: Memory) -> Tensor:
    """Return which slots are of the row's own document, `[B, M]`."""
    place = [view.index(row) if row in view else -2 for row, view in enumerate(asked.views)]
    return memory.document == torch.tensor(place)[:, None]
