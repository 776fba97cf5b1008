"""Lines of held-out packages as questions: ids, token classes, and what each condition may read.

    own        the pieces that decide, and the router's best others of the package, `visible` in all
    other      as many pieces of another package, each the nearest in tokens, of a few drawn from it
    oracle     the deciding pieces alone
    own_minus  the router's best of the package without the files that decide
    routed     the router's best, best first, whatever decides: finding and reading together
    embedded   a sentence encoder's best, best first, where one is given (`embedding`)

Pieces are chunks of files, never of the file that is written. In-file lines have own and other
only. Limits: packages are drawn by hash among those with lines enough; a line's prompt may hold the
import of what it uses, so a name is often a choice among imported ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awareness_model.config import UserError
from awareness_model.evaluation.corpus import Package, family, on_side
from awareness_model.evaluation.embedding import Finder, Found, Search
from awareness_model.evaluation.finding import Index
from awareness_model.evaluation.readers import Piece, cut
from awareness_model.evaluation.targets import RemoteTarget, remote_targets
from awareness_model.schema import digest

OTHERS = 12
"""Pieces drawn from another package: few, so that they are encoded once for all lines."""
CLASSES = ("remote", "rest", "in_file")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is asked."""

    lines: int = 160
    """Of all packages, in-file lines included."""
    in_file: float = 0.25
    """Share of them."""
    packages: int = 24
    visible: int = 4
    """Pieces a condition may read."""
    chunk_tokens: int = 256
    prompt_tokens: int = 224
    most_files: int = 40
    """Of a package: those nearest its root."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """An answer behind a prompt."""

    key: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a package."""

    key: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    classes: tuple[str, ...]
    """Of each answer token."""
    reads: Mapping[str, tuple[Piece, ...]]
    """By condition."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a package."""

    package: str
    family: str
    lines: tuple[Line, ...]


def choose(found: Sequence[Package], sizes: Sizes) -> list[tuple[Package, list[RemoteTarget]]]:
    """Return held-out packages with their lines, in the order they were drawn.

    Raises:
        UserError: fewer than two packages have lines enough.
    """
    held = on_side(found, "held_out")
    held.sort(key=lambda one: digest(str(sizes.seed), one.name))
    remote = max(1, round(sizes.lines * (1 - sizes.in_file) / sizes.packages))
    local = round(sizes.lines * sizes.in_file / sizes.packages)
    chosen: list[tuple[Package, list[RemoteTarget]]] = []
    for package in held:
        if len(chosen) == sizes.packages:
            break
        targets = remote_targets(package, remote, sizes.seed)
        mine = [one for one in targets if one.kind == "remote"]
        if len(mine) == remote:
            beside = [one for one in targets if one.kind == "in_file"][:local]
            chosen.append((package, [*mine, *beside]))
    if len(chosen) < 2:
        raise UserError(
            f"{len(chosen)} held-out packages have {remote} lines that use another file: ask fewer "
            "lines (--lines), or install more packages"
        )
    return chosen


def prepare(
    chosen: Sequence[tuple[Package, list[RemoteTarget]]],
    tokenizer: Any,
    sizes: Sizes,
    embedded: Finder | None = None,
) -> list[Lines]:
    """Return the lines of the packages with all that they may read."""
    pieces = [cut(tokenizer, package.files, sizes.chunk_tokens) for package, _ in chosen]
    made = []
    for number, (package, targets) in enumerate(chosen):
        others = _drawn(pieces[(number + 1) % len(chosen)], sizes.seed)
        with Index(pieces[number]) as index:
            found = _by_embedding(embedded, package.name, pieces[number], targets)
            reading = _Reading(index, pieces[number], others, sizes.visible, found)
            lines = [_line(one, tokenizer, reading, sizes.prompt_tokens) for one in targets]
        kept = tuple(line for line in lines if line is not None)
        made.append(Lines(package.name, family(package.name), kept))
    return made


def recall(lines: Sequence[Lines], found_by: str) -> float | None:
    """Return the share of remote lines with a deciding piece among those a finder (`routed`,
    `embedded`) gave it to read; None where it was not asked."""
    held = [one.reads for of in lines for one in of.lines if found_by in one.reads]
    hits = [bool(set(reads[found_by]) & set(reads["oracle"])) for reads in held]
    return sum(hits) / len(hits) if hits else None


