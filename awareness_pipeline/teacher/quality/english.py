"""English: how sure it is that a prompt is English.

Three shares multiplied, names of code apart: letters of the Latin script; of the words that tell a
language (common words of nine, `awareness_pipeline.words`; one that English shares counts for
English) those that tell English, one added to both; and, as every fifth word at least of English
prose is a common one, how near the prompt comes to that, one added too.

Limits: a few words without a common one count as English; so do languages whose common words
happen to look English. Eight other Latin languages are known by their words, the rest only by the
want of English ones.
"""

import re
from typing import Final

from awareness_pipeline.teacher.quality.names import prose_of
from awareness_pipeline.words import FUNCTION_AND_USUAL

__all__ = ["english"]

COMMON_EVERY: Final = 5
"""Of our own templates' examples every second or third word is a common one."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_LISTS: Final = {
    language: frozenset(f"{function} {usual}".split())
    for language, (function, usual) in FUNCTION_AND_USUAL.items()
}
_ENGLISH: Final = _LISTS["en"]
_FOREIGN: Final = frozenset().union(*_LISTS.values()) - _ENGLISH


def english(text: str) -> float:
    """Return how English a text is, 0 to 1; 0 where it has no letter outside of names."""
    words = [word.lower() for word in _WORD.findall(prose_of(text))]
    letters = "".join(words)
    if not letters:
        return 0.0
    common = sum(word in _ENGLISH for word in words) + 1
    foreign = sum(word in _FOREIGN for word in words)
    script = sum(map(_is_latin, letters)) / len(letters)
    return script * common / (common + foreign) * min(1.0, common * COMMON_EVERY / len(words))


def _is_latin(letter: str) -> bool:
    """Tell whether a letter is of Unicode's Latin blocks up to Extended-B, or Additional."""
    return letter < "\u0250" or "\u1e00" <= letter < "\u1f00"
