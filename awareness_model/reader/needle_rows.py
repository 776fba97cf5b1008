"""Rows about needles: several questions a prompt, every answer in one of the documents visible.

Documents are the needles of an evaluation (`evaluation.needles`) and modules of constants with
names of the same kind. Questions come as code and, one a prompt, as chat turns, because
`awareness ask` asks so. Limits: English, Python; a name belongs to one document of a shelf, so
every question has one answer.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from awareness_model.base import plain_ids
from awareness_model.conversation import Message, conversation_ids
from awareness_model.evaluation.needles import Needle, needles
from awareness_model.question import boundary
from awareness_model.reader.rows import Row

SYSTEMS = (
    "You answer questions about files that you remember. Answer from them, in few words.",
    "You remember these files. Answer briefly.",
    "",
)
CONSTANTS = 3
"""Names in a module of constants."""
CHAT = 0.2
"""Share of prompts that are a chat."""
VALUES = 0.4
"""Share of a function's questions that ask for its value in any case."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a document says: a question as code, one in plain words, and the answer."""

    code: tuple[str, ...]
    words: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Known:
    """A document and all that can be asked of it."""

    path: str
    text: str
    facts: tuple[Fact, ...]
    needle: Needle | None = None
    """Of a function."""


def known(count: int, seed: int, side: str) -> list[Known]:
    """Return `count` documents, two thirds of them functions, the rest modules of constants."""
    modules = count // 3
    drawn = needles(count - modules + modules * CONSTANTS, seed, side)
    functions, rest = drawn[: count - modules], drawn[count - modules :]
    groups = [rest[n : n + CONSTANTS] for n in range(0, len(rest), CONSTANTS)]
    return [*map(function, functions), *map(_module, groups)]


def function(needle: Needle) -> Known:
    """Return a needle's document and its facts."""
    name, value = needle.name, str(needle.value)
    facts = [
        Fact(
            (f"assert {name}() == ", f"print({name}())  # ", f"{name}() == "),
            (f"What does {name}() return?", f"What is the value of {name}()?"),
            value,
        ),
        Fact((f"def {name}(",), (f"What are the parameters of {name}?",), f"{needle.signature})"),
        Fact(
            (f"# {needle.sentence}\nresult = ",),
            (f"Which function does this: {needle.sentence}",),
            f"{name}()",
        ),
    ]
    for parameter, number in needle.parameters[:1]:
        asked = f"What is the default of {parameter} in {name}?"
        facts.append(Fact((f"# {name}: {parameter}=",), (asked,), str(number)))
    return Known(needle.path, needle.text, tuple(facts), needle)


def _module(group: Sequence[Needle]) -> Known:
    names = [one.name.upper() for one in group]
    text = "".join(f"{name} = {one.value}\n" for name, one in zip(names, group, strict=True))
    facts = tuple(
        Fact(
            (f"assert {name} == ", f"print({name})  # ", f"{name} = "),
            (f"What is {name}?", f"What value does {name} have?"),
            str(one.value),
        )
        for name, one in zip(names, group, strict=True)
    )
    return Known(f"settings/{group[0].name}.py", text, facts)


def draw(
    tokenizer: Any, documents: Sequence[Known], visible: int, questions: int, seed: str
) -> Row:
    """Return a row that asks about `visible` documents drawn from `seed`."""
    drawn = random.Random(seed)
    shown = drawn.sample(documents, visible)
    asked = [(one, _fact(one, drawn)) for one in drawn.choices(shown, k=questions)]
    asked = list({fact.code: (one, fact) for one, fact in asked}.values())
    if drawn.random() < CHAT:
        ids, answers = _chat(tokenizer, asked[0][1], drawn)
        asked = asked[:1]
    else:
        ids, answers = _code(tokenizer, [fact for _, fact in asked], drawn)
    gold = frozenset(one.path for one, _ in asked)
    return Row("needle", tuple(ids), answers, tuple(one.path for one in shown), gold)


def _fact(known: Known, drawn: random.Random) -> Fact:
    """Return one of a document's facts; a function's value as often as all else."""
    if known.needle is not None and drawn.random() < VALUES:
        return known.facts[0]
    return drawn.choice(known.facts)


def _code(
    tokenizer: Any, facts: Sequence[Fact], drawn: random.Random
) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """Return questions one after the other, each with its answer and the line's end."""
    ids: list[int] = []
    answers = []
    for fact in facts:
        prompt, answer = boundary(tokenizer, drawn.choice(fact.code), fact.answer + "\n")
        answers.append((len(ids) + len(prompt), len(ids) + len(prompt) + len(answer)))
        ids += [*prompt, *answer]
    return ids, tuple(answers)


def _chat(
    tokenizer: Any, fact: Fact, drawn: random.Random
) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """Return a question in plain words, its answer and the turn's end."""
    system, asked = drawn.choice(SYSTEMS), Message("user", drawn.choice(fact.words))
    messages = [Message("system", system), asked] if system else [asked]
    prompt = conversation_ids(tokenizer, messages)
    answer = [*plain_ids(tokenizer, fact.answer.rstrip(")")), tokenizer.eos_token_id]
    return [*prompt, *answer], ((len(prompt), len(prompt) + len(answer)),)
