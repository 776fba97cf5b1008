"""Not a step of the flow: asks for repositories that no search has shown for a while.

Each is looked up by the host's number: alive (with its name, owner and flags of today), gone,
blocked or private. What came of it is noted at once, so a sweep that is killed goes on with those
that are left. A search refreshes a hundred repositories a call and a lookup one, so a sweep after a
refresh is cheap. Limits: 404 is all that GitHub says of a repository that was deleted or made
private; such a one keeps its clone. A blocked or private one is withdrawn: no stage holds it.
"""

import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx

from awareness_pipeline.catalog import Catalog
from awareness_pipeline.clock import REAL_CLOCK, Clock, iso
from awareness_pipeline.config import Settings
from awareness_pipeline.github.client import GitHub, GitHubError
from awareness_pipeline.github.lookup import by_id
from awareness_pipeline.github.tiers import called_here
from awareness_pipeline.progress import bar
from awareness_pipeline.records import Repository

AFTER_DAYS = 30

log = logging.getLogger(__name__)


def sweep(
    settings: Settings,
    after_days: float = AFTER_DAYS,
    clock: Clock = REAL_CLOCK,
    transport: httpx.BaseTransport | None = None,
) -> dict[str, int]:
    """Look up what nothing was heard of for `after_days`. Returns how many are in which state.

    States are `alive`, `renamed` (alive under another name), `archived`, `gone`, `blocked`,
    `private` and `refused` (tried again by the next sweep).

    Raises:
        UserError: the host cannot be reached, or takes no token.
    """
    host = settings.source.host
    before = iso(datetime.now(UTC) - timedelta(days=after_days))
    counts: Counter[str] = Counter()
    with Catalog(settings.paths.database_url) as catalog:
        # Local repositories are looked at by every discovery.
        todo = [] if settings.source.local else catalog.unchecked(host, before)
        if not todo:
            return {}
        with (
            GitHub(settings.source, clock, transport, catalog.searches(host)) as github,
            bar("liveness", len(todo)) as advance,
        ):
            for row in todo:
                counts[_check(catalog, github, row)] += 1
                advance()
    return dict(sorted(counts.items()))


def _check(catalog: Catalog, github: GitHub, row: Repository) -> str:
    try:
        found = by_id(github, row.host, row.external_id)
    except GitHubError as error:
        log.error("%s: %s", row.full_name, error)
        return "refused"
    if found.repository is None:
        catalog.mark(row.repo_id, found.state)
        return found.state
    now = found.repository
    catalog.upsert([replace(now, language=called_here(now.language))])
    if now.full_name != row.full_name:
        return "renamed"
    return "archived" if now.archived and not row.archived else "alive"
