"""Which repositories are alike: what negatives are drawn from (reference/model.md, section 2.6).

Alike is: the same language, and then the nearest size. A foreign document of another language is
told apart at a glance; one of a like repository has to be read. Sizes are compared by their ratio,
so that 10 kB is as far from 20 kB as 1 MB from 2 MB.

Finding the first neighbours takes a bisection; going on costs O(1) each. Limits: one language per
repository; nothing is known of what they hold, so a fork counts as a neighbour.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice

Place = tuple[int, int]
"""(size in bytes, repository)."""


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository is compared by."""

    repo_id: int
    language: str
    size: int
    """Bytes of its text."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Repositories by language, each language sorted by size."""

    repositories: Mapping[int, Repository]
    by_language: Mapping[str, Sequence[Place]]

    @classmethod
    def of(cls, repositories: Iterable[Repository]) -> "Neighbours":
        """Return the neighbours among some repositories, in whatever order they come."""
        known = {one.repo_id: one for one in sorted(repositories, key=lambda one: one.repo_id)}
        languages: dict[str, list[Place]] = {}
        for one in known.values():
            languages.setdefault(one.language, []).append((one.size, one.repo_id))
        return cls(known, {name: tuple(sorted(held)) for name, held in sorted(languages.items())})

    def alike(self, repo_id: int) -> Iterator[int]:
        """Yield the other repositories of its language, nearest size first."""
        one = self.repositories[repo_id]
        return (other for _, other in _outward(self.by_language[one.language], one))

    def unlike(self, repo_id: int) -> Iterator[int]:
        """Yield the repositories of other languages, nearest size first."""
        one = self.repositories[repo_id]
        others = (held for name, held in self.by_language.items() if name != one.language)
        return (other for _, other in merge(*(_outward(held, one) for held in others)))

    def pools(self, repo_id: int, size: int, most: int) -> Iterator[list[int]]:
        """Yield pools of up to `size` repositories, nearest first: at most `most` of its language,
        then at most `most` of others."""
        for tier in (self.alike(repo_id), self.unlike(repo_id)):
            for _ in range(most):
                if pool := list(islice(tier, size)):
                    yield pool


def _outward(held: Sequence[Place], one: Repository) -> Iterator[tuple[float, int]]:
    """Yield (distance, repository) of all but `one`, nearest first; of two as near the smaller."""
    above = bisect_left(held, (one.size, one.repo_id))
    below = above - 1
    while below >= 0 or above < len(held):
        down = _distance(held[below][0], one.size) if below >= 0 else float("inf")
        up = _distance(held[above][0], one.size) if above < len(held) else float("inf")
        if down <= up:
            distance, other, below = down, held[below][1], below - 1
        else:
            distance, other, above = up, held[above][1], above + 1
        if other != one.repo_id:
            yield distance, other


def _distance(size: int, other: int) -> float:
    """Return how many times the larger size is the smaller one."""
    low, high = sorted((size, other))
    return (high + 1) / (low + 1)
