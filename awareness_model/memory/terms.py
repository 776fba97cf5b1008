"""Words of a text for a text index: identifiers, their parts, and the names it defines.

`parse_file` and `parseFile` give themselves, `parse` and `file`, so that a question in plain words
finds both; case is dropped. A document's words are a sorted bag: order, punctuation and layout are
gone, repeats beyond `REPEATS` too (BM25 counts a word there hardly any more).
Limits: definitions are found by keyword or by assignment at a line's beginning, in any language,
not by a grammar: a word too many does little harm, and C functions are not seen.
"""

import re
from collections import Counter
from collections.abc import Iterator

MOST_WORDS = 4096
"""Different words of a document, the first ones; names it defines, too."""
REPEATS = 8
QUERY_WORDS = 256
"""Different words of a question, the last ones."""

_NAME = re.compile(r"\w{2,64}")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_KEYWORD = (
    "def|class|func|function|fn|type|struct|enum|interface|trait|protocol|record|module|"
    "const|let|var|val"
)
_DEFINED = re.compile(
    rf"^[ \t]*(?:[\w()]+[ \t]+){{0,3}}?(?:{_KEYWORD})[ \t]+"
    r"(?:\([^()\n]*\)[ \t]*)?([^\W\d]\w{1,63})"
    r"|^([^\W\d]\w{1,63})[ \t]*(?::[^=\n]{0,200})?=(?!=)",
    re.MULTILINE,
)


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text in order, an identifier before its parts; lower case."""
    for found in _NAME.finditer(text):
        name = found[0]
        yield name.lower()
        parts = _PART.findall(name)
        if len(parts) > 1 or parts != [name]:
            yield from (part.lower() for part in parts if 1 < len(part) < len(name))


def bag(text: str) -> str:
    """Return a document's words, sorted, with spaces between."""
    counts: Counter[str] = Counter()
    for word in words_of(text):
        if word in counts or len(counts) < MOST_WORDS:
            counts[word] += 1
    return " ".join(word for word in sorted(counts) for _ in range(min(REPEATS, counts[word])))


def defined_in(text: str) -> str:
    """Return the names a document defines, sorted, with spaces between; case as it stands."""
    found = dict.fromkeys(one[1] or one[2] for one in _DEFINED.finditer(text))
    return " ".join(sorted(list(found)[:MOST_WORDS]))


def names_in(text: str) -> list[str]:
    """Return the identifiers of a text, in order."""
    return _NAME.findall(text)


def asked_words(prompt: str) -> str:
    """Return the words to look for, of a question's end where it is long."""
    return " ".join(_last(words_of(prompt)))


def asked_names(prompt: str) -> str:
    """Return the identifiers to look for among definitions, case as it stands."""
    return " ".join(_last(iter(names_in(prompt))))


def _last(words: Iterator[str]) -> list[str]:
    """Return the last different words, in the order of their first mention."""
    return list(dict.fromkeys(reversed(list(words))))[:QUERY_WORDS][::-1]
