"""Scores of an evaluation, from nats per question to S and R with intervals. Standard library only.

    S = NLL(other) − NLL(own)                      specificity: own memory against another's
    R = S / (NLL(other) − NLL(text))               recovery: the share of what the text would give

NLL is the mean over all answer tokens, in nats. Intervals are 95 % percentiles of a cluster
bootstrap: repositories are drawn with replacement, because questions on one repository are not
independent. No memory is reported but enters neither: a reader that merely learns the form of
answers gains on it with any memory (reference/model.md, section 7.1). S also counts the harm of
wrong memory. Limits: with few repositories the intervals are themselves uncertain.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from awareness_model.schema import CONDITIONS

RESAMPLES = 2_000

ClusterT = TypeVar("ClusterT")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question, answered under each condition by one layout's reader."""

    repo_id: int
    kind: str
    tokens: int
    """Answer tokens."""
    nats: Mapping[str, float]
    """−log likelihood of the whole answer, by condition."""


def summary(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Return `{"nll": {condition}, "S", "S_ci", "R", "R_ci", "S_by_repo"}`.

    R and its interval are None where the text gains nothing over another's memory.
    """
    repos = sorted({one.repo_id for one in outcomes})
    sums = {repo: _sums([one for one in outcomes if one.repo_id == repo]) for repo in repos}
    nll = _nll(list(sums.values()))
    drawn = [_nll(sample) for sample in resampled(list(sums.values()), seed)]
    recoveries = [value for value in map(recovery, drawn) if value is not None]
    return {
        "n_items": len(outcomes),
        "nll": nll,
        "S": specificity(nll),
        "S_ci": interval([specificity(one) for one in drawn]),
        "R": recovery(nll),
        "R_ci": interval(recoveries) if recovery(nll) is not None else None,
        "S_by_repo": {str(repo): specificity(_nll([sums[repo]])) for repo in repos},
    }


def resampled(clusters: Sequence[ClusterT], seed: int) -> Iterator[list[ClusterT]]:
    """Yield the draws of a cluster bootstrap: as many clusters as there are, with replacement."""
    rng = random.Random(f"bootstrap {seed}")
    for _ in range(RESAMPLES):
        yield rng.choices(clusters, k=len(clusters))


def interval(values: Sequence[float]) -> list[float]:
    """Return the 2.5 and 97.5 percentiles (nearest rank)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return [ordered[round(0.025 * last)], ordered[round(0.975 * last)]]


def estimate(
    clusters: Sequence[Mapping[str, float]],
    value: Callable[[Mapping[str, float]], float | None],
    seed: int,
) -> dict[str, Any]:
    """Return `{"value", "ci"}` of a number made of NLLs; both None where it is not defined.

    Args:
        clusters: nats by condition, and `tokens`, of each cluster (package, repository).
        value: of the NLL by condition.
    """
    found = value(_nll(clusters)) if clusters else None
    if found is None:
        return {"value": None, "ci": None}
    drawn = [value(_nll(sample)) for sample in resampled(clusters, seed)]
    return {"value": found, "ci": interval([one for one in drawn if one is not None])}


def by_kind(outcomes: Sequence[Outcome], seed: int) -> dict[str, dict[str, Any]]:
    """Return the summary of each kind of question."""
    kinds = sorted({one.kind for one in outcomes})
    return {kind: summary([one for one in outcomes if one.kind == kind], seed) for kind in kinds}


def specificity(nll: Mapping[str, float]) -> float:
    """Return S, in nats per answer token."""
    return nll["other"] - nll["own"]


def recovery(nll: Mapping[str, float]) -> float | None:
    """Return R, or None where the text is no better than another repository's memory."""
    gain = nll["other"] - nll["text"]
    return specificity(nll) / gain if gain > 0 else None


def _sums(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Nats by condition, and answer tokens, of one repository."""
    nats = {name: sum(one.nats[name] for one in outcomes) for name in CONDITIONS}
    return {**nats, "tokens": sum(one.tokens for one in outcomes)}


def _nll(sums: Sequence[Mapping[str, float]]) -> dict[str, float]:
    tokens = sum(one["tokens"] for one in sums)
    names = [name for name in sums[0] if name != "tokens"]
    return {name: sum(one[name] for one in sums) / tokens for name in names}
