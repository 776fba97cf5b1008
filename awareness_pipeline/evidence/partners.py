"""Whose prompt or files stand in for one's own, and who is looked at under a cap.

Both are rankings by a digest of a seed and of ids alone (rendezvous hashing): the order of rows
plays no part, and a row more or less moves few pairs. Limits: partners may serve several times.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from awareness_model.schema import digest

__all__ = ["Keyed", "chosen", "ranked"]


class Keyed(Protocol):
    """Something of a repository, with a name that no other has."""

    @property
    def key(self) -> str:
        """Return its name."""
        ...

    @property
    def repo_id(self) -> int:
        """Return the repository it is of."""
        ...


KeyedT = TypeVar("KeyedT", bound=Keyed)


def ranked(
    own: Keyed, candidates: Iterable[KeyedT], seed: int, worse: Callable[[KeyedT], int]
) -> list[KeyedT]:
    """Return the candidates as partners of `own`, best first: least `worse`, then by digest."""
    return sorted(candidates, key=lambda one: (worse(one), digest(str(seed), own.key, one.key)))


def chosen(
    rows: Iterable[KeyedT], most: int, seed: int, worse: Callable[[KeyedT], int]
) -> list[KeyedT]:
    """Return at most `most` rows: the least `worse` first, dealt evenly to their repositories."""
    turns: Counter[tuple[int, int]] = Counter()
    dealt = []
    for place, row in enumerate(sorted(rows, key=lambda one: digest(str(seed), one.key))):
        last = worse(row)
        dealt.append((last, turns[row.repo_id, last], place, row))
        turns[row.repo_id, last] += 1
    return [row for *_, row in sorted(dealt, key=lambda one: one[:3])[:most]]