def _by_embedding(
    embedded: Finder | None,
    package: str,
    pieces: Sequence[Piece],
    targets: Sequence[RemoteTarget],
) -> Found:
    if embedded is None:
        return {}
    searches = {one.key: Search(one.prompt, one.file) for one in targets if one.spans}
    return embedded(package, pieces, searches)


def _drawn(pieces: Sequence[Piece], seed: int) -> list[Piece]:
    return sorted(pieces, key=lambda one: digest(str(seed), one.name))[:OTHERS]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where a package's lines find what they read."""

    index: Index
    pieces: Sequence[Piece]
    others: Sequence[Piece]
    visible: int
    embedded: Found
    """By a line's key; empty where there is no sentence encoder."""

    def of(self, target: RemoteTarget) -> dict[str, tuple[Piece, ...]]:
        """Return what each condition reads."""
        deciding = self._deciding(target)
        routed = self._found(target, {target.file})
        rest = [one for one in routed if one not in deciding]
        own = _ordered([*deciding, *rest][: self.visible])
        reads = {"own": own, "other": _matched(own, self.others)}
        if target.spans:
            without = self._found(target, {target.file, *(one.path for one in target.gold)})
            reads["oracle"] = _ordered(deciding)
            reads["own_minus"] = _ordered(without)
            reads["routed"] = tuple(routed)
        if target.key in self.embedded:
            wanted = self.embedded[target.key][: self.visible]
            by_name = {piece.name: piece for piece in self.pieces}
            reads["embedded"] = tuple(by_name[name] for name in wanted)
        return reads

    def _deciding(self, target: RemoteTarget) -> list[Piece]:
        """Return the pieces in which what the line uses begins to be defined."""
        begun = {
            piece: None
            for gold in target.gold
            for piece in self.pieces
            if piece.path == gold.path and piece.start <= gold.start < piece.start + len(piece.text)
        }
        return list(begun)[: self.visible]

    def _found(self, target: RemoteTarget, without: set[str]) -> list[Piece]:
        """Return the router's best, filled up with any where no more share a word."""
        best = self.index.find(target.prompt, self.visible, sorted(without))
        any_left = (one for one in self.pieces if one.path not in without and one not in best)
        return [*best, *any_left][: self.visible]


def _ordered(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(sorted(dict.fromkeys(pieces), key=lambda one: (one.path, one.start)))


def _matched(own: Sequence[Piece], others: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return for each own piece the nearest in tokens of another package's, each once."""
    chosen: list[Piece] = []
    for piece in own:
        if left := [one for one in others if one not in chosen]:
            chosen.append(min(left, key=lambda one: (abs(one.tokens - piece.tokens), one.name)))
    return tuple(chosen)


def _line(
    target: RemoteTarget, tokenizer: Any, reading: _Reading, prompt_tokens: int
) -> Line | None:
    """Return a line with its token classes, or None where nothing can be read for it."""
    prompt, answer, spans = _tokens(tokenizer, target.prompt, target.text)
    reads = reading.of(target)
    if not prompt or not answer or not all(reads.values()):
        return None
    begin = len(target.prompt)
    remote = [(begin + a, begin + b) for a, b in target.spans]
    other = "rest" if target.spans else "in_file"
    classes = tuple(
        "remote" if any(a < end and start < b for a, b in remote) else other for start, end in spans
    )
    return Line(target.key, tuple(prompt[-prompt_tokens:]), tuple(answer), classes, reads)


def _tokens(
    tokenizer: Any, prompt: str, text: str
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Return prompt ids, answer ids and the answer tokens' characters, tokenised as one text (as
    `question.boundary`)."""
    plain = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    whole = tokenizer(prompt + text, return_offsets_mapping=True, **plain)
    alone = tokenizer(prompt, **plain)["input_ids"]
    ids, shared = whole["input_ids"], 0
    while shared < min(len(ids), len(alone)) and ids[shared] == alone[shared]:
        shared += 1
    return ids[:shared], ids[shared:], [tuple(one) for one in whole["offset_mapping"][shared:]]
