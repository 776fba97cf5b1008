"""The chunks of a document: at most so many tokens each, whole lines wherever lines fit.

The text is tokenised once to count the tokens of each line, cut by `packing.cuts`, and each chunk
is tokenised for its ids: tokens may merge across a cut, so only that count is true. A chunk that
turns out too long is cut again, with less room. A line that alone is too long is cut after
white space, else between identifiers, else between characters.

A line ends with \\n, \\r\\n or \\r. Limits: characters that the tokenizer drops (white space, for
WordPiece) belong to a chunk all the same, but a chunk of nothing else is left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from awareness_model.chunk.language import language_of
from awareness_model.chunk.packing import cuts
from awareness_model.chunk.seams import ranks_of

SLACK = 128
"""One token in so many is left free for the tokens that a cut adds."""
WINDOW = 1 << 16
"""Characters tokenised at a time: bounds a tokenizer's memory on one long word."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Characters `start` to `end` of a document, and their token ids."""

    start: int
    end: int
    ids: tuple[int, ...]


def split(text: str, tokenizer: Any, max_tokens: int, path: str = "") -> list[Chunk]:
    """Return the chunks of a document, each of 1 to `max_tokens` tokens; none for empty text.

    Args:
        path: where the document is; its suffix names the language.

    Raises:
        ValueError: one character alone has more than `max_tokens` tokens.
    """
    if not text:
        return []
    lines = re.findall(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++", text)
    ranks = ranks_of(lines, language_of(path, text))
    room = max_tokens - max_tokens // SLACK
    found = _fitting(_Part(0, lines, ranks), tokenizer, max_tokens, room)
    return [chunk for chunk in found if chunk.ids]


@dataclass(frozen=True, slots=True)
class _Part:
    """Lines of a document, the first of them at character `start`, and their ranks."""

    start: int
    lines: Sequence[str]
    ranks: Sequence[int]

    @property
    def text(self) -> str:
        return "".join(self.lines)


def _fitting(part: _Part, tokenizer: Any, limit: int, room: int) -> Iterator[Chunk]:
    """Yield the chunks of a part, packed up to `room` tokens by count, `limit` in truth."""
    text = part.text
    begins, ids = _tokens(tokenizer, text)
    if len(begins) <= limit and ids is not None:
        yield Chunk(part.start, part.start + len(text), ids)
        return
    if len(text) == 1:
        raise ValueError(f"one character has more than {limit} tokens")
    held = list(_parts(part, begins, max(1, room)))
    for one, true in zip(held, _ids(tokenizer, [one.text for one in held]), strict=True):
        if len(true) <= limit:
            yield Chunk(one.start, one.start + len(one.text), tuple(true))
        else:
            yield from _fitting(one, tokenizer, limit, room - (len(true) - limit))


def _tokens(tokenizer: Any, text: str) -> tuple[NDArray[np.int64], tuple[int, ...] | None]:
    """Return the character at which each token begins, and the ids where they are the text's."""
    windows = [text[n : n + WINDOW] for n in range(0, len(text), WINDOW)]
    encoded = _plain(tokenizer, windows, return_offsets_mapping=True)
    begins = [
        np.fromiter((begin for begin, _ in offsets), np.int64, len(offsets)) + n * WINDOW
        for n, offsets in enumerate(encoded["offset_mapping"])
    ]
    alone = tuple(encoded["input_ids"][0]) if len(windows) == 1 else None
    return np.maximum.accumulate(np.concatenate(begins)), alone


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return list(_plain(tokenizer, list(texts))["input_ids"])


def _plain(tokenizer: Any, texts: list[str], **wanted: bool) -> Any:
    """As `base.plain_ids`, for many texts: no special token, whatever the texts hold."""
    usual = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    return tokenizer(texts, **usual, **wanted)


def _parts(part: _Part, begins: NDArray[np.int64], room: int) -> Iterator[_Part]:
    """Yield the parts of a part that hold `room` tokens at most, by count."""
    places = [0, *accumulate(map(len, part.lines))]
    before = np.searchsorted(begins, places).tolist()
    before[-1] = len(begins)
    for first, last in pairwise([*cuts(part.ranks, before, room), len(part.lines)]):
        start, lines = part.start + places[first], part.lines[first:last]
        if last - first > 1 or before[last] - before[first] <= room:
            yield _Part(start, lines, part.ranks[first:last])
            continue
        inside = begins[before[first] : before[last]] - places[first]
        for begin, end in pairwise(_within(lines[0], inside, room)):
            yield _Part(start + begin, [lines[0][begin:end]], part.ranks[first:last])


def _within(line: str, begins: NDArray[np.int64], room: int) -> list[int]:
    """Return where to cut a line that is too long: its beginning, the cuts, its end."""
    found = [0]
    while True:
        token = int(np.searchsorted(begins, found[-1])) + room
        if token >= len(begins):
            return [*found, len(line)]
        found.append(_seam(line, found[-1], max(int(begins[token]), found[-1] + 1)))
        if found[-1] >= len(line):
            return found


def _seam(line: str, start: int, stop: int) -> int:
    """Return the last good cut in `(start, stop]`: after white space in the second half, else
    between identifiers, else `stop`."""
    half = start + (stop - start) // 2
    for place in range(stop, half, -1):
        if line[place - 1].isspace() and not line[place : place + 1].isspace():
            return place
    for place in range(stop, start, -1):
        if not (_names(line[place - 1]) and _names(line[place : place + 1])):
            return place
    return stop


def _names(character: str) -> bool:
    return character.isalnum() or character in ("_", "$")
