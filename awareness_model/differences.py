"""What another's prompt or files cost a text, with intervals over repositories.

    D    = NLL(text | another's reading) − NLL(text | own reading)      nats per token of the text
    gain = D of a style − D of the cleaned commit message               the same commits and texts

NLL is the mean over all tokens of the texts compared. Intervals are those of `scores`: 95 %
percentiles of a bootstrap that draws repositories. From one repository there is none. Only commits
that have every style of which there is any, and the same control in each, enter a gain. Standard
library only.

Limits: with few repositories the intervals are themselves uncertain; D holds what a model of this
size makes of a reading, which is less than what the reading says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from awareness_model.scores import interval, resampled

OWN = "own"
CONTROLS = ("same", "other")
"""Hardest first: another commit of the same repository, another repository."""
BASELINE = "message"
"""The style that needs no language model."""
GAIN = "gain"
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Scored:
    """One text, scored behind its readings."""

    kind: str
    group: str
    repo_id: int
    sha: str
    tokens: int
    nats: Mapping[str, float]
    """−log likelihood of the whole text, by reading."""
    alike: frozenset[str] = field(default_factory=frozenset)
    """Readings that are the same as the own one, token by token."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A difference on one text: nats, tokens, and whether both readings were the same."""

    repo_id: int
    nats: float
    tokens: int
    alike: bool = False


def measures(rows: Sequence[Scored], seed: int) -> list[dict[str, Any]]:
    """Return one mapping per kind, group and control that has texts; groups as they first come.

    `{"kind", "group", "control", "D", "D_ci": [low, high] or None, "n_repos", "n_items",
    "n_tokens", "above": repositories with D > 0, "alike": texts whose two readings are the same}`,
    and `"nll": {"own", "control"}` except for gains.
    """
    groups = dict.fromkeys((row.kind, row.group) for row in rows)
    found = []
    for kind, group in groups:
        ours = [row for row in rows if (row.kind, row.group) == (kind, group)]
        found += [_measure(ours, control, seed) for control in CONTROLS if _with(ours, control)]
    return found + _gains(rows, seed)


def _measure(rows: Sequence[Scored], control: str, seed: int) -> dict[str, Any]:
    used = _with(rows, control)
    tokens = sum(row.tokens for row in used)
    nll = {
        OWN: sum(row.nats[OWN] for row in used) / tokens,
        "control": sum(row.nats[control] for row in used) / tokens,
    }
    head = {"kind": rows[0].kind, "group": rows[0].group, "control": control}
    rounded = {name: round(value, DIGITS) for name, value in nll.items()}
    pairs = [_pair(row, control) for row in used]
    return {**head, "nll": rounded, **_difference(pairs, seed)}


def _gains(rows: Sequence[Scored], seed: int) -> list[dict[str, Any]]:
    """Return, by style and control, what a style tells beyond the message."""
    kept = [row for row in rows if row.kind == "prompt"]
    styles = list(dict.fromkeys(row.group for row in kept))
    if BASELINE not in styles:
        return []
    found = []
    for control in CONTROLS:
        by_commit: dict[tuple[int, str], dict[str, Scored]] = {}
        for row in _with(kept, control):
            by_commit.setdefault((row.repo_id, row.sha), {})[row.group] = row
        whole = [one for one in by_commit.values() if len(one) == len(styles)]
        for style in styles if whole else ():
            if style != BASELINE:
                pairs = [_gain(one[style], one[BASELINE], control) for one in whole]
                head = {"kind": GAIN, "group": style, "control": control}
                found.append({**head, **_difference(pairs, seed)})
    return found


def _with(rows: Iterable[Scored], control: str) -> list[Scored]:
    return [row for row in rows if control in row.nats]


def _pair(row: Scored, control: str) -> _Pair:
    nats = row.nats[control] - row.nats[OWN]
    return _Pair(row.repo_id, nats, row.tokens, control in row.alike)


def _gain(row: Scored, baseline: Scored, control: str) -> _Pair:
    nats = _pair(row, control).nats - _pair(baseline, control).nats
    return _Pair(row.repo_id, nats, row.tokens)


def _difference(pairs: Sequence[_Pair], seed: int) -> dict[str, Any]:
    sums: dict[int, tuple[float, int]] = {}
    for pair in sorted(pairs, key=lambda one: (one.repo_id, one.nats, one.tokens)):
        nats, tokens = sums.get(pair.repo_id, (0.0, 0))
        sums[pair.repo_id] = (nats + pair.nats, tokens + pair.tokens)
    clusters = [sums[repo] for repo in sorted(sums)]
    drawn = interval([_mean(sample) for sample in resampled(clusters, seed)])
    return {
        "D": round(_mean(clusters), DIGITS),
        "D_ci": [round(end, DIGITS) for end in drawn] if len(clusters) > 1 else None,
        "n_repos": len(clusters),
        "n_items": len(pairs),
        "n_tokens": sum(pair.tokens for pair in pairs),
        "above": sum(nats > 0 for nats, _ in clusters),
        "alike": sum(pair.alike for pair in pairs),
    }


def _mean(clusters: Sequence[tuple[float, int]]) -> float:
    return sum(nats for nats, _ in clusters) / sum(tokens for _, tokens in clusters)
