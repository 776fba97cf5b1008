"""What a step reads: traces of the phase's kind, or documents to be read word by word.

After the stage transmission a share of the steps rehearses it, so that reading is not unlearned
while answers are learned (ARC: 20 % reconstruction beats none and all; reference/model.md, section
2.12). Which steps do follows from their number. Limits: a step is of one kind.
"""

import random
import sys
from dataclasses import dataclass, replace

from awareness_model.config import TrainingConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.feed import Batch, Feed
from awareness_model.training.curriculum import TRANSMISSION, TRANSMITTED, Phase, skipped
from awareness_model.training.transmission import Transmission, alone

BEFORE_THE_FIRST = -1
"""The step that a probe's batch is drawn for: none is taken with that number."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Batches by phase and step."""

    feed: Feed
    training: TrainingConfig
    transmission: Transmission | None

    @classmethod
    def of(cls, decoder: ReasoningDecoder, feed: Feed, training: TrainingConfig) -> "Lessons":
        """Return the lessons of a training; says which stages have no traces.

        Raises:
            UserError: transmission under settings that it cannot be had with.
        """
        if feed.rank == 0:
            for stage in skipped(training, feed.samples.kinds):
                print(f"note: no stage {stage}: there are no such traces", file=sys.stderr)
        if TRANSMISSION not in training.curriculum:
            return cls(feed, training, None)
        return cls(feed, training, Transmission.of(decoder, training, feed.rank, feed.ranks))

    def batch(self, phase: Phase, step: int, piece: int = 0) -> Batch:
        """Return this rank's batch of a step (from 0)."""
        if self.transmission and (phase.stage == TRANSMISSION or self._rehearses(step)):
            visible = min(phase.visible, TRANSMITTED[-1])
            return self.transmission.batch(step, visible, piece)
        return self.feed.batch(
            step, phase.visible, piece, kind=phase.stage, gold_absent=phase.gold_absent
        )

    def probe(self, phase: Phase, rows: int) -> Batch:
        """Return the batch that a phase is measured on, the same at every step and on every rank:
        held-out samples where there are half as many as rows, otherwise some that are trained on.
        Gold is always there; without a curriculum it is all that is."""
        if self.transmission and phase.stage == TRANSMISSION:
            made = alone(self.transmission, rows)
            return made.batch(BEFORE_THE_FIRST, phase.visible, side="held_out")
        training = replace(self.training, batch_size=rows, accumulate=1)
        feed = replace(self.feed, training=training, rank=0, ranks=1)
        return feed.batch(
            BEFORE_THE_FIRST,
            phase.visible if phase.stage else 1,
            kind=phase.stage,
            gold_absent=0.0,
            held_out=2 * len(feed.samples.of(phase.stage, held_out=True)) >= rows,
        )

    def _rehearses(self, step: int) -> bool:
        draw = random.Random(f"rehearsal {self.training.seed} {step}")
        return draw.random() < self.training.rehearsal
