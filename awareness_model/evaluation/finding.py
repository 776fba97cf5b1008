"""Finding pieces by their words, as the router of a folder does without vectors.

An index of its own in a folder that goes with it. Vectors are left out: of all pieces of a corpus
they would cost an encoding each, and they decide only where words do not (weight 0.05).
Limits: pieces that share no word with a prompt are never found; ties go by name.
"""

import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from awareness_model.config import MemoryConfig
from awareness_model.evaluation.readers import Piece
from awareness_model.schema import content_hash


class Index:
    """The words of pieces. A context manager: the folder goes at the end."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        # Lance is loaded here: a machine that measures prepared lines may be without it.
        from awareness_model.memory.routing import Source
        from awareness_model.memory.store import LatentMemoryStore

        self._folder = tempfile.TemporaryDirectory(prefix="awareness-words-")
        store = LatentMemoryStore(MemoryConfig(path=self._folder.name))
        self._source = Source(store, store.lexicon, "kv", "")
        self._names: dict[str, list[Piece]] = {}
        for piece in pieces:
            self._names.setdefault(content_hash(piece.text.encode()), []).append(piece)
        store.lexicon.put({name: held[0].text for name, held in self._names.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def find(self, prompt: str, most: int, without: Sequence[str] = ()) -> list[Piece]:
        """Return the best pieces for a prompt, best first; none that share no word with it.

        Args:
            without: paths whose pieces are not looked at.
        """
        from awareness_model.memory.routing import prior

        paths = {
            name: held[0].path for name, held in self._names.items() if held[0].path not in without
        }
        scores: Mapping[str, float] = prior(self._source, paths, prompt)
        order = sorted(scores, key=lambda name: (-scores[name], self._names[name][0].name))
        return [self._names[name][0] for name in order[:most]]
