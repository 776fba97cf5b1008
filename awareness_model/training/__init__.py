"""Training a reader.

loop: one step, and the resumable loop over traces; schedule: what a step's number decides;
curriculum: stages, and when one follows the other; transmission, lessons: what a step reads; run:
where it writes; telling, journal, speed, probe: what it says of itself. trainer: the same steps
over a user's own batches, with a teacher model; rows: such batches made ready; learner: their
losses; controls: what memory is worth on them.
"""

from awareness_model.training.controls import Evaluation
from awareness_model.training.loop import fit, refuse_other, resume
from awareness_model.training.run import Run
from awareness_model.training.schedule import (
    decisive,
    learning_rate_factor,
    planned,
    visible_until,
)
from awareness_model.training.trainer import AwarenessTrainer, History

__all__ = [
    "AwarenessTrainer",
    "Evaluation",
    "History",
    "Run",
    "decisive",
    "fit",
    "learning_rate_factor",
    "planned",
    "refuse_other",
    "resume",
    "visible_until",
]
