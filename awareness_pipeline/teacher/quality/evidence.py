"""What the gate knows of a commit: the lines it adds, its cleaned message, the words of all of it.

Made once for a commit and used for each of its prompts. Limits: of a diff the first
`READ_CHARACTERS` are read, so what stands behind is neither copied nor leaked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from awareness_pipeline.patch.hunks import read_patch
from awareness_pipeline.teacher.quality.words import parts_of, words_of
from awareness_pipeline.wanted import Searchable, searchable

__all__ = ["Evidence", "evidence_of"]

READ_CHARACTERS: Final = 200_000
MAX_WORDS: Final = 20_000
MAX_STATEMENTS: Final = 4_000
MIN_STATEMENT: Final = 8
"""Characters; shorter lines (`x = 1`) are found in prose by chance."""

_CODE: Final = re.compile(r"\w\(|[=;{}\[\]]|->")
_NAME_ALONE: Final = re.compile(r"[\w.]+(?:\(\))?")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a commit says, made ready for comparing prompts with it."""

    added: Searchable
    """The added lines."""
    added_words: tuple[str, ...]
    """Their words in order, in lower case."""
    statements: tuple[str, ...]
    """Added lines that are code, blanks made even."""
    message: Searchable
    """The cleaned commit message."""
    parts: frozenset[str]
    """Parts of words (`parts_of`) of the message, the paths and the changed lines."""


def evidence_of(diff: str, *, message: str, paths: Sequence[str]) -> Evidence:
    """Read a commit.

    Args:
        diff: the stored diff.
        message: the message after `clean_message`.
        paths: the changed files.
    """
    lines = list(_lines(diff[:READ_CHARACTERS], "+-"))
    added = [line for sign, line in lines if sign == "+"]
    text = "\n".join(added)
    changed = "\n".join(line for _, line in lines)
    return Evidence(
        added=searchable(text),
        added_words=tuple(words_of(text)[:MAX_WORDS]),
        statements=_statements(added),
        message=searchable(message),
        parts=frozenset(parts_of("\n".join((message, *paths, changed)))),
    )


def _lines(diff: str, signs: str) -> list[tuple[str, str]]:
    return [
        (sign, line.rstrip("\n"))
        for file in read_patch(diff)
        for hunk in file.hunks
        for sign, line in hunk.lines
        if sign in signs
    ]


def _statements(added: Sequence[str]) -> tuple[str, ...]:
    even = (" ".join(line.split()).rstrip(" ;,:{") for line in added)
    found = (
        line
        for line in even
        if len(line) >= MIN_STATEMENT and _CODE.search(line) and not _NAME_ALONE.fullmatch(line)
    )
    return tuple(dict.fromkeys(found))[:MAX_STATEMENTS]
