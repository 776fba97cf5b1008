"""The part of a file that a request is about: its chunks that fit, or its one line.

Parts are scored by the request's words in them, rare ones more (log(1 + parts / parts with it)); a
name in its own case counts `NAMED` times. Usual English words do not count. Limits: words alone: a
request that names nothing of the part is not understood.
"""

import re
from collections.abc import Sequence
from math import log
from typing import Any

from awareness_model.base import plain_ids
from awareness_model.chunk import split
from awareness_model.memory.terms import names_in, words_of

NAMED = 3.0
CHUNK_TOKENS = 256
USUAL = frozenset(
    re.findall(
        r"\w+",
        "an and are as at be but by change edit file for from function has if in into is it its "
        "line make must not of on or set should than that the their then this to use was when "
        "where which will with you",
    )
)
"""Words that requests are full of."""


def scores(parts: Sequence[str], request: str) -> list[float]:
    """Return how far each part is what a request is about, 0 and more."""
    asked = {word for word in words_of(request) if word not in USUAL}
    named = {name for name in names_in(request) if name.lower() not in USUAL}
    words, names = [set(words_of(part)) for part in parts], [set(names_in(part)) for part in parts]
    rare = {word: log(1 + len(parts) / max(1, sum(word in one for one in words))) for word in asked}
    return [
        sum(rare[word] for word in asked & one)
        + sum((NAMED - 1) * rare.get(name.lower(), 0.0) for name in named & own)
        for one, own in zip(words, names, strict=True)
    ]


def excerpt(text: str, tokenizer: Any, room: int, request: str, path: str = "") -> str:
    """Return a text if it fits into `room` tokens, else the chunks of it that a request is about,
    then those nearest to the best one, all in order. What is left out is told with its lines."""
    if len(plain_ids(tokenizer, text)) <= room:
        return text
    chunks = split(text, tokenizer, min(CHUNK_TOKENS, room), path)
    found = scores([text[one.start : one.end] for one in chunks], request)
    best = max(range(len(chunks)), key=lambda n: (found[n], -n))
    kept: set[int] = set()
    for n in sorted(range(len(chunks)), key=lambda n: (-found[n], abs(n - best), n)):
        if kept and len(plain_ids(tokenizer, _shown(text, chunks, kept | {n}))) > room:
            break
        kept.add(n)
    return _shown(text, chunks, kept)


def best_line(text: str, request: str) -> int | None:
    """Return the number, from 0, of the line that a request is about; None where no word fits."""
    lines = text.split("\n")
    found = scores(lines, request)
    best = max(range(len(lines)), key=lambda n: (found[n], -n))
    return best if found[best] > 0 else None


def _shown(text: str, chunks: Sequence[Any], kept: set[int]) -> str:
    """Return chunks as they stand, with a line for each gap."""
    shown, place = [], 0
    for n in sorted(kept):
        shown += [_gap(text, place, chunks[n].start), text[chunks[n].start : chunks[n].end]]
        place = chunks[n].end
    return "".join([*shown, _gap(text, place, len(text))])


def _gap(text: str, start: int, end: int) -> str:
    if start >= end:
        return ""
    first = text.count("\n", 0, start) + 1
    last = text.count("\n", 0, end - 1) + 1
    before = "" if start == 0 or text[start - 1] == "\n" else "\n"
    return f"{before}[... lines {first} to {last} ...]\n"
