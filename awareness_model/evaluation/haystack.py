"""A repository of real functions with needles among them, and what each question may read.

    given     the deciding needle and others of the same form: reading alone
    routed    what the router finds among all functions and needles: finding and reading
    removed   as `given`, another needle in the deciding one's place
    edited    as `given`, the deciding needle with another constant; value questions only
    permuted  as `given`, in the opposite order
    other     real functions instead of needles
    none      nothing; text, rag: what `given`, `routed` read, as text in the context
    rag_embedding  as `rag`, found by a sentence encoder, where one is given (`embedding`)

Functions come from held-out packages, in an order drawn by hash. A document is a function; one that
is too long for a chunk is cut. Limits: memory has no positions beyond a document, so there is no
depth to vary; descriptions are found by their words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from awareness_model.base import load_tokenizer
from awareness_model.config import UserError
from awareness_model.evaluation.corpus import Package, functions, on_side
from awareness_model.evaluation.embedding import EMBEDDED, FIRST, Finder, Search
from awareness_model.evaluation.finding import Index
from awareness_model.evaluation.needles import (
    TASKS,
    Needle,
    Question,
    ask,
    needles,
    new_value,
)
from awareness_model.evaluation.readers import Piece, cut, whole
from awareness_model.question import boundary
from awareness_model.schema import digest

AT_EACH_SIZE = ("given", "routed")
"""Conditions asked with every number of visible documents; the others with the largest."""
AT_LARGEST = ("removed", "edited", "permuted", "other", "none", "text", "rag")


@dataclass(frozen=True, slots=True)
class NeedleSizes:
    """How much is asked."""

    haystack_lines: int = 10_000
    needles: int = 50
    asked: int = 16
    """Needles asked about, each in every task."""
    visible: tuple[int, ...] = (1, 2, 4, 8)
    chunk_tokens: int = 256
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Asking:
    """One question: its ids, and what each condition reads."""

    key: str
    task: str
    question: Question
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    edited: tuple[int, ...]
    """The answer after the edit; empty where the task does not ask for the value."""
    gold: str
    """Name of the deciding piece."""
    reads: Mapping[tuple[str, int], tuple[Piece, ...]]
    """By condition and number of visible documents."""


@dataclass(frozen=True, slots=True)
class Haystack:
    """All documents, and the questions."""

    lines: int
    documents: int
    questions: tuple[Asking, ...]
    recall: Mapping[str, Mapping[int, float]]
    """Share of questions of a task whose deciding document is among the router's first k."""
    by_embedding: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """The same of a sentence encoder; empty without one."""


@dataclass(frozen=True, slots=True)
class _World:
    """What questions are made from."""

    sizes: NeedleSizes
    tokenizer: Any
    drawn: Sequence[Needle]
    pieces: Mapping[str, Piece]
    """Of needles, by their path."""
    functions: Sequence[Piece]
    index: Index = field(repr=False)


def build(
    found: Sequence[Package], model: str, sizes: NeedleSizes, embedded: Finder | None = None
) -> Haystack:
    """Return a haystack of at least so many lines with its questions.

    Raises:
        UserError: the held-out packages have too few lines, or too few needles for what is visible.
    """
    if not 0 < sizes.asked <= sizes.needles or max(sizes.visible) >= sizes.needles:
        raise UserError("--needles must be more than --needle-visible, and at least --asked")
    tokenizer = load_tokenizer(model)
    lines, real = _functions(found, tokenizer, sizes)
    drawn = needles(sizes.needles, sizes.seed, "held_out")
    pieces = {one.path: whole(tokenizer, one.path, one.text) for one in drawn}
    with Index([*real, *pieces.values()]) as index:
        world = _World(sizes, tokenizer, drawn, pieces, real, index)
        asked = [
            _asking(world, one, ask(one, task)) for one in drawn[: sizes.asked] for task in TASKS
        ]
    by_embedding: Mapping[str, Mapping[int, float]] = {}
    if embedded is not None:
        asked = _with_embedded(asked, embedded, [*real, *pieces.values()], max(sizes.visible))
        by_embedding = _recalls(asked, sizes, EMBEDDED)
    return Haystack(
        lines + sum(one.text.count("\n") for one in drawn),
        len(real) + len(drawn),
        tuple(asked),
        _recalls(asked, sizes, "routed"),
        by_embedding,
    )


