"""From a lesson to losses: documents are encoded with gradients, then read as any batch is."""

import torch
from torch import Tensor

from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.loss import Losses, Weights
from awareness_model.memory.batch import Memory
from awareness_model.proof.plan import Plan
from awareness_model.proof.states import documents, visible
from awareness_model.proof.task import Lesson
from awareness_model.proof.text import in_context
from awareness_model.training.learner import Learner
from awareness_model.training.rows import NOT_SCORED, Rows, rows_of


class LessonLearner:
    """A decoder and its encoder with their losses over lessons."""

    def __init__(self, decoder: ReasoningDecoder, encoder: ContextEncoder, plan: Plan) -> None:
        self.decoder, self.encoder = decoder, encoder
        weights = Weights(plan.kl, plan.citation, plan.null)
        self._reader = Learner(decoder, weights, decoder.base if plan.kl else None)
        self._taught = bool(plan.kl)

    def __call__(self, batch: Lesson) -> Losses:
        """Return the losses of a lesson."""
        held = documents(self.encoder, [fact.document for fact in batch.facts])
        teaching = in_context(self.decoder, batch) if self._taught else None
        return self._reader(rows(self.decoder, batch, visible(held, batch.views), teaching))


def rows(
    decoder: ReasoningDecoder, asked: Lesson, memory: Memory, teaching: Tensor | None = None
) -> Rows:
    """Return the questions with their answers, the digits scored, as the trainer reads them.

    Args:
        teaching: ids that the teacher reads, ending with the same tokens; None: no teacher.
    """
    ids = _tokens(decoder, asked)
    labels = ids.clone()
    labels[:, : -len(asked.facts[0].value)] = NOT_SCORED
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": labels,
        "memory": memory,
        "gold": _gold(asked, memory),
    }
    if teaching is not None:
        batch |= {
            "teacher_input_ids": teaching,
            "teacher_attention_mask": torch.ones_like(teaching),
        }
    return rows_of(batch, decoder.base.device)


def scored(
    decoder: ReasoningDecoder, asked: Lesson
) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """Return input ids `[B, T]`, (rows, positions) that predict the digits, and the digits, N each;
    rows follow one another."""
    ids = _tokens(decoder, asked)
    count, digits = len(ids), len(asked.facts[0].value)
    row = torch.arange(count).repeat_interleave(digits)
    position = torch.arange(ids.shape[1] - digits - 1, ids.shape[1] - 1).repeat(count)
    return ids, (row, position), ids[row, position + 1]


def _tokens(decoder: ReasoningDecoder, asked: Lesson) -> Tensor:
    """Return questions and answers; all are of one length."""
    texts = [fact.question + fact.value for fact in asked.facts]
    return torch.tensor(decoder.tokenizer(texts)["input_ids"], device=decoder.base.device)


def _gold(asked: Lesson, memory: Memory) -> Tensor:
    """Return which slots are of the row's own document, `[B, M]`."""
    place = [view.index(row) if row in view else -2 for row, view in enumerate(asked.views)]
    return memory.document == torch.tensor(place)[:, None]
