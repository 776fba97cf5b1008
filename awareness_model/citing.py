"""What an answer rests on: attention mass, as chunks of documents with their share.

Mass is the mean over heads, reading layers and the answer's tokens of the attention that each slot
of memory got; a chunk's is the sum over its slots. It says where the model looked, not why: a slot
can draw attention without telling anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from awareness_model.decoder import ReasoningDecoder
from awareness_model.memory.batch import Memory
from awareness_model.memory.record import Record


@dataclass(frozen=True, slots=True)
class Cited:
    """A chunk that was read."""

    path: str
    span: tuple[int, int]
    """Characters of the document."""
    mass: float
    """Its share of the attention on memory; all chunks together 1."""
    lines: tuple[int, int] | None = None
    """First and last line, from 1, where the document lies in the folder as it was read."""


def cite(
    decoder: ReasoningDecoder,
    memory: Memory,
    prompt: Sequence[int],
    answer: Sequence[int],
    chunks: Sequence[tuple[str, Record]],
) -> tuple[tuple[Cited, ...], float]:
    """Return the chunks by falling mass, and the share of all attention that memory got.

    Args:
        chunks: path and record of every chunk, in the order of the memory's slots.
    """
    ids = torch.tensor([[*prompt, *answer]], device=decoder.base.device)
    asking = torch.arange(len(prompt) - 1, max(ids.shape[1] - 1, len(prompt)))
    slots = decoder.attended(ids, memory, asking)[0, 1:].float().cpu()
    parts = slots.split([len(record.keys) for _, record in chunks])
    total = float(slots.sum())
    found = [
        Cited(path, record.span, float(part.sum()) / total if total else 0.0)
        for (path, record), part in zip(chunks, parts, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-one.mass, one.path, one.span))), total


def by_document(cited: Sequence[Cited]) -> dict[str, float]:
    """Return the mass of documents, largest first."""
    mass: dict[str, float] = {}
    for one in cited:
        mass[one.path] = mass.get(one.path, 0.0) + one.mass
    return dict(sorted(mass.items(), key=lambda item: (-item[1], item[0])))


def lines_of(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """Return the first and last line of a span, from 1."""
    first = text.count("\n", 0, span[0]) + 1
    inside = text[span[0] : span[1]].removesuffix("\n")
    return first, first + inside.count("\n")


def placed(cited: Sequence[Cited], texts: Mapping[str, str]) -> tuple[Cited, ...]:
    """Return citations with lines, for the documents whose text is known."""
    return tuple(
        Cited(one.path, one.span, one.mass, lines_of(texts[one.path], one.span))
        if one.path in texts
        else one
        for one in cited
    )
