"""Stages of a training, and what makes one follow the other.

    transmission     0    a made-up document in memory, word by word; 1, 2, 4, 8 visible
    reconstruction   I    code that another file decides; 8, 16, 32, 64 visible, a fifth lacks gold
    instruction      II   tasks, as the teacher answered them; 8 visible
    state            III  one question over successive trees: an edit changes its answer; 8 visible

A stage is learned in phases, one for each number of visible documents: the reader learns to read
with one document in view, and not at all with many from the start (reference/model.md, section
7.3). A phase ends when the reader is measured to read: every `switch_every` steps S is taken on
samples of the phase that are not trained on (`probe`), and the lower end of its interval must reach
`switch_above` in `switch_looks` measurements, one after the other. It ends at its latest step in
any case, so steps that are saved go to the next one that needs them, and every training ends.

What is measured decides what is trained on, so where a course stands is part of a checkpoint, and a
resumed training switches where it would have. Without a curriculum the phases are those of
`visible_documents` over all traces, and only their steps end them. Limits: shares of steps are
constants; a stage is never gone back to, beyond the rehearsal of transmission (`lessons`).
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from awareness_model.config import TrainingConfig, UserError
from awareness_model.training.schedule import visible_until

TRANSMISSION: Final = "transmission"
RECONSTRUCTION: Final = "reconstruction"
TRANSMITTED: Final = (1, 2, 4, 8)
"""Documents visible in the stage transmission, one number after the other."""
SHARES: Final = {TRANSMISSION: 0.3, RECONSTRUCTION: 0.3, "instruction": 0.2, "state": 0.2}
"""Of the steps, which a stage may take at most; those of absent stages go to the others."""
GOLD_ABSENT: Final = 0.2
"""Least share of samples without their gold in the stage reconstruction."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What is trained on for a while."""

    stage: str
    """A key of `SHARES`, also the kind of the traces; empty: all traces, without a curriculum."""
    visible: int
    gold_absent: float
    until: int
    """The step (from 0) at which the next phase begins at the latest."""

    @property
    def values(self) -> dict[str, float]:
        """Return what a row of the metrics says of it."""
        number = {"stage": list(SHARES).index(self.stage)} if self.stage else {}
        return {"visible": self.visible, **number}


@dataclass(frozen=True, slots=True)
class Switch:
    """A phase has ended."""

    step: int
    """Steps behind it."""
    stage: str
    visible: int
    measured: bool
    """The reader was measured to read; otherwise its steps were used up."""
    low: float
    """Nats per token of the last measurement: the lower end of S."""


class Course:
    """Where a training stands in its phases."""

    def __init__(
        self,
        phases: tuple[Phase, ...],
        training: TrainingConfig,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin, or go on from what `state` gave.

        Args:
            phases: from `phases_of`, at least one.
        """
        found = state or {"number": 0, "began": 0, "worked": 0, "low": 0.0, "switches": []}
        self.phases, self.training = phases, training
        self.number, self.began = int(found["number"]), int(found["began"])
        self.worked, self.low = int(found["worked"]), float(found["low"])
        self.switches = [Switch(**one) for one in found["switches"]]

    @property
    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, as plain JSON values."""
        return {
            "number": self.number,
            "began": self.began,
            "worked": self.worked,
            "low": self.low,
            "switches": [asdict(one) for one in self.switches],
        }

    def at(self, step: int) -> Phase:
        """Return the phase of a step (from 0); steps are asked for in their order."""
        while not self._last and step >= self.phases[self.number].until:
            self._switch(step, measured=False)
        return self.phases[self.number]

    def due(self, step: int) -> bool:
        """Whether the reader is to be measured after so many steps."""
        every = self.training.switch_every
        stage = self.phases[self.number].stage
        return bool(stage and every) and not self._last and (step - self.began) % every == 0

    def heard(self, step: int, low: float) -> None:
        """Take a measurement in: the lower end of S after so many steps."""
        self.low = low
        self.worked = self.worked + 1 if low >= self.training.switch_above else 0
        if self.worked >= self.training.switch_looks:
            self._switch(step, measured=True)

    @property
    def _last(self) -> bool:
        return self.number == len(self.phases) - 1

    def _switch(self, step: int, *, measured: bool) -> None:
        phase = self.phases[self.number]
        self.switches.append(Switch(step, phase.stage, phase.visible, measured, self.low))
        self.number, self.began, self.worked, self.low = self.number + 1, step, 0, 0.0


def skipped(training: TrainingConfig, kinds: Collection[str]) -> list[str]:
    """Return the stages asked for that have no traces of their kind."""
    return [one for one in training.curriculum if one != TRANSMISSION and one not in kinds]


def phases_of(training: TrainingConfig, kinds: Collection[str]) -> tuple[Phase, ...]:
    """Return the phases of a training over traces of some kinds, in the order of `SHARES`.

    Raises:
        UserError: settings that do not go together, or no stage has anything to learn from.
    """
    if not training.curriculum:
        absent = training.gold_absent
        return tuple(Phase("", seen, absent, until) for seen, until in visible_until(training))
    _check(training)
    gone = skipped(training, kinds)
    stages = [one for one in SHARES if one in training.curriculum and one not in gone]
    if not stages:
        raise UserError(
            f"no stage of the curriculum has traces ({', '.join(gone)}): distil traces of these "
            f"kinds, or add {TRANSMISSION}, which needs none"
        )
    whole, spent, found = sum(SHARES[one] for one in stages), 0.0, []
    for stage in stages:
        numbers = _numbers(stage, training)
        absent = max(training.gold_absent, GOLD_ABSENT) if stage == RECONSTRUCTION else 0.0
        for seen in numbers:
            spent += SHARES[stage] / whole / len(numbers)
            found.append(Phase(stage, seen, absent, round(spent * training.steps)))
    return tuple(found)


def _numbers(stage: str, training: TrainingConfig) -> tuple[int, ...]:
    if stage == TRANSMISSION:
        return TRANSMITTED
    return training.distractors if stage == RECONSTRUCTION else training.distractors[:1]


def _check(training: TrainingConfig) -> None:
    unknown = [one for one in training.curriculum if one not in SHARES]
    if unknown:
        raise UserError(
            f"curriculum has no stage {', '.join(unknown)}: choose of {', '.join(SHARES)}"
        )
    seen = list(training.distractors)
    if not seen or seen[0] < 1 or seen != sorted(set(seen)):
        raise UserError(f"distractors must be rising numbers from 1 on, not {seen}")
    if training.switch_looks < 1 or training.switch_every < 0 or not 0 <= training.rehearsal < 1:
        raise UserError("switch_looks is 1 or more, switch_every 0 or more, rehearsal below 1")
