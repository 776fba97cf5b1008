"""Form: length by style, repetition, and marks that no prompt has.

A word is what a reader sees between blanks. Limits: a list of one kind of item repeats its words
and may be refused.
"""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["MAX_CHARACTERS", "WORDS", "has_code", "has_tags", "length_fault", "repetition"]

WORDS: Final = {"issue": (8, 200), "imperative": (3, 80), "terse": (2, 14), "message": (2, 200)}
"""Fewest and most words by style. A task of one word asks for nothing; the longest are about what
the templates ask for, doubled. Messages are as people wrote them."""
LINES: Final = {"issue": (2, 200), "terse": (1, 1)}
"""Fewest and most lines with text: an issue has a title and a text, a terse prompt one line."""
MAX_CHARACTERS: Final = 8_000
"""No style comes near; longer text is not even read to its end."""

_TAG: Final = re.compile(
    r"</?(?:task|issue|imperative|terse|prompt|answer|think|reasoning|score|instructions?|system|user"
    r"|assistant|commit|diff|examples?)>|<\|",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"```|^(?:diff --git|@@ |\+\+\+ |--- )", re.MULTILINE)


def length_fault(text: str, words: int, style: str) -> str:
    """Return `too_short`, `too_long`, `lines` (not as many as the style has) or nothing.

    Raises KeyError for a style not in `WORDS`.
    """
    fewest, most = WORDS[style]
    if len(text) > MAX_CHARACTERS or words > most:
        return "too_long"
    if words < fewest:
        return "too_short"
    fewest, most = LINES.get(style, (1, len(text)))
    return "" if fewest <= sum(map(bool, map(str.strip, text.splitlines()))) <= most else "lines"


def repetition(words: Sequence[str]) -> float:
    """Return the share of runs of three words that stood before, 0 to 1."""
    runs = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def has_tags(text: str) -> bool:
    """Tell whether marks of a template or a chat are left in a text; `Vec<String>` is none."""
    return _TAG.search(text) is not None


def has_code(text: str) -> bool:
    """Tell whether a text holds a block of code or a piece of a diff."""
    return _CODE.search(text) is not None
