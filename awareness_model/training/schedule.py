"""What a step's number decides: the rate, and how many documents are visible without a curriculum.

Limits: the learning rate ends at zero, so a finished training is not prolonged.
"""

import math
from dataclasses import asdict, replace
from typing import Any

from awareness_model.config import PLACES, TrainingConfig, UserError


def learning_rate_factor(step: int, training: TrainingConfig) -> float:
    """Return the share of the base rate at a step (from 0): linear warm-up, then cosine to 0."""
    warmup = max(math.ceil(training.warmup_fraction * training.steps), 1)
    if step < warmup:
        return (step + 1) / warmup
    through = (step - warmup) / max(training.steps - warmup, 1)
    return 0.5 * (1.0 + math.cos(math.pi * through))


def visible_until(training: TrainingConfig) -> list[tuple[int, int]]:
    """Return how many documents a row may see, and the step (from 0) before which it is so.

    Raises:
        UserError: the curriculum's stages and switches do not fit together.
    """
    stages = training.visible_documents
    switches = training.visible_switch or tuple(n / len(stages) for n in range(1, len(stages)))
    if len(switches) != len(stages) - 1 or list(switches) != sorted(switches) or min(stages) < 1:
        raise UserError(
            f"visible_documents {list(stages)} needs {len(stages) - 1} rising visible_switch "
            f"fractions, found {list(switches)}"
        )
    ends = [round(share * training.steps) for share in switches]
    return list(zip(stages, [*ends, training.steps], strict=True))


def decisive(training: TrainingConfig) -> dict[str, Any]:
    """Return the settings that decide what comes out, as plain JSON values."""
    found = {name: value for name, value in asdict(training).items() if name not in PLACES}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in found.items()
    }


def planned(training: TrainingConfig, steps_per_epoch: int) -> TrainingConfig:
    """Return the settings with the number of steps that will be taken.

    Raises:
        UserError: neither steps nor epochs, or settings that do not go together.
    """
    if training.steps < 0 or training.num_epochs < 1:
        raise UserError("num_epochs must be at least 1, and steps 0 (as the epochs say) or more")
    steps = training.steps or training.num_epochs * steps_per_epoch
    visible_until(training)
    return replace(training, steps=steps)