def _functions(
    found: Sequence[Package], tokenizer: Any, sizes: NeedleSizes
) -> tuple[int, list[Piece]]:
    """Return how many lines, and the pieces, of real functions drawn up to the lines wanted."""
    whole_list = [one for package in on_side(found, "held_out") for one in functions(package)]
    whole_list.sort(key=lambda one: digest(str(sizes.seed), one.package, one.path, one.name))
    lines, kept, texts = 0, [], set[str]()
    for one in whole_list:
        if lines >= sizes.haystack_lines:
            break
        if one.text not in texts:
            texts.add(one.text)
            lines += one.text.count("\n")
            kept.append((f"{one.package}/{one.path}/{one.name}.py", one.text))
    if lines < sizes.haystack_lines:
        raise UserError(
            f"the held-out packages have {lines:,} lines of functions: ask for fewer "
            "(--haystack-lines), or read more files of each (--most-files)"
        )
    return lines, cut(tokenizer, kept, sizes.chunk_tokens)


def _asking(world: _World, needle: Needle, question: Question) -> Asking:
    prompt, answer = boundary(world.tokenizer, question.prompt, question.answer)
    changed = needle.edited(new_value(needle, world.sizes.seed))
    edited = ask(changed, question.task)
    after: list[int] = []
    if question.task == "value":
        after = boundary(world.tokenizer, edited.prompt, edited.answer)[1]
    return Asking(
        f"{needle.name} {question.task}",
        question.task,
        question,
        tuple(prompt),
        tuple(answer),
        tuple(after),
        world.pieces[needle.path].name,
        dict(_reads(world, needle, changed, question)),
    )


def _reads(
    world: _World, needle: Needle, changed: Needle, question: Question
) -> list[tuple[tuple[str, int], tuple[Piece, ...]]]:
    """Return what each condition reads."""
    key = f"{needle.name} {question.task}"
    gold, most = world.pieces[needle.path], max(world.sizes.visible)
    others = _drawn(key, [one for path, one in world.pieces.items() if path != needle.path])
    routed = tuple(world.index.find(question.prompt, max(most, FIRST)))
    new = whole(world.tokenizer, needle.path, changed.text)
    given = partial(_placed, key)
    made = [(("given", k), given((gold, *others[: k - 1]))) for k in world.sizes.visible]
    made += [(("routed", k), routed[:k]) for k in (*world.sizes.visible, FIRST)]
    made += [
        (("removed", most), given(others[:most])),
        (("edited", most), given((new, *others[: most - 1]))),
        (("permuted", most), given((gold, *others[: most - 1]))[::-1]),
        (("other", most), _drawn(key, world.functions)[:most]),
        (("text", most), given((gold, *others[: most - 1]))),
        (("rag", most), routed[:most]),
    ]
    return made


def _drawn(key: str, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(sorted(pieces, key=lambda one: digest(key, one.name)))


def _placed(key: str, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return pieces in an order that says nothing of which decides."""
    return tuple(sorted(pieces, key=lambda one: digest("place", key, one.name)))


def _with_embedded(
    asked: Sequence[Asking], embedded: Finder, pieces: Sequence[Piece], most: int
) -> list[Asking]:
    """Return the questions with what a sentence encoder finds for each."""
    found = embedded("needles", pieces, {one.key: Search(one.question.prompt) for one in asked})
    by_name = {piece.name: piece for piece in pieces}
    made = []
    for one in asked:
        best = tuple(by_name[name] for name in found[one.key])
        reads = {**one.reads, (EMBEDDED, most): best[:most], (EMBEDDED, FIRST): best}
        made.append(replace(one, reads=reads))
    return made


def _recalls(
    asked: Sequence[Asking], sizes: NeedleSizes, found_by: str
) -> dict[str, dict[int, float]]:
    return {
        task: _recall([one for one in asked if one.task == task], sizes, found_by) for task in TASKS
    }


def _recall(asked: Sequence[Asking], sizes: NeedleSizes, found_by: str) -> dict[int, float]:
    """Return recall at each number of documents."""
    best = [(one.gold, [piece.name for piece in one.reads[found_by, FIRST]]) for one in asked]
    return {
        k: sum(gold in names[:k] for gold, names in best) / len(best)
        for k in (*sizes.visible, FIRST)
    }
