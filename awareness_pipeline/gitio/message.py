"""What a commit message says of its commit: a revert, a conventional type, a language.

Types are those of Conventional Commits as commitlint's config-conventional lists them, at the very
start and whole: `fix(core)!: …`. Language is an ISO 639-1 code, told by script (Chinese, Japanese,
Korean, Russian, …) and among Latin ones by common words: function words count twice, words usual in
commit messages once, and the language with most wins. It costs some microseconds; trained
identifiers cost up to milliseconds and know nothing of subjects of three words.

Limits: no code where languages tie or nothing is known, so most one-word messages have none; nine
Latin languages (`awareness_pipeline.words`); a script with several languages goes to the commonest
(Cyrillic is Russian unless it has letters that only Ukrainian has). Read are the first 600
characters, up to a trailer such as `Signed-off-by`.
"""

import re
from collections.abc import Mapping
from typing import Final

from awareness_pipeline.words import FUNCTION_AND_USUAL

__all__ = ["conventional_type", "is_revert", "language_of_message"]

READ_CHARS: Final = 600

_REVERT: Final = re.compile(
    r'\Arevert(?:\([^)\n]*\))?!?: |\Arevert "|^this reverts commit [0-9a-f]{7,64}\b',
    re.IGNORECASE | re.MULTILINE,
)
_TYPE: Final = re.compile(
    r"(build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test)(?:\([^()\n]+\))?!?: \S",
    re.IGNORECASE,
)
# What stands behind it are names, written by tools.
_TRAILER: Final = re.compile(r"^[A-Z][A-Za-z]+(?:-[A-Za-z]+)*-by: ", re.MULTILINE)
_PUNCTUATION: Final = ".,;:!?'\"()[]…«»“”‘’"
_SCRIPTS: Final = (
    ("ja", re.compile(r"[\u3041-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7a3\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf]")),
    ("uk", re.compile(r"[іїєґІЇЄҐ]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("fa", re.compile(r"[پچژگکی]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_OTHER_LETTER: Final = re.compile(r"[\u0370-\u1fff\u3040-\uffef]")


def _weights(words: Mapping[str, tuple[str, str]]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return, for every word, the languages that have it and what it counts there."""
    found: dict[str, list[tuple[str, int]]] = {}
    for language, (function, usual) in words.items():
        # A word in both lists counts as a function word.
        told = {**dict.fromkeys(usual.split(), 1), **dict.fromkeys(function.split(), 2)}
        for word, weight in told.items():
            found.setdefault(word, []).append((language, weight))
    return {word: tuple(languages) for word, languages in found.items()}


_WEIGHTS: Final = _weights(FUNCTION_AND_USUAL)


def is_revert(message: str) -> bool:
    """Tell whether a message is git's own revert, or a conventional `revert:`."""
    return "revert" in message.lower() and _REVERT.search(message) is not None


def conventional_type(message: str) -> str:
    """Return the type that a message in the conventional form names, in lower case; else empty."""
    found = _TYPE.match(message)
    return found[1].lower() if found else ""


def language_of_message(message: str) -> str:
    """Return the ISO 639-1 code of a message's language; empty where it can't be told."""
    found = _TYPE.match(message)
    text = message[found.end() - 1 if found else 0 :][:READ_CHARS]
    if trailer := _TRAILER.search(text):
        text = text[: trailer.start()]
    # Names in code, numbers and URLs are in no list of words, so they need no rule.
    words = [word.strip(_PUNCTUATION) for word in text.lower().split()]
    # A Chinese sentence is one such word, and a Russian one has as many as it has spaces.
    if not text.isascii() and len(_OTHER_LETTER.findall(text)) > len(words):
        return _by_script(text)
    return _by_words(words)


def _by_script(text: str) -> str:
    for language, letters in _SCRIPTS:
        if letters.search(text):
            return language
    return ""


def _by_words(words: list[str]) -> str:
    points: dict[str, int] = {}
    for word in words:
        if word in _WEIGHTS:
            for language, weight in _WEIGHTS[word]:
                points[language] = points.get(language, 0) + weight
    most = max(points.values(), default=0)
    best = [language for language, number in points.items() if number == most]
    return best[0] if len(best) == 1 else ""
