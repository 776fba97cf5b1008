"""A stored diff as files and hunks, and a file's text after them.

Lines end at `\\n` alone and keep it; one without it is the last of its file. Hunks are read by the
counts in their `@@` line, so content that looks like a header is content.

Limits: takes what `gitio.log` stores (prefixes `a/` and `b/`, no combined diffs). A file whose
hunks end before their counts is `cut`; a diff cut between two hunks or files cannot be told from a
whole one, `Commit.truncated` says it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from awareness_pipeline.patch.header import read_header

__all__ = ["FilePatch", "Hunk", "lines_of", "patched", "read_patch"]

_HUNK: Final = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that replace others. `start` and `new_start` count from 0, before and after."""

    start: int
    new_start: int
    lines: tuple[tuple[str, str], ...]
    """Sign (` `, `-` or `+`) and line."""

    @property
    def before(self) -> list[str]:
        """Return the lines of the file before."""
        return [line for sign, line in self.lines if sign != "+"]

    @property
    def after(self) -> list[str]:
        """Return the lines of the file after."""
        return [line for sign, line in self.lines if sign != "-"]


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What a patch says of one file."""

    path: str
    """The path after; of a deleted file the path before."""
    old_path: str
    """The path before; of an added file the path after."""
    status: str
    """`added`, `modified`, `deleted`, `renamed`, `copied`."""
    mode: str
    """As git prints it (`100644`, `120000`, …); empty for a pure rename."""
    is_binary: bool
    hunks: tuple[Hunk, ...]
    cut: bool
    """Whether a hunk ends before its counts."""

    @property
    def removed(self) -> frozenset[int]:
        """Return the numbers, from 1, of lines of the file before that are gone."""
        return frozenset(self._numbers("-"))

    @property
    def added(self) -> frozenset[int]:
        """Return the numbers, from 1, of lines of the file after that are new."""
        return frozenset(self._numbers("+"))

    def _numbers(self, wanted: str) -> Iterator[int]:
        other = "+" if wanted == "-" else "-"
        for hunk in self.hunks:
            number = hunk.start if wanted == "-" else hunk.new_start
            for sign, _ in hunk.lines:
                if sign != other:
                    number += 1
                if sign == wanted:
                    yield number


def read_patch(diff: str) -> list[FilePatch]:
    """Return the files of a diff in order; a change of type makes two."""
    return [_read(part) for part in f"\n{diff}".split("\ndiff --git ")[1:]]


def patched(file: FilePatch, before: str) -> str:
    """Return a file's text after its hunks.

    Raises:
        ValueError: a hunk does not fit `before`.
    """
    old, new, at = lines_of(before), [], 0
    for hunk in file.hunks:
        end = hunk.start + len(hunk.before)
        if hunk.start < at or old[hunk.start : end] != hunk.before:
            raise ValueError(f"{file.old_path}: a hunk does not fit at line {hunk.start + 1}")
        new += [*old[at : hunk.start], *hunk.after]
        at = end
    return "".join([*new, *old[at:]])


def lines_of(text: str) -> list[str]:
    """Split a text behind every `\\n`, and nowhere else."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _read(part: str) -> FilePatch:
    at = part.find("\n@@ ")
    header = read_header((part[:at] if at >= 0 else part).encode("utf-8"))
    path, old_path = (_decoded(one) for one in (header.path, header.old_path or header.path))
    hunks, cut = _hunks(part[at + 1 :].split("\n")) if at >= 0 else ((), False)
    return FilePatch(
        path=path,
        old_path=old_path,
        status=header.status,
        mode=header.mode.decode("ascii", "replace"),
        is_binary=header.is_binary,
        hunks=hunks,
        cut=cut,
    )


def _hunks(lines: list[str]) -> tuple[tuple[Hunk, ...], bool]:
    """Return the hunks, and whether the last one is cut."""
    hunks, at = [], 0
    while at < len(lines) and (found := _HUNK.match(lines[at])):
        old, new = int(found[2] or 1), int(found[4] or 1)
        taken, at, whole = _body(lines, at + 1, old, new)
        # Of no lines git gives the number of the line before them.
        start, new_start = int(found[1]) - (old > 0), int(found[3]) - (new > 0)
        hunks.append(Hunk(start, new_start, tuple(taken)))
        if not whole:
            return tuple(hunks), True
    return tuple(hunks), False


def _body(lines: list[str], at: int, old: int, new: int) -> tuple[list[tuple[str, str]], int, bool]:
    """Read a hunk's lines from `at`; return them, where they end, and whether all are there."""
    taken: list[tuple[str, str]] = []
    while old > 0 or new > 0:
        sign = lines[at][:1] if at < len(lines) else ""
        if sign not in ("+", "-", " "):
            return taken, at, False
        taken.append((sign, lines[at][1:] + "\n"))
        old -= sign != "+"
        new -= sign != "-"
        at += 1
        if at < len(lines) and lines[at].startswith("\\"):
            taken[-1] = (sign, taken[-1][1][:-1])
            at += 1
    return taken, at, True


def _decoded(path: bytes) -> str:
    return path.decode("utf-8", "replace")
