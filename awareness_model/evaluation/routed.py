"""What the router of a folder's answers finds of an evaluation's deciding documents.

Words and names of the documents are put into an index of their own, in a folder that goes with the
process, so that a store without words (shards of the pipeline) is routed as `memory.routing` routes
a folder: BM25, defined names, named files, and the vectors. Their recall alone stands beside it,
and that of blind choice. Limits: documents without a text given are found by their vectors only.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from awareness_model.config import EncoderConfig, MemoryConfig
from awareness_model.encoder import ContextEncoder
from awareness_model.memory.lexicon import Lexicon
from awareness_model.memory.router import RouteTopK
from awareness_model.memory.routing import Source, choose
from awareness_model.memory.shelf import Shelf
from awareness_model.question import Question

ROUTED = 4
"""Documents a router may choose: its recall is the share of questions whose gold is among them."""

Hits: TypeAlias = Mapping[tuple[int, str, str], bool]
"""Whether a deciding document was chosen, by the question's key."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What one layout's router found, and what its vectors alone would have found."""

    hits: Hits
    by_vectors: Hits


def routed(
    shelves: Mapping[str, Shelf],
    loaded: tuple[Any, Any],
    model_name: str,
    asked: Sequence[Question],
    texts: Mapping[str, str],
) -> dict[str, Routed]:
    """Return what was found, by layout.

    Args:
        texts: documents by content hash.
    """
    encoder = ContextEncoder.from_model(*loaded, EncoderConfig(model_name=model_name))
    states = {one.key: encoder.query_route(one.prompt) for one in asked}
    wanted = {name for one in asked for name in one.candidates}
    with tempfile.TemporaryDirectory(prefix="awareness-words-") as folder:
        lexicon = Lexicon(MemoryConfig(path=folder))
        lexicon.put({name: texts[name] for name in sorted(wanted & texts.keys())})
        return {
            layout: Routed(
                _by_all(shelf, lexicon, asked, states), _by_vectors(shelf, wanted, asked, states)
            )
            for layout, shelf in shelves.items()
        }


def summary(found: Routed, asked: Sequence[Question]) -> dict[str, float]:
    """Return recall of the router, of its vectors alone, and of blind choice."""
    return {
        f"recall_at_{ROUTED}": sum(found.hits.values()) / len(found.hits),
        "by_vectors": sum(found.by_vectors.values()) / len(found.by_vectors),
        "chance": sum(chance(one) for one in asked) / len(asked),
    }


def chance(question: Question) -> float:
    """Return how likely a blind choice holds one of the deciding documents."""
    pool, gold = len(question.candidates), len(set(question.gold))
    missed = 1.0
    for place in range(min(ROUTED, pool)):
        missed *= max(pool - gold - place, 0) / (pool - place)
    return 1.0 - missed


def _by_all(
    shelf: Shelf, lexicon: Lexicon, asked: Sequence[Question], states: Mapping[Any, Tensor]
) -> Hits:
    source = Source(shelf.store, lexicon, shelf.layout, shelf.fingerprint)
    hits = {}
    for one in asked:
        tree = shelf.snapshot(one.item.repo_id, one.item.sha)
        paths = {name: path for path, name in tree.items() if name in one.candidates}
        chosen = choose(source, paths, one.item.prompt, states[one.key], ROUTED)
        gold = {held.record_id for held in shelf.candidates(set(one.gold))}
        hits[one.key] = bool(gold.intersection(chosen.record_ids))
    return hits


def _by_vectors(
    shelf: Shelf, wanted: set[str], asked: Sequence[Question], states: Mapping[Any, Tensor]
) -> Hits:
    held = shelf.candidates(wanted)
    hits = {}
    for one in asked:
        pool = [candidate for candidate in held if candidate.document in one.candidates]
        chosen = RouteTopK(pool).select(states[one.key], ROUTED)
        gold = {candidate.record_id for candidate in pool if candidate.document in one.gold}
        hits[one.key] = bool(gold.intersection(chosen.record_ids))
    return hits
