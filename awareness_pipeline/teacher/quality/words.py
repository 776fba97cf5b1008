"""Words of a text as the gate counts and compares them."""

import re
from typing import Final

__all__ = ["count_words", "parts_of", "words_of"]

MIN_PART: Final = 4
"""Shorter parts of words show no relation between a task and its commit."""
_COMMON_WORDS: Final = """
    also from have into make made more must need only should such than that them then there they
    this when where which will with would
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())
_WORD: Final = re.compile(r"[^\W_]+")
_ENDING: Final = re.compile(r"(?<=\w{3})(?:ings?|ies|e[sd]|[yse])\Z")
_PART: Final = re.compile(r"[A-Z]?[^\W\dA-Z_]+|[A-Z]+(?![a-z])")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case; `some_name` is two."""
    return [word.lower() for word in _WORD.findall(text)]


def count_words(text: str) -> int:
    """Return how many words a reader sees: pieces between blanks that hold a letter or digit."""
    return sum(_WORD.search(piece) is not None for piece in text.split())


def parts_of(text: str) -> set[str]:
    """Return the parts of words that carry meaning, without their endings: `loadUser_v2` gives
    `load` and `user`, `retries` gives `retr` as `retry` does."""
    parts = {part.lower() for part in _PART.findall(text) if len(part) >= MIN_PART} - _COMMON
    return {_ENDING.sub("", part) for part in parts}
