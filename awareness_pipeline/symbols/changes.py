"""Questions whose words stay and whose answer changes with an edit: what a memory must forget.

`constant`: the value of a constant (see `needles`); `default`: the literal that a parameter of a
Python function defaults to; `signature`: the parameters of a top-level function. In each tree one
file alone defines the name at top level, and the answer does not stand in the prompt.

A chain follows one question through several trees. Its steps are those at which the answer changes
and, between them, controls: the last tree in which other files have changed and the answer has not.

Limits: a question that a tree does not have, as when the name moves to another module, ends its
chain. A value that could be guessed is never asked for, so a change to or from one is passed over.
"""

import random
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from awareness_model.schema import content_hash, digest
from awareness_pipeline.symbols.definers import CodeFile, code_files, deciders
from awareness_pipeline.symbols.index import SymbolIndex
from awareness_pipeline.symbols.modules import import_name
from awareness_pipeline.symbols.needles import needle_prompt, worth_asking
from awareness_pipeline.symbols.parameters import Signature

__all__ = ["Chain", "ChainStep", "StateItem", "chains", "state_items"]

MAX_STEPS: Final = 8
"""Steps of a chain; those beyond are left out."""
MAX_SIGNATURE: Final = 120
MIN_LETTERS: Final = 3

File = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class StateItem:
    """One question and its answers before and after an edit."""

    kind: str
    """`constant`, `default`, `signature`."""
    prompt: str
    language: str
    path_before: str
    """The file that decides it, before and after."""
    path_after: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChainStep:
    """The answer to a chain's question in one tree."""

    sha: str
    path: str
    answer: str
    changed: bool
    """Whether the answer is not that of the step before; of the first step it is true."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One question through several trees, oldest first; its answer changes at least once."""

    chain_id: str
    """blake2b-128 of all other fields."""
    kind: str
    language: str
    prompt: str
    steps: tuple[ChainStep, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    kind: str
    name: str
    prompt: str
    language: str
    path: str
    answer: str


@dataclass(slots=True)
class _Asker:
    """Asks trees; a file that two of them share is read once."""

    index: SymbolIndex
    known: dict[Hashable, tuple[_Question, ...]] = field(default_factory=dict)

    def questions(
        self, files: Iterable[File], unchanged: Collection[File] = ()
    ) -> dict[str, _Question]:
        """Return the questions of a tree by prompt, those that unchanged files answer left out.

        A prompt names what it asks for, so no other file can answer it.
        """
        code = code_files(files, self.index)
        deciding = deciders(code)
        return {
            one.prompt: one
            for file in code
            if (file.path, file.language, file.text) not in unchanged
            for one in self._of(file)
            if deciding.get((file.language, one.name)) is file
        }

    def _of(self, file: CodeFile) -> tuple[_Question, ...]:
        key = (file.path, file.language, content_hash(file.text.encode("utf-8")))
        if key not in self.known:
            self.known[key] = tuple(_questions(file))
        return self.known[key]


def state_items(
    before: Iterable[File],
    after: Iterable[File],
    *,
    seed: int,
    limit: int | None = None,
    index: SymbolIndex | None = None,
) -> list[StateItem]:
    """Return questions whose answers differ between two trees, given as (path, language, text).

    The seed draws which `limit` of all come, and in which order.
    """
    asker = _Asker(index or SymbolIndex())
    trees = list(before), list(after)
    unchanged = set(trees[0]) & set(trees[1])
    old, new = (asker.questions(tree, unchanged) for tree in trees)
    items = [
        StateItem(
            kind=one.kind,
            prompt=prompt,
            language=one.language,
            path_before=one.path,
            path_after=new[prompt].path,
            before=one.answer,
            after=new[prompt].answer,
        )
        for prompt, one in sorted(old.items())
        if prompt in new and new[prompt].answer != one.answer
    ]
    random.Random(f"state {seed}").shuffle(items)
    return items[:limit]


def chains(
    trees: Iterable[tuple[str, Iterable[File]]],
    *,
    seed: int,
    limit: int | None = None,
    index: SymbolIndex | None = None,
    unchanged: Collection[File] = (),
) -> list[Chain]:
    """Return questions followed through trees, given as (sha, files), oldest first.

    Trees are taken one at a time, so they may be read as they are asked for. The seed draws which
    `limit` of all come, and in which order. Files known to be in all trees as they are
    (`unchanged`) are not asked: it saves most of the work and changes nothing.
    """
    asker = _Asker(index or SymbolIndex())
    followed: dict[str, list[tuple[str, _Question]]] = {}
    ended: list[list[tuple[str, _Question]]] = []
    previous: list[File] | None = None
    for sha, files in trees:
        tree = sorted(files)
        if tree == previous:
            continue
        previous = tree
        asked = asker.questions(tree, unchanged)
        ended += [steps for prompt, steps in followed.items() if prompt not in asked]
        followed = {
            prompt: [*followed.get(prompt, ()), (sha, one)] for prompt, one in asked.items()
        }
    made = [_chain(steps) for steps in [*ended, *followed.values()] if _changes(steps)]
    made.sort(key=lambda chain: chain.chain_id)
    random.Random(f"chains {seed}").shuffle(made)
    return made[:limit]


def _changes(steps: Sequence[tuple[str, _Question]]) -> bool:
    return len({one.answer for _, one in steps}) > 1


def _chain(steps: Sequence[tuple[str, _Question]]) -> Chain:
    kept = tuple(_steps(steps))[:MAX_STEPS]
    _, first = steps[0]
    told = [part for one in kept for part in (one.sha, one.path, one.answer, str(one.changed))]
    chain_id = digest(first.kind, first.language, first.prompt, *told)
    return Chain(chain_id, first.kind, first.language, first.prompt, kept)


def _steps(steps: Sequence[tuple[str, _Question]]) -> Iterator[ChainStep]:
    """Yield the first tree of every answer, and the last one where that is another."""
    for at, (sha, one) in enumerate(steps):
        changed = not at or steps[at - 1][1].answer != one.answer
        is_last = at + 1 == len(steps) or steps[at + 1][1].answer != one.answer
        if changed or is_last:
            yield ChainStep(sha, one.path, one.answer, changed)


def _questions(file: CodeFile) -> Iterator[_Question]:
    times = Counter(one.name for one in file.defined)
    for constant in file.defined:
        if constant.literal is not None and times[constant.name] == 1:
            prompt = needle_prompt(constant, file.path, file.language, file.text, file.package)
            if prompt:
                yield _question("constant", constant.name, prompt, constant.literal, file)
    for one in file.facts.signatures:
        if times[one.name] == 1:
            yield from _of_signature(one, file)


def _of_signature(signature: Signature, file: CodeFile) -> Iterator[_Question]:
    prompt = _opening(signature.name, file)
    answer = signature.parameters
    letters = sum(character.isalnum() for character in answer)
    if letters >= MIN_LETTERS and len(answer) <= MAX_SIGNATURE and "\n" not in answer:
        yield _question("signature", signature.name, prompt, answer, file)
    module = import_name(file.path) if file.language == "Python" else ""
    for parameter, literal in signature.defaults if module else ():
        prompt = _default_prompt(module, signature.name, parameter)
        if worth_asking(parameter, literal) and literal.strip("\"'") not in prompt:
            yield _question("default", signature.name, prompt, literal, file)


def _question(kind: str, name: str, prompt: str, answer: str, file: CodeFile) -> _Question:
    return _Question(kind, name, prompt, file.language, file.path, answer)


def _opening(name: str, file: CodeFile) -> str:
    """Return the head of a file up to the name of a function of it."""
    if file.language == "Python":
        return f"# {file.path}\n\ndef {name}"
    if file.language == "JavaScript":
        return f"// {file.path}\n\nfunction {name}"
    return f"// {file.path}\npackage {file.package}\n\nfunc {name}"


def _default_prompt(module: str, name: str, parameter: str) -> str:
    test = f"tests/test_{module.rpartition('.')[2]}.py"
    return (
        f"# {test}\nimport inspect\nfrom {module} import {name}\n\n"
        f'assert inspect.signature({name}).parameters["{parameter}"].default == '
    )
