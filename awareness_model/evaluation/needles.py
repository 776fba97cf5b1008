"""Needles: procedural functions that no corpus holds, and what is asked of them.

All have one form: a name of two words, parameters with numbers, a sentence that does not hold the
name, a constant. Needles of the two sides share words but no name; within a draw names, values and
sentences are all different, so every question has one answer.

    value        `assert amber_anchor() == `                 the constant, four digits
    signature    `def amber_anchor(`                          parameters and numbers in order
    description  `# <sentence>` and `result = `               which function it is, by name

Answers are names and numbers drawn at random: nothing but the document can tell them. Limits:
English words, Python. Standard library only.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

Task = Literal["value", "signature", "description"]
TASKS: tuple[Task, ...] = ("value", "signature", "description")
DIGITS = 4
CHANCE = 10.0**-DIGITS
"""Exact match of a blind value."""


def _listed(words: str) -> list[str]:
    return words.split()


FIRST = _listed(
    "amber arctic brass bright calm cedar civil clear copper coral crisp dusty early eager "
    "fabled faint fern frost gentle gilded grand green hidden hollow humble ivory jade keen "
    "late linen lunar marble mellow misty noble northern olive opal pale plain proud quiet "
    "rapid rustic sable scarlet silent silver slate solar solemn steady stone sunny swift "
    "tidal velvet vivid warm western wild winter woven"
)
SECOND = _listed(
    "anchor arbor badge basin beacon bell bridge brook cabin canal candle canyon cellar "
    "chapel cliff comet compass court crane crater delta dune engine falcon ferry field forge "
    "garden gate glacier grove harbor hearth heron island kettle lagoon lantern ledger loom "
    "maple market meadow mill mirror needle orchard otter paddle pillar planet quarry raven "
    "reef ribbon river saddle signal spindle spruce summit temple thicket timber tower tunnel "
    "valley wagon willow window"
)
WORDS = _listed(
    "count depth drift factor gap grade index level limit margin offset order pace phase rank "
    "rate ratio reach scale shift size slope span spread stage step stride weight width yield"
)
VERBS = _listed("Balance Check Collect Compare Count Draw Estimate Gather Mark Measure Plan Weigh")
THINGS = _listed(
    "arrivals barrels bricks cargoes coins couriers crates debts deeds envoys feathers guests "
    "horses letters maps medals notes parcels pilgrims rations ropes sails seeds stamps taxes "
    "tiles tolls tools visits wages"
)
WHERE = _listed(
    "abbey academy archive armory bakery brewery castle citadel colony convent county depot "
    "district embassy estate factory fleet foundry guild hospital monastery museum parish "
    "port prison ranch settlement shipyard station village"
)
WHEN = _listed("spring summer autumn winter January March May July September November")


@dataclass(frozen=True, slots=True)
class Needle:
    """One function; a document by itself."""

    name: str
    parameters: tuple[tuple[str, int], ...]
    sentence: str
    value: int

    @property
    def path(self) -> str:
        """Where it stands in a repository; says nothing about it but its name."""
        return f"rules/{self.name}.py"

    @property
    def text(self) -> str:
        """The file."""
        head = f"def {self.name}({self.signature}):"
        return f'{head}\n    """{self.sentence}"""\n    return {self.value}\n'

    @property
    def signature(self) -> str:
        """Parameters with their numbers."""
        return ", ".join(f"{name}={number}" for name, number in self.parameters)

    def edited(self, value: int) -> "Needle":
        """Return the function with another constant, all else as it is."""
        return replace(self, value=value)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a needle: the answer follows the prompt directly."""

    task: Task
    prompt: str
    answer: str
    gold: str
    """Path of the document that decides the answer."""


def needles(count: int, seed: int, side: str) -> list[Needle]:
    """Return `count` needles, drawn from `seed`; names of `train` and `held_out` never meet.

    Args:
        count: at most 1,200: names of one side and values are not repeated.

    Raises:
        ValueError: an unknown side, or more needles than there are names.
    """
    if side not in ("train", "held_out"):
        raise ValueError(f"side {side!r}: train or held_out")
    drawn = random.Random(f"needles {side} {seed}")
    names = [f"{one}_{two}" for one in FIRST for two in SECOND if _side(f"{one}_{two}") == side]
    if not 0 <= count <= min(len(names), 1_200):
        raise ValueError(f"{count} needles of {len(names)} names")
    values = drawn.sample(range(10 ** (DIGITS - 1), 10**DIGITS), count)
    sentences = drawn.sample(range(len(VERBS) * len(THINGS) * len(WHERE) * len(WHEN)), count)
    return [
        Needle(name, _parameters(drawn), _sentence(sentence), value)
        for name, sentence, value in zip(drawn.sample(names, count), sentences, values, strict=True)
    ]


def ask(needle: Needle, task: Task) -> Question:
    """Return a question whose answer stands in the needle's document alone. Answers end before the
    bracket: what follows it would be one token with it, and which one is no matter of memory."""
    prompt, answer = {
        "value": (f"assert {needle.name}() == ", str(needle.value)),
        "signature": (f"def {needle.name}(", needle.signature),
        "description": (f"# {needle.sentence}\nresult = ", needle.name),
    }[task]
    return Question(task, prompt, answer, needle.path)


def questions(drawn: Sequence[Needle], tasks: Sequence[Task] = TASKS) -> list[Question]:
    """Return every task of every needle, needle by needle."""
    return [ask(needle, task) for needle in drawn for task in tasks]


def new_value(needle: Needle, seed: int) -> int:
    """Return another constant of as many digits."""
    low, high = 10 ** (DIGITS - 1), 10**DIGITS
    drawn = random.Random(f"edit {needle.name} {seed}").randrange(low, high - 1)
    return drawn + (drawn >= needle.value)


def _side(name: str) -> str:
    half = blake2b(name.encode(), digest_size=1).digest()[0]
    return "held_out" if half < 128 else "train"


def _parameters(drawn: random.Random) -> tuple[tuple[str, int], ...]:
    names = drawn.sample(WORDS, drawn.choice((2, 3)))
    return tuple((name, drawn.randrange(10)) for name in names)


def _sentence(number: int) -> str:
    number, when = divmod(number, len(WHEN))
    number, where = divmod(number, len(WHERE))
    verb, thing = divmod(number, len(THINGS))
    return f"{VERBS[verb]} the {THINGS[thing]} of the {WHERE[where]} in {WHEN[when]}."
