"""Asking a host for several languages, in the order of the agenda, until it is worked off.

One process at a time asks a host; another one waits, since they would share its pace anyway. What
was found is stored as it comes, so a run that ends early has lost nothing. A language that the host
refuses is left as it is, and the others go on.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from awareness_pipeline.catalog import Catalog, SearchRange
from awareness_pipeline.clock import Clock
from awareness_pipeline.config import Discover
from awareness_pipeline.github.agenda import Agenda, Goal
from awareness_pipeline.github.client import GitHub, GitHubError
from awareness_pipeline.github.search import Page, page_of, settle
from awareness_pipeline.progress import bar

LOOK_AGAIN_S = 5.0

log = logging.getLogger(__name__)


def crawl(
    catalog: Catalog, github: GitHub, host: str, wishes: Discover, goals: Sequence[Goal]
) -> dict[str, str]:
    """Ask until nothing is open or enough is found. Returns what went wrong, by language.

    Raises:
        UserError: no token works, the host cannot be reached or keeps refusing.
    """
    searches = catalog.searches(host)
    failed: dict[str, str] = {}
    agenda = Agenda(searches, wishes, failed)
    # The crawl time is fixed: ranges of dates compare against it.
    now = github.now()

    def ask(one: SearchRange, number: int) -> Page:
        before = github.calls
        page = page_of(github, host, one, number)
        # Stamped before its rows are stored: a pass never seems younger than what it has.
        whole = None if one.pushed_min else page.total
        searches.asked(one.language, github.calls - before, github.now(), whole)
        return page

    def step(goal: Goal, one: SearchRange) -> int:
        before = searches.found(goal.language)
        try:
            settle(ask, searches, catalog.upsert, one, now)
        except GitHubError as error:
            log.error("%s: %s", goal.language, error)
            failed[goal.language] = "search refused"
        return max(searches.found(goal.language) - before, 0)

    for goal, one in agenda.broad(goals):
        step(goal, one)
    ranges = [one for goal in goals for one in searches.ranges(goal.language)]
    with bar(_label(goals), sum((one.expected or 0) - one.got for one in ranges)) as advance:
        for goal, one in agenda.rest(goals):
            advance(step(goal, one))
    for goal in goals:
        if goal.language not in failed:
            searches.end(goal.language, github.now())
    return failed


@contextmanager
def alone(catalog: Catalog, host: str, clock: Clock) -> Iterator[None]:
    """Wait until no other process asks this host, and keep others waiting."""
    said = False
    while True:
        with catalog.alone(f"discover {host}") as free:
            if free:
                yield
                return
        if not said:
            log.warning("another process asks %s: waiting until it is done", host)
            said = True
        clock.sleep(LOOK_AGAIN_S)


def _label(goals: Sequence[Goal]) -> str:
    return f"discover {goals[0].language}" if len(goals) == 1 else "discover"
