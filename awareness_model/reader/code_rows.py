"""Rows from real packages: lines that use what another file defines, and chunks that hold it.

A document is the chunk in which a used name is defined. Visible are the chunks that decide a line
and others of the same package that decide other lines, never one of the line's own file: the
distractors are alike in kind. Limits: Python; the prompt's last `PROMPT` tokens alone.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from awareness_model.chunk import split
from awareness_model.evaluation.corpus import Package
from awareness_model.evaluation.modules import Gold
from awareness_model.evaluation.targets import RemoteTarget, remote_targets
from awareness_model.reader.rows import CODE, CONTEXT, Row

PROMPT = 96
"""Tokens before a line."""
CHUNK = 256
"""Tokens of a document at most."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a package as tokens."""

    package: str
    file: str
    ids: tuple[int, ...]
    """Prompt and line."""
    begin: int
    """Where the line begins."""
    remote: tuple[int, ...]
    """Places of remote tokens; none in an in-file line."""
    gold: tuple[str, ...]
    """Names of documents."""


@dataclass(frozen=True, slots=True)
class Code:
    """Lines of packages and the documents they are about."""

    lines: tuple[Line, ...]
    texts: Mapping[str, str]
    """Documents by name: `package:path:start`."""

    def others(self, line: Line) -> list[str]:
        """Return names of the package's documents that neither decide the line nor are of its
        file."""
        begin, own = f"{line.package}:", f"{line.package}:{line.file}:"
        return [
            name
            for name in self.texts
            if name.startswith(begin) and not name.startswith(own) and name not in line.gold
        ]


def read(tokenizer: Any, found: Sequence[Package], lines: int, seed: int) -> Code:
    """Return at most `lines` remote lines of each package and as many in-file ones.

    Lines whose definition stands in no chunk, or that have no remote token, are left out.
    """
    texts: dict[str, str] = {}
    made: list[Line] = []
    for package in found:
        files = dict(package.files)
        cut: dict[str, list[Any]] = {}
        for target in remote_targets(package, lines, seed):
            gold = []
            for one in target.gold:
                if one.path not in cut:
                    cut[one.path] = list(split(files[one.path], tokenizer, CHUNK, one.path))
                gold += _documents(package.name, one, cut[one.path], files[one.path], texts)
            line = _line(tokenizer, target, tuple(dict.fromkeys(gold)))
            if bool(line.remote) == bool(target.spans):
                made.append(line)
    return Code(tuple(made), texts)


def _documents(
    package: str, gold: Gold, chunks: Sequence[Any], text: str, texts: dict[str, str]
) -> list[str]:
    """Note the chunk in which a definition begins; return its name."""
    for chunk in chunks:
        if chunk.start <= gold.start < chunk.end:
            name = f"{package}:{gold.path}:{chunk.start}"
            texts[name] = text[chunk.start : chunk.end]
            return [name]
    return []


def _line(tokenizer: Any, target: RemoteTarget, gold: tuple[str, ...]) -> Line:
    whole = tokenizer(
        target.prompt + target.text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )
    start = len(target.prompt)
    ends = [(begin - start, end - start) for begin, end in whole["offset_mapping"]]
    first = next((n for n, (_, end) in enumerate(ends) if end > 0), len(ends))
    cut = max(first - PROMPT, 0)
    remote = [
        n - cut
        for n, (begin, end) in enumerate(ends)
        if n > cut and any(begin < last and end > from_ for from_, last in target.spans)
    ]
    return Line(
        target.package,
        target.file,
        tuple(whole["input_ids"][cut:]),
        first - cut,
        tuple(remote),
        gold,
    )


def runs(places: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return places as ranges."""
    made: list[tuple[int, int]] = []
    for place in places:
        if made and made[-1][1] == place:
            made[-1] = (made[-1][0], place + 1)
        else:
            made.append((place, place + 1))
    return tuple(made)


def row(code: Code, line: Line, visible: int, seed: str) -> Row:
    """Return a remote line with its documents and others of its package; a line of its own file
    with the others alone, no token counted."""
    drawn = random.Random(seed)
    others = code.others(line)
    room = max(visible - len(line.gold), 0)
    shown = [*line.gold, *drawn.sample(others, min(room, len(others)))]
    drawn.shuffle(shown)
    return Row(CODE, line.ids, runs(line.remote), tuple(shown), frozenset(line.gold))


def begun(row: Row, seed: str) -> Row:
    """Return a row that begins at some token of its first half, before all that counts."""
    first = min((begin for begin, _ in row.answers), default=len(row.ids))
    cut = random.Random(f"begun {seed}").randrange(max(min(len(row.ids) // 2, first - CONTEXT), 1))
    answers = tuple((begin - cut, end - cut) for begin, end in row.answers)
    return replace(row, ids=row.ids[cut:], answers=answers)


def harmless(line: Line, names: Sequence[str], visible: int, seed: str) -> Row:
    """Return a line with documents drawn from `names`, which have nothing to do with it."""
    shown = random.Random(seed).sample(names, visible)
    begin = max(line.begin - 16, 1)
    return Row("harmless", line.ids, ((begin, len(line.ids)),), tuple(shown), is_harmless=True)


def useless(ids: Sequence[int], names: Sequence[str], visible: int, seed: str) -> Row:
    """Return any text of which every token counts, with documents drawn from `names`."""
    shown = random.Random(seed).sample(names, min(visible, len(names)))
    counted = ((min(CONTEXT, len(ids) - 1), len(ids)),)
    return Row("harmless", tuple(ids), counted, tuple(shown), is_harmless=True)
