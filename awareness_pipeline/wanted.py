r"""Which of some wanted names stand in a text: identifiers, paths, numbers, phrases.

A name of word characters alone (`\w+`) is found where it is a whole word, case told apart; any
other (`a.b`, `src/x.py`, `--dry-run`, `not found`) where it stands letter by letter with no word
character joined to its ends.

A text costs one pass to split into words; a phrase is searched only where all its words are.

Limits: a wanted name longer than `MAX_CHARACTERS`, or without a word character, is found nowhere.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_CHARACTERS", "Searchable", "Wanted", "found_in", "searchable", "wanted_of"]

MAX_CHARACTERS: Final = 300
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names to look for."""

    words: frozenset[str]
    phrases: tuple[tuple[str, frozenset[str]], ...]
    """Each with its words, sorted."""


@dataclass(frozen=True, slots=True)
class Searchable:
    """A text with its words."""

    text: str
    words: frozenset[str]


def wanted_of(names: Iterable[str]) -> Wanted:
    """Return names made ready to be looked for."""
    fit = {name for name in names if len(name) <= MAX_CHARACTERS}
    words = frozenset(name for name in fit if _WORD.fullmatch(name))
    phrases = ((name, frozenset(_WORD.findall(name))) for name in sorted(fit - words))
    return Wanted(words, tuple((name, parts) for name, parts in phrases if parts))


def searchable(text: str) -> Searchable:
    """Split a text once for many searches."""
    return Searchable(text, frozenset(_WORD.findall(text)))


def found_in(text: Searchable, wanted: Wanted) -> frozenset[str]:
    """Return the wanted names that stand in a text."""
    phrases = (
        name for name, parts in wanted.phrases if parts <= text.words and _stands(name, text.text)
    )
    return (wanted.words & text.words).union(phrases)


def _stands(phrase: str, text: str) -> bool:
    at = text.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not (_joined(phrase[0], text[at - 1 : at]) or _joined(phrase[-1], text[end : end + 1])):
            return True
        at = text.find(phrase, at + 1)
    return False


def _joined(edge: str, neighbour: str) -> bool:
    """Tell whether a phrase's first or last character goes on in the text as a word."""
    return bool(_WORD.match(edge) and _WORD.match(neighbour))
