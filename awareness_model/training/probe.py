"""S while a training runs, on a small probe: a falling loss alone says nothing of memory.

The probe is a batch of the phase's own kind, drawn apart from its steps and the same all through
it, of held-out samples where there are enough (`lessons`); the other memory is another row's
(`training.controls`). What it finds ends phases of a curriculum. It is drawn anew at every look, so
that a training holds no memory for it. Limits: a few rows, and their interval takes them for
independent; numbers for others are the evaluation's.
"""

from dataclasses import replace

import torch

from awareness_model.config import TrainingConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import autocast
from awareness_model.training.controls import Evaluation, evaluate, other_rows
from awareness_model.training.curriculum import Phase
from awareness_model.training.lessons import Lessons
from awareness_model.training.rows import Rows, Teaching

ROWS = 16


class Probe:
    """Batches to measure S on."""

    def __init__(self, lessons: Lessons, training: TrainingConfig) -> None:
        self.lessons, self.training = lessons, training

    def due(self, step: int) -> bool:
        """Whether it is time to look after so many steps: every `probe_every`, and at the end."""
        every = self.training.probe_every
        return bool(every) and (step % every == 0 or step == self.training.steps)

    def look(self, decoder: ReasoningDecoder, phase: Phase, step: int) -> Evaluation | None:
        """Return NLL with own, other and no memory after `step` steps; None where no two rows of
        the probe have different memory."""
        device, rows = decoder.base.device, self.rows(phase)
        if not (other_rows(rows.memory) >= 0).any():
            return None
        with autocast(device.type, self.training.precision):
            return evaluate(decoder, [_on(rows, device)], step)

    def rows(self, phase: Phase) -> Rows:
        """Return what a phase is measured on."""
        batch = self.lessons.probe(phase, ROWS)
        seen = torch.ones_like(batch.input_ids)
        return Rows(
            batch.input_ids,
            seen,
            (batch.rows, batch.positions),
            batch.targets,
            batch.memory,
            None,
            Teaching(batch.input_ids, seen, batch.positions),
        )


def _on(rows: Rows, device: torch.device) -> Rows:
    """Return rows on a device; the memory moves when it is read."""
    at = rows.at[0].to(device), rows.at[1].to(device)
    return replace(
        rows,
        input_ids=rows.input_ids.to(device),
        attention_mask=rows.attention_mask.to(device),
        at=at,
        targets=rows.targets.to(device),
    )
