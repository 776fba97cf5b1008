"""Questions about a tree whose answers stand in one other file of it: what a memory must recall.

`remote`: file A up to the first place where it takes a name from file B; the answer is that name.
B alone defines it at top level, and A points at B there: by the module an import names, by
`module.` in front, or (Go) by being in the same package.
`needle`: the opening of a test that compares a constant of B; the answer is its literal value.

No answer stands in its prompt, and a name that A's path gives away is not asked for. The same files
and seed give the same items in the same order, whatever order the files come in.

Limits: modules are matched by path (see `modules`). The answer may stand in further files too, such
as a test that asserts it; `gold` names the file that decides it.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from awareness_model.schema import digest
from awareness_pipeline.symbols import go
from awareness_pipeline.symbols.definers import CodeFile, code_files, deciders
from awareness_pipeline.symbols.index import SymbolIndex
from awareness_pipeline.symbols.modules import refers_to
from awareness_pipeline.symbols.names import Use, uses
from awareness_pipeline.symbols.needles import needle_prompt
from awareness_pipeline.symbols.syntax import parse

__all__ = ["Item", "build_items"]

PROMPT_CHARACTERS: Final = 300
MIN_NAME: Final = 4
_COMMENT: Final = {"Go": "//", "JavaScript": "//", "Python": "#"}


@dataclass(frozen=True, slots=True)
class Item:
    """One question: continue `prompt` with `answer`, which the `gold` files decide."""

    item_id: str
    """blake2b-128 of all other fields; the same question in two repositories has the same id."""
    kind: str
    """`remote` or `needle`."""
    language: str
    path: str
    """The file asked about: A for `remote`, B for `needle`."""
    prompt: str
    answer: str
    gold: tuple[str, ...]


def build_items(
    files: Iterable[tuple[str, str, str]], *, seed: int, limit: int | None = None
) -> list[Item]:
    """Return items over a tree given as (path, language, text); other languages are passed over.

    Kinds alternate as long as both last, every answer is asked for once per kind and file that
    decides it, and the seed draws which `limit` of all come, and in which order.
    """
    known = code_files(files, SymbolIndex())
    deciding = deciders(known)
    remote = [item for file in known for item in _remote(file, deciding)]
    needles = [item for file in known for item in _needles(file, deciding)]
    rng = random.Random(f"items {seed}")
    drawn = [_draw(items, rng) for items in (remote, needles)]
    mixed = [item for pair in zip_longest(*drawn) for item in pair if item is not None]
    return mixed[:limit]


def _remote(file: CodeFile, deciding: dict[tuple[str, str], CodeFile]) -> Iterator[Item]:
    own = {one.name for one in file.defined}
    own |= go.bound_names(parse(file.text, file.language)) if file.language == "Go" else set()
    seen: set[str] = set()
    data = file.text.encode("utf-8")
    for use in uses(file.text, file.language):
        if use.name in seen:
            continue
        seen.add(use.name)
        decider = deciding.get((file.language, use.name))
        if decider is None or decider.path == file.path or not _askable(use.name, file.path):
            continue
        # In Go a qualified name can't be the file's own, whatever else the file calls so.
        if (use.name in own and not use.qualifier) or not _points_at(use, file, decider):
            continue
        before = data[: use.start_byte].decode("utf-8")
        prompt = _prompt(file, before)
        if use.name not in before and use.name not in prompt:
            yield _item("remote", file.language, file.path, prompt, use.name, decider.path)


def _askable(name: str, path: str) -> bool:
    return len(name) >= MIN_NAME and name.lower() not in path.lower()


def _points_at(use: Use, file: CodeFile, decider: CodeFile) -> bool:
    if file.language != "Go":
        return refers_to(use, file.path, decider.path, file.language)
    if use.qualifier:
        return use.qualifier == decider.package
    return file.folder == decider.folder and file.package == decider.package


def _prompt(file: CodeFile, before: str) -> str:
    """Return the last `PROMPT_CHARACTERS` of `before`, in whole lines, under the file's path."""
    tail = before[-PROMPT_CHARACTERS:]
    if len(tail) < len(before):
        tail = tail[tail.find("\n") + 1 :]
    return f"{_COMMENT[file.language]} {file.path}\n{tail}"


def _needles(file: CodeFile, deciding: dict[tuple[str, str], CodeFile]) -> Iterator[Item]:
    times = Counter(one.name for one in file.defined)
    for constant in file.defined:
        if constant.literal is None or times[constant.name] > 1:
            continue
        if deciding.get((file.language, constant.name)) is not file:
            continue
        prompt = needle_prompt(constant, file.path, file.language, file.text, file.package)
        if prompt:
            yield _item("needle", file.language, file.path, prompt, constant.literal, file.path)


def _item(kind: str, language: str, path: str, prompt: str, answer: str, gold: str) -> Item:
    item_id = digest(kind, language, path, prompt, answer, gold)
    return Item(item_id, kind, language, path, prompt, answer, (gold,))


def _draw(items: list[Item], rng: random.Random) -> list[Item]:
    """Shuffle, and keep one item for every answer and the file that decides it."""
    shuffled = sorted(items, key=lambda item: item.item_id)
    rng.shuffle(shuffled)
    kept: dict[tuple[str, tuple[str, ...]], Item] = {}
    for item in shuffled:
        kept.setdefault((item.answer, item.gold), item)
    return list(kept.values())
