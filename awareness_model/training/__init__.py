"""Training a reader.

loop: schedules, one step, and the resumable loop over traces; trainer: the same steps over a user's
own batches, with a teacher model; rows: such batches made ready; learner: their losses; controls:
what memory is worth on them.
"""

from awareness_model.training.controls import Evaluation
from awareness_model.training.loop import (
    Run,
    decisive,
    fit,
    learning_rate_factor,
    refuse_other,
    resume,
    visible_documents,
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
    "refuse_other",
    "resume",
    "visible_documents",
]
