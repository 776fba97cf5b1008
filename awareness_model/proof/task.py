"""Key → value documents and questions about them.

A document is `bad = 4831` and a newline; its question is `bad = ` and wants the digits. Values are
unpredictable without the document: chance is 10^-digits exact, .10 per digit, ln 10 = 2.303 nats.
Names whose hash falls on one of five sides are held out, so no held-out name is seen in training.
All documents have the same form, so the others of a batch are hard negatives. Standard library
only.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from string import ascii_lowercase
from typing import Final

from awareness_model.proof.plan import SHUFFLED, Plan

SIDES: Final = 5


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value."""

    name: str
    value: str
    swapped: bool = False

    @property
    def document(self) -> str:
        """Return the text that is held in memory."""
        sides = (self.value, self.name) if self.swapped else (self.name, self.value)
        return f"{sides[0]} = {sides[1]}\n"

    @property
    def question(self) -> str:
        """Return the prompt."""
        return f"{self.name} = "


@dataclass(frozen=True, slots=True)
class Lesson:
    """A fact per row, and which of them each row sees."""

    facts: tuple[Fact, ...]
    views: tuple[tuple[int, ...], ...]
    """Numbers of the visible facts by row."""


def lesson(plan: Plan, step: int, visible: int) -> Lesson:
    """Return the training lesson of a step."""
    draw = random.Random(f"lesson {plan.seed} {step}")
    facts = drawn_facts(plan, draw, plan.batch, held_out=False)
    absent = [plan.memory == SHUFFLED or draw.random() < plan.gold_absent for _ in facts]
    return Lesson(facts, views(draw, absent, visible))


def questions(plan: Plan, count: int, visible: int, draw_name: str = "held out") -> Lesson:
    """Return held-out questions, the same for every seed of a plan."""
    draw = random.Random(f"{draw_name} {visible}")
    facts = drawn_facts(plan, draw, count, held_out=True)
    return Lesson(facts, views(draw, [False] * count, visible))


def shuffled(asked: Lesson) -> Lesson:
    """Return the lesson with the memory of another row: the next one that lacks the own fact."""
    count = len(asked.facts)
    found = []
    for row in range(count):
        turns = (asked.views[(row + turn) % count] for turn in range(1, count))
        found.append(next(view for view in turns if row not in view))
    return Lesson(asked.facts, tuple(found))


def drawn_facts(plan: Plan, draw: random.Random, count: int, held_out: bool) -> tuple[Fact, ...]:
    """Draw facts of different names from one side.

    Raises:
        ValueError: there are not twice as many names.
    """
    if 2 * count * SIDES > len(ascii_lowercase) ** plan.letters:
        raise ValueError(f"{count} facts need names of more than {plan.letters} letters")
    found: dict[str, Fact] = {}
    while len(found) < count:
        name = "".join(draw.choices(ascii_lowercase, k=plan.letters))
        value = "".join(draw.choices("0123456789", k=plan.digits))
        if is_held_out(name) == held_out:
            found[name] = Fact(name, value, draw.random() < plan.swapped)
    return tuple(found.values())


def is_held_out(name: str) -> bool:
    """Tell whether a name is kept from training."""
    return blake2b(name.encode(), digest_size=4).digest()[0] % SIDES == 0


def views(draw: random.Random, absent: Sequence[bool], visible: int) -> tuple[tuple[int, ...], ...]:
    """Return for each row its own fact (unless absent) among those of other rows, in any order."""
    rows = range(len(absent))
    found = []
    for row, hidden in enumerate(absent):
        others = draw.sample([one for one in rows if one != row], visible - (not hidden))
        view = others if hidden else [row, *others]
        found.append(tuple(draw.sample(view, len(view))))
    return tuple(found)
