"""Transmission: the decoder reads a document that is in its memory, every token scored.

The documents are made up (`evaluation.needles`): their numbers, sentences and names can be told by
nothing but memory, so the loss falls only through it (the duplicate warm-up of CEPE, arXiv
2402.16617; reference/model.md, section 3.5). No trace is needed, and no text beside the memory.

Every step has its own documents, encoded by the frozen base as they are needed. A row's document
stands among others of the same step, those of other ranks with them: each rank encodes all
documents of a step, which gives the batches, losses and gradients that gathering them over ranks
would. Limits: Python functions of one form, English words, 1,200 documents a step; the base must be
whole on every rank (ZeRO 3 shares it out).
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch

from awareness_model.base import plain_ids
from awareness_model.config import EncoderConfig, TrainingConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder, Encoded, sink_token
from awareness_model.evaluation.needles import needles
from awareness_model.feed import Batch, pooling, put_together, untaught
from awareness_model.memory.batch import collate

SEEDS = 1_000_003
"""Between two seeds of a training there is room for the steps of one."""

Step: TypeAlias = tuple[int, str, int]
"""Step, side and number of documents."""


@dataclass(frozen=True, slots=True)
class Made:
    """The documents of a step."""

    ids: list[list[int]]
    chunks: list[list[Encoded]]


@dataclass(frozen=True, slots=True)
class Transmission:
    """Batches by step number, for one of `ranks` processes."""

    encoder: ContextEncoder
    training: TrainingConfig
    rank: int = 0
    ranks: int = 1
    _held: dict[Step, Made] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The newest step's documents: the pieces of a batch share them."""

    @classmethod
    def of(
        cls, decoder: ReasoningDecoder, training: TrainingConfig, rank: int, ranks: int
    ) -> "Transmission":
        """Return the transmission of what a decoder's own base encodes, as a store's memory is.

        Raises:
            UserError: ranks would share the base out.
        """
        if training.zero_stage == 3:
            raise UserError(
                "the stage transmission encodes with the base model, which zero_stage 3 shares "
                "out: choose zero_stage 2, or leave transmission out of the curriculum"
            )
        config = EncoderConfig(decoder.config.model_name, placement=decoder.placement)
        base, tokenizer = decoder.base, decoder.tokenizer
        encoder = ContextEncoder.from_model(base, tokenizer, config, differentiable=True)
        return cls(encoder, training, rank, ranks)

    def batch(self, step: int, visible: int, piece: int = 0, *, side: str = "train") -> Batch:
        """Return this rank's batch of a step, `visible` documents per row, its own first: one piece
        of `accumulate`. What a step sees, all ranks and pieces together, depends on neither.

        Args:
            side: `train`, or `held_out`: names that are never trained on.
        """
        size = self.training.batch_size
        made = self._made((step, side, max(size, visible)))
        places = range(size)[self.rank :: self.ranks][piece :: self.training.accumulate]
        views = [self._view(step, place, visible, len(made.ids)) for place in places]
        memory = collate(
            [[made.chunks[one] for one in view] for view in views],
            pooling=pooling(step, self.training),
        )
        tokenizer = self.encoder.tokenizer
        first = sink_token(tokenizer, self.encoder.model.config)
        rows = [([first], made.ids[place]) for place in places]
        teacher = untaught(sum(len(answer) for _, answer in rows))
        return put_together(rows, tokenizer.pad_token_id, teacher, memory, memory.document == 0)

    def _made(self, wanted: Step) -> Made:
        """Return the documents of a step, encoded once."""
        if wanted not in self._held:
            step, side, count = wanted
            drawn = needles(count, self.training.seed * SEEDS + step, side)
            texts, paths = [one.text for one in drawn], [one.path for one in drawn]
            with torch.no_grad(), _at_rest(self.encoder.model):
                chunks = self.encoder.encode(texts, "latent", paths)
            self._held.clear()
            self._held[wanted] = Made([self._ids(text) for text in texts], chunks)
        return self._held[wanted]

    def _ids(self, text: str) -> list[int]:
        most = self.training.max_prompt_tokens + self.training.max_answer_tokens
        return plain_ids(self.encoder.tokenizer, text)[:most]

    def _view(self, step: int, place: int, visible: int, count: int) -> Sequence[int]:
        """Return a row's documents: its own, then others of the step."""
        draw = random.Random(f"transmission {self.training.seed} {step} {place}")
        others = [one for one in range(count) if one != place]
        return [place, *draw.sample(others, visible - 1)]


@contextmanager
def _at_rest(base: Any) -> Iterator[None]:
    """Have no part of a model in training inside: such a part may recompute activations, and then
    keeps no cache. Parts differ: layers that read are made later than the base."""
    training = [part for part in base.modules() if part.training]
    base.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def alone(made: Transmission, rows: int) -> Transmission:
    """Return the transmission of one process, in batches of some rows."""
    training = replace(made.training, batch_size=rows, accumulate=1)
    return Transmission(made.encoder, training)
