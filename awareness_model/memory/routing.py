"""Routing over a store: from a prompt and the documents a reader may see to candidates and a prior.

    permitted documents ─┬─ vectors: of all if few, else the nearest, exactly or by index
                         ├─ lexicon: BM25 over words, BM25 over defined names
                         ├─ paths: files the prompt names
                         └──> `RouteTopK` over what any of them found

A document's score sums the parts of `Weights`: cosine of its best chunk, BM25 of its words and of
the names it defines (each 0 to 1), and 1 where the prompt has the words of its file's name. Only
ids, levels and routing vectors are read. Permissions and scope come in as `documents` (what the
snapshots' query gave); every search is given their rows and scores no other (`within`).
Causal: a choice is made from the prompt alone, before the first token of the answer; nothing that
comes later changes it. A conversation is routed anew for each answer.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from awareness_model.memory.lexicon import MOST_FOUND, Lexicon
from awareness_model.memory.nearest import nearest_documents
from awareness_model.memory.reader import Reader
from awareness_model.memory.router import RouteTopK, Selection
from awareness_model.memory.scopes import quoted
from awareness_model.memory.terms import asked_names, names_in
from awareness_model.memory.within import FEW, within

SPARE = 8
"""Nearest documents looked for beyond the budget: those as near as the last are ordered by name."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a score counts. The default is the best measured (docs/benchmarks.md): the
    vector only decides where words do not."""

    route: float = 0.05
    words: float = 1.0
    names: float = 0.25
    paths: float = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where to choose from: one encoding of a store, and the words of its documents."""

    reader: Reader
    lexicon: Lexicon
    layout: str
    fingerprint: str
    weights: Weights = field(default_factory=Weights)
    few: int = FEW
    """Documents whose vectors are all read."""
    exact: bool = False
    """Compare all vectors, though there is an index."""


def choose(
    source: Source, documents: Mapping[str, str], text: str, query_state: Tensor, budget: int
) -> Selection:
    """Choose at most `budget` documents for a prompt.

    Args:
        documents: paths by content hash, of what may be chosen.

    Raises:
        ValueError: the query's vector holds NaN or infinity.
    """
    return selector(source, documents, text, query_state, budget).select(query_state, budget)


def selector(
    source: Source, documents: Mapping[str, str], text: str, query_state: Tensor, budget: int
) -> RouteTopK:
    """Return the selector over what may come among the first `budget`, with all chunks.

    Raises:
        ValueError: the query's vector holds NaN or infinity.
    """
    if budget <= 0 or not documents:
        return RouteTopK(())
    if not query_state.isfinite().all():
        raise ValueError("the query's routing vector holds NaN or infinity")
    held = prior(source, documents, text)
    near = _near(source, documents.keys(), query_state, budget + SPARE)
    found = source.reader.candidates({*near, *held}, source.layout, source.fingerprint)
    return RouteTopK(found, held, source.weights.route)


def prior(source: Source, documents: Mapping[str, str], text: str) -> dict[str, float]:
    """Return what documents score beside their vectors, for those that a prompt's words find."""
    found = source.lexicon.search(text, documents.keys())
    weights = source.weights
    scores: dict[str, float] = {}
    for part, weight in (
        (found.words, weights.words),
        (found.names, weights.names),
        (dict.fromkeys(named_files(text, documents), 1.0), weights.paths),
    ):
        for name, score in part.items():
            scores[name] = scores.get(name, 0.0) + weight * score
    return scores


def named_files(prompt: str, documents: Mapping[str, str]) -> set[str]:
    """Return the documents whose file's name a prompt holds, without suffix, in any case; of an
    `__init__` that is its folder's. None where so many match that it tells nothing.

    Args:
        documents: paths by content hash.
    """
    asked = set(asked_names(prompt).lower().split())
    found = {name for name, path in documents.items() if _is_named(_stem(path).lower(), asked)}
    return found if len(found) <= MOST_FOUND else set()


def _is_named(stem: str, asked: set[str]) -> bool:
    if stem.isidentifier():
        return stem in asked
    words = names_in(stem)
    return bool(words) and asked.issuperset(words)


def _stem(path: str) -> str:
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return folder.rpartition("/")[2] if stem == "__init__" else stem


def _near(source: Source, documents: Collection[str], query: Tensor, most: int) -> Collection[str]:
    """Return the nearest documents, by the index where there is one; few are all near."""
    if len(documents) <= source.few:
        return documents
    records = source.reader.records.at(source.reader.records.number())
    if (table := records.found()) is None:
        return ()
    encoding = (
        f"layout = {quoted([source.layout])} "
        f"AND encoder_fingerprint = {quoted([source.fingerprint])}"
    )
    allowed = within(records, documents, encoding)
    return nearest_documents(table, allowed, query, most, source.exact)
