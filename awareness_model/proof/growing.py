"""Training: the visible set grows each time the reader works at the present one.

Every `measured_every` steps held-out questions are asked at the present number of visible documents
with own and with shuffled memory; exact match of `works` with the own opens the next stage, of
`done` ends the run at the last one. Steps are those of the loop over traces
(`training.loop.take`).
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
    """Train until the reader works at the last stage, or for `stop_after` steps.

    Returns the curve.
    """
    engine = PlainEngine[Lesson](LessonLearner(decoder, encoder, plan), plan.settings)
    curve: list[Point] = []
    stage = 0
    for step in range(min(plan.stop_after, plan.most_steps)):
        visible = plan.stages[stage]
        values = take(engine, [lesson(plan, step, visible)], step, plan.settings)
        if (step + 1) % plan.measured_every:
            continue
        own, other = compared(decoder, encoder, questions(plan, plan.asked // 2, visible))
        curve.append(Point(step + 1, visible, own, other, values["loss"]))
        say(curve[-1])
        last = stage == len(plan.stages) - 1
        if last and own.exact >= plan.done:
            break
        stage += not last and own.exact >= plan.works
    return curve
