"""Training: the visible set grows each time the reader works at the present one.

Every `measured_every` steps held-out questions are asked at the present number of visible documents
with own and with shuffled memory; exact match of `works` with the own opens the next stage, of
`done` at the last one has the run settle: what is left of the learning rate's fall is gone through
in `settle` steps. Steps are those of the loop over traces (`training.loop.take`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.engine import PlainEngine
from awareness_model.proof.controls import Score, compared
from awareness_model.proof.learner import LessonLearner
from awareness_model.proof.plan import Plan
from awareness_model.proof.task import Lesson, lesson, questions
from awareness_model.training.loop import take


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement."""

    step: int
    visible: int
    own: Score
    shuffled: Score
    loss: float
    """Of the last step."""


def grown(
    decoder: ReasoningDecoder,
    encoder: ContextEncoder,
    plan: Plan,
    say: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Train until the reader works at the last stage and has settled, or for `stop_after` steps.

    Returns the curve.
    """
    engine = PlainEngine[Lesson](LessonLearner(decoder, encoder, plan), plan.settings)
    curve: list[Point] = []

    def measure(step: int, visible: int, loss: float) -> float:
        own, other = compared(decoder, encoder, questions(plan, plan.asked // 2, visible))
        curve.append(Point(step, visible, own, other, loss))
        say(curve[-1])
        return own.exact

    stage = 0
    for step in range(min(plan.stop_after, plan.most_steps)):
        visible = plan.stages[stage]
        values = take(engine, [lesson(plan, step, visible)], step, plan.settings)
        if (step + 1) % plan.measured_every:
            continue
        exact = measure(step + 1, visible, values["loss"])
        last = stage == len(plan.stages) - 1
        if last and exact >= plan.done:
            if settled := _settle(engine, plan, step + 1):
                measure(step + 1 + plan.settle, visible, settled["loss"])
            break
        stage += not last and exact >= plan.works
    return curve


def _settle(engine: PlainEngine[Lesson], plan: Plan, done: int) -> dict[str, float]:
    """Take the last steps, the rate falling to zero as the rest of the plan's would; return the
    last one's losses."""
    values: dict[str, float] = {}
    for number in range(plan.settle):
        taught = lesson(plan, done + number, plan.stages[-1])
        at = done + (number + 1) * (plan.most_steps - done) // plan.settle - 1
        values = take(engine, [taught], at, plan.settings)
    return values
