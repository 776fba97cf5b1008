"""What an answer rests on, by attention: chunks of documents with their share.

Few layers look anything up, and in all of them some slots draw attention whatever is asked. So of
each layer only that counts which question and answer draw to a document beyond what the system
text before them drew, weighed by how far the two differ (Kullback-Leibler). The question counts
`QUESTION`, the answer the rest; numbers in docs/benchmarks.md, "Citations by attention mass".
Limits: it says where the model looked, not why, and needs a system text before the question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from awareness_model.conversation import Prompt
from awareness_model.decoder import ReasoningDecoder
from awareness_model.decoder.prepared import mass_at
from awareness_model.memory.batch import Memory
from awareness_model.memory.record import Record

QUESTION = 0.8
"""How much the question's tokens count; a small model's answer often has little to do with it."""
FLOOR = 1e-7
"""Added to every mass, so that none is zero."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A chunk that was read."""

    path: str
    span: tuple[int, int]
    """Characters of the document."""
    mass: float
    """Its share of the attention that was drawn to memory; all chunks together 1."""
    lines: tuple[int, int] | None = None
    """First and last line, from 1, where the document lies in the folder as it was read."""


def cite(
    decoder: ReasoningDecoder,
    memory: Memory,
    prompt: Prompt,
    answer: Sequence[int],
    chunks: Sequence[tuple[str, Record]],
) -> tuple[tuple[Cited, ...], float]:
    """Return the chunks by falling mass, and the share of the answer's attention on memory.

    Args:
        chunks: path and record of every chunk, in the order in which the memory was given them.
    """
    before, asking, answering = looks(decoder, memory, prompt, answer)
    lengths = [len(record.keys) for _, record in chunks]
    owner = _owner([path for path, _ in chunks])
    usual = _summed(before, lengths)
    shares = sum(
        (
            weight * drawn(_summed(look, lengths), usual, owner)
            for weight, look in ((QUESTION, asking), (1 - QUESTION, answering))
        ),
        torch.zeros(len(chunks)),
    )
    found = [
        Cited(path, record.span, share)
        for (path, record), share in zip(chunks, (shares / shares.sum()).tolist(), strict=True)
    ]
    on_memory = float(answering.sum(1).mean())
    return tuple(sorted(found, key=lambda one: (-one.mass, one.path, one.span))), on_memory


@torch.no_grad()
def looks(
    decoder: ReasoningDecoder, memory: Memory, prompt: Prompt, answer: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the attention mass of slots by layer, `[S, N]`, of the system text's tokens, of the
    question's and of those that ask for the answer's: one pass, without the head. Slots stand in
    the order in which the memory's documents were given, not in that in which they lie."""
    ids = torch.tensor([[*prompt.ids, *answer]], device=decoder.base.device)
    reading = decoder.prepare(memory, True)
    decoder.base.model(ids, memory=reading, use_cache=False)
    last = max(ids.shape[1] - 1, len(prompt.ids))
    ranges = (prompt.first, prompt.last, (len(prompt.ids) - 1, last))
    given = memory.document[0].argsort(stable=True).cpu()
    before, asking, answering = (
        mass_at(reading, torch.arange(*one))[0, :, 1:].float().cpu()[:, given] for one in ranges
    )
    return before, asking, answering


def drawn(look: Tensor, usual: Tensor, owner: Tensor) -> Tensor:
    """Return the share of each chunk, `[C]`, sum 1, in what a look draws beyond the usual.

    Args:
        look, usual: mass of chunks by layer, `[S, C]`.
        owner: 1 where a chunk is a document's, `[C, D]`.
    """
    more = _beyond(look @ owner, usual @ owner)
    inside = _beyond(look, usual)
    inside = inside / (owner @ (inside @ owner)).clamp(min=1e-30)
    found = (owner @ more) * inside
    return found / found.sum()


def _beyond(look: Tensor, usual: Tensor) -> Tensor:
    """Return what columns gain over the usual, layers weighed by how far they differ."""
    now, then = (_shares(one) for one in (look, usual))
    far = (now * (now / then).log()).sum(1).clamp(min=0) + FLOOR
    gain = (now - then).clamp(min=0) + FLOOR * now
    return (far / far.sum()) @ gain


def _shares(mass: Tensor) -> Tensor:
    mass = mass + FLOOR
    return mass / mass.sum(1, keepdim=True)


def _summed(slots: Tensor, lengths: Sequence[int]) -> Tensor:
    parts = slots.split(list(lengths), dim=1)
    return torch.stack([part.sum(1) for part in parts], dim=1)


def _owner(paths: Sequence[str]) -> Tensor:
    documents = list(dict.fromkeys(paths))
    return torch.tensor([[float(path == one) for one in documents] for path in paths])


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
