"""Choosing what to read, apart from reading it: `select(query_state, budget) -> Selection`.

A selector sees routing vectors, never keys or values; a reader turns the selection's record ids
into a Memory and adds `log_bias` to its logits. Here: the top k documents by routing vector and
prior, from candidates in RAM (`routing` finds those of a store). A budget counts documents; a
document's score is that of its best chunk.
Limits: cosines are rounded to `DIGITS`, so that they depend neither on the order nor on the number
of candidates; documents nearer than that are ordered by name.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

LOG = logging.getLogger(__name__)
DIGITS = 5
"""Decimals of a cosine: float32 sums of a few hundred products differ in the sixth."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be chosen."""

    record_id: str
    document: str
    """Names the document the record is a chunk of."""
    level: int
    route: Tensor
    """`[d]`, float32, length 1."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen records in the order of choice, with their levels and logit biases."""

    record_ids: tuple[str, ...]
    levels: tuple[int, ...]
    log_bias: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RouteTopK:
    """The documents with the best sum of weighted cosine (of the best chunk) and prior."""

    candidates: Sequence[Candidate]
    prior: Mapping[str, float] = field(default_factory=dict)
    """What a document's score has beforehand; nothing where it is not named."""
    weight: float = 1.0
    """Of the cosine."""

    def select(self, query_state: Tensor, budget: int) -> Selection:
        """Return the `budget` best documents, best first; equal scores by document name. Records
        whose vector holds NaN are passed over, and named in the log.

        Raises:
            ValueError: the query holds NaN, or has another size than the vectors.
        """
        candidates = _sound(self.candidates)
        if budget <= 0 or not candidates:
            return Selection((), (), ())
        if not query_state.isfinite().all():
            raise ValueError("the query's routing vector holds NaN or infinity")
        routes = torch.stack([c.route for c in candidates])
        if query_state.shape != routes.shape[1:]:
            raise ValueError(f"a query of {tuple(query_state.shape)}, routes {routes.shape[1:]}")
        best: dict[str, float] = {}
        for candidate, score in zip(
            candidates, (routes @ query_state.float()).tolist(), strict=True
        ):
            best[candidate.document] = max(score, best.get(candidate.document, -2.0))
        scores = {
            name: self.weight * round(cosine, DIGITS) + self.prior.get(name, 0.0)
            for name, cosine in best.items()
        }
        order = sorted(scores, key=lambda document: (-scores[document], document))
        return _selection(candidates, order[:budget])


def _sound(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the candidates whose vectors are numbers."""
    if not candidates:
        return candidates
    sound = torch.stack([c.route for c in candidates]).isfinite().all(dim=1).tolist()
    if all(sound):
        return candidates
    broken = [c.record_id for c, is_sound in zip(candidates, sound, strict=True) if not is_sound]
    LOG.warning(
        "%d routing vectors hold NaN and are passed over: %s", len(broken), ", ".join(broken[:5])
    )
    return [c for c, is_sound in zip(candidates, sound, strict=True) if is_sound]


def _documents(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Candidates by document, in their order."""
    held: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        held.setdefault(candidate.document, []).append(candidate)
    return held


def _selection(candidates: Sequence[Candidate], documents: Sequence[str]) -> Selection:
    held = _documents(candidates)
    chosen = [candidate for document in documents for candidate in held[document]]
    return Selection(
        tuple(candidate.record_id for candidate in chosen),
        tuple(candidate.level for candidate in chosen),
        (0.0,) * len(chosen),
    )
