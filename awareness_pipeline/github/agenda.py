"""What to ask a host next, for several languages together. Asks nothing itself.

The broad query of every language comes first: it answers small languages whole and counts the large
ones. Then the ranges of niche and emerging languages, which are worth the most per call, and last
the mainstream ones, each from its most stars down, a range of each in turn, until so many
repositories are found as are wanted.

A refresh asks again: everything (`refresh`), or what was pushed since the last finished pass
(`incremental`: not what only gained stars). It is a round over languages that a killed run goes on
with.
"""

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from awareness_pipeline.catalog import Pass, Searches, SearchRange
from awareness_pipeline.clock import iso, parsed
from awareness_pipeline.config import Discover
from awareness_pipeline.github.ranges import OPEN, root
from awareness_pipeline.github.search import next_range
from awareness_pipeline.github.tiers import MAINSTREAM

OVERLAP = timedelta(hours=1)
"""An incremental pass begins so long before the last one did: the index of the search lags."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A language, and the least number of stars that is looked for."""

    language: str
    tier: str
    least: int


def prepare(searches: Searches, goals: Sequence[Goal], mode: str, now: datetime) -> int:
    """Make the open ranges what `mode` wants asked: `resume`, `refresh` or `incremental`.

    Returns the round, 0 without one; `Searches.close_round` ends it.
    """
    number = searches.open_round(mode, now) if mode != "resume" else 0
    known = searches.passes()
    for goal in goals:
        before = known.get(goal.language)
        if before is None:
            start = root(goal.tier, goal.language, goal.least)
            searches.begin(Pass(goal.language, "full", number), [start])
        elif number and before.round != number:
            _again(searches, goal, before, mode, number)
    searches.add(_lowered(searches, goals))
    return number


def _again(searches: Searches, goal: Goal, before: Pass, mode: str, number: int) -> None:
    """Begin another pass of a language that was asked before."""
    kept = Pass(goal.language, "full", number, covered_from=before.covered_from)
    if mode == "refresh":
        searches.begin(kept, [root(goal.tier, goal.language, goal.least)])
        return
    reached = _reached(searches.ranges(goal.language), goal.least)
    if before.finished_at and before.covered_from and reached != OPEN:
        since = parsed(before.covered_from) - OVERLAP
        start = root(goal.tier, goal.language, reached, pushed_min=iso(since))
        searches.begin(replace(kept, kind="incremental", expected=before.expected), [start])


def _reached(ranges: Iterable[SearchRange], least: int) -> int:
    """Return the least number of stars from which on the full ranges are all asked; OPEN: none."""
    tops = [one.stars_max for one in ranges if one.state == "open" and not one.pushed_min]
    return OPEN if OPEN in tops else max([least, *(top + 1 for top in tops)])


def _lowered(searches: Searches, goals: Sequence[Goal]) -> list[SearchRange]:
    """Return what a lowered threshold asks for beyond the ranges that are there."""
    lowest: dict[str, int] = {}
    for one in searches.ranges():
        if not one.pushed_min:
            lowest[one.language] = min(lowest.get(one.language, one.stars_min), one.stars_min)
    return [
        root(goal.tier, goal.language, goal.least, lowest[goal.language] - 1)
        for goal in goals
        if goal.least < lowest.get(goal.language, goal.least)
    ]


class Agenda:
    """The open ranges of a host, and the order in which `wishes` want them asked.

    Languages named in `closed` are left alone from then on.
    """

    def __init__(self, searches: Searches, wishes: Discover, closed: Container[str] = ()) -> None:
        self._searches = searches
        self._wishes = wishes
        self._closed = closed

    def complete(self, goals: Sequence[Goal]) -> bool:
        """Whether nothing is left to ask, without making any range."""
        known = self._searches.passes()
        lowered = _lowered(self._searches, goals)
        return (
            all(goal.language in known for goal in goals)
            and not lowered
            and not any(self.next(goal, broad=broad) for goal in goals for broad in (True, False))
        )

    def broad(self, goals: Sequence[Goal]) -> Iterator[tuple[Goal, SearchRange]]:
        """Yield the ranges that were never counted: the broad queries at first."""
        for goal in goals:
            while one := self.next(goal, broad=True):
                yield goal, one

    def rest(self, goals: Sequence[Goal]) -> Iterator[tuple[Goal, SearchRange]]:
        """Yield what is left, range by range, until enough is found."""
        for goal in goals:
            while goal.tier != MAINSTREAM.name and (one := self.next(goal)):
                yield goal, one
        turns = deque(goal for goal in goals if goal.tier == MAINSTREAM.name)
        while turns:
            goal = turns.popleft()
            if one := self.next(goal):
                yield goal, one
                turns.append(goal)

    def next(self, goal: Goal, *, broad: bool = False) -> SearchRange | None:
        """Return the range of a language to ask next; None when there is none or enough is found.

        What was pushed since the last pass is asked in any case: it tells of known repositories.
        """
        if goal.language in self._closed:
            return None
        still = [
            one
            for one in self._searches.ranges(goal.language, state="open")
            if one.stars_max == OPEN or one.stars_max >= goal.least
        ]
        if still and not self._room(goal.language, broad=broad):
            still = [one for one in still if one.pushed_min]
        return next_range(one for one in still if not broad or one.expected is None)

    def _room(self, language: str, *, broad: bool) -> bool:
        """Whether more is wanted. The broad queries are asked whatever they bring."""
        cap = self._wishes.cap_per_language
        if cap and self._searches.found(language) >= cap:
            return False
        return broad or self._searches.found() < self._wishes.target


def lost(ranges: Iterable[SearchRange]) -> Mapping[str, int]:
    """Return what the search promised and did not give, by reason."""
    missing = {"short": 0, "beyond target": 0}
    for one in ranges:
        reason = "beyond target" if one.state == "open" else "short"
        missing[reason] += max((one.expected or 0) - one.got, 0)
    return missing
