"""What was asked of one host, and what is still to ask. Every method is one transaction.

A range is a box of the search space. The full ranges of a language are disjoint and cover it; those
of an incremental pass cover what was pushed since the last finished pass. A split replaces the
parent by both halves in one transaction, and the rows of a range are stored before it is marked, so
a kill between any two writes loses nothing and asks nothing twice. Whatever writes waits until
nobody else writes about the same host.

A pass is one asking of a language. A round is a refresh over several languages: a killed one is
gone on with, and languages that it has finished are not asked again.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from awareness_pipeline.catalog.engine import in_turn, insert_new
from awareness_pipeline.catalog.tables import (
    CrawlRunRow,
    DiscoveryPassRow,
    DiscoveryProgressRow,
    SlotRow,
)
from awareness_pipeline.clock import iso

ROUND_LASTS = timedelta(days=1)
"""A round that was left unfinished for longer is not gone on with: its answers are old."""
LONGEST_HOLD_S = 3_700.0
"""No rate limit lasts longer: a later end was set by a wrong clock."""
FURTHEST_SLOT_S = 2 * LONGEST_HOLD_S
"""A slot further ahead than the longest hold and those who wait behind it: a wrong clock set it."""


@dataclass(frozen=True, slots=True)
class SearchRange:
    """A box of the search space: one language, stars and creation dates, both ends inclusive."""

    tier: str
    language: str
    stars_min: int
    stars_max: int
    """-1: no upper end."""
    created_min: str = ""
    created_max: str = ""
    pushed_min: str = ""
    """Only what was pushed since then; empty in a full pass."""
    expected: int | None = None
    got: int = 0
    state: str = "open"

    @property
    def key(self) -> tuple[str, str, int, int, str, str, str]:
        """Return what names the range."""
        return (
            self.tier,
            self.language,
            self.stars_min,
            self.stars_max,
            self.created_min,
            self.created_max,
            self.pushed_min,
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """How far the asking of one language is. Times are the server's; empty: not yet."""

    language: str
    kind: str
    """`full` or `incremental`."""
    round: int = 0
    started_at: str = ""
    finished_at: str = ""
    covered_from: str = ""
    """When the last finished pass began."""
    expected: int | None = None
    """What the last full pass announced at first."""
    calls: int = 0


RANGE_FIELDS = tuple(SearchRange.__slots__)
PASS_FIELDS = tuple(Pass.__slots__)


class Searches:
    """The searches of one host in an open catalog."""

    def __init__(self, session: Callable[[], AbstractContextManager[Session]], host: str) -> None:
        self._session = session
        self.host = host

    def ranges(self, language: str | None = None, *, state: str | None = None) -> list[SearchRange]:
        """Return search ranges in a fixed order: of a language, in a state."""
        query = select(DiscoveryProgressRow).where(DiscoveryProgressRow.host == self.host)
        if language is not None:
            query = query.where(DiscoveryProgressRow.language == language)
        if state is not None:
            query = query.where(DiscoveryProgressRow.state == state)
        with self._session() as session:
            found = [_range(row) for row in session.scalars(query)]
        return sorted(found, key=lambda one: one.key)

    def found(self, language: str | None = None) -> int:
        """Return how many repositories the full ranges brought, since they were last forgotten."""
        query = select(func.sum(DiscoveryProgressRow.got)).where(
            DiscoveryProgressRow.host == self.host, DiscoveryProgressRow.pushed_min == ""
        )
        if language is not None:
            query = query.where(DiscoveryProgressRow.language == language)
        with self._session() as session:
            return session.scalar(query) or 0

    def add(self, ranges: Iterable[SearchRange]) -> None:
        """Add open ranges; those already known stay as they are."""
        with self._writing() as session:
            for one in ranges:
                if _find(session, self.host, one) is None:
                    session.add(_row(self.host, one))

    def split(self, parent: SearchRange, children: Iterable[SearchRange]) -> None:
        """Replace an open range by its halves. Raises LookupError where it is no longer there."""
        with self._writing() as session:
            session.delete(_there(session, self.host, parent))
            session.flush()
            session.add_all(_row(self.host, child) for child in children)

    def count(self, one: SearchRange, expected: int, got: int) -> None:
        """Note how many results an open range holds, and how many of them its first page brought.

        Raises:
            LookupError: the range is no longer there.
        """
        with self._writing() as session:
            row = _there(session, self.host, one)
            row.expected, row.got = expected, got

    def finish(self, done: SearchRange, expected: int, got: int, *, whole: bool = True) -> None:
        """Mark a range as asked.

        Fewer rows than expected show as `short`, and so does an answer that the host itself called
        incomplete (`whole` False), where `expected` may be too low.

        Raises:
            LookupError: the range is no longer there.
        """
        with self._writing() as session:
            row = _there(session, self.host, done)
            row.expected, row.got = expected, got
            row.state = "done" if whole and got >= expected else "short"

    def forget(self, languages: Iterable[str] | None = None) -> None:
        """Forget ranges and passes (never repositories), so that everything is asked again."""
        chosen = None if languages is None else list(languages)
        with self._writing() as session:
            for table in (DiscoveryProgressRow, DiscoveryPassRow):
                query = delete(table).where(table.host == self.host)
                if chosen is not None:
                    query = query.where(table.language.in_(chosen))
                session.execute(query)

    def passes(self) -> dict[str, Pass]:
        """Return the pass in hand of every language that was ever asked for."""
        query = select(DiscoveryPassRow).where(DiscoveryPassRow.host == self.host)
        with self._session() as session:
            found = {row.language: _pass(row) for row in session.scalars(query)}
        # Databases order text in ways of their own.
        return dict(sorted(found.items()))

    def begin(self, one: Pass, ranges: Iterable[SearchRange]) -> None:
        """Put a pass in the place of a language's last one, and its ranges in the place of that
        one's. A full pass replaces every range, an incremental one only incremental ranges."""
        old = delete(DiscoveryProgressRow).where(
            DiscoveryProgressRow.host == self.host, DiscoveryProgressRow.language == one.language
        )
        if one.kind == "incremental":
            old = old.where(DiscoveryProgressRow.pushed_min != "")
        with self._writing() as session:
            session.execute(old)
            values = {name: getattr(one, name) for name in PASS_FIELDS}
            session.merge(DiscoveryPassRow(host=self.host, **values))
            session.add_all(_row(self.host, new) for new in ranges)

    def asked(self, language: str, calls: int, now: str, expected: int | None = None) -> None:
        """Note calls made for a language; the first answer stamps the pass with the server's time
        and its count."""
        with self._writing() as session:
            row = session.get_one(DiscoveryPassRow, (self.host, language))
            row.calls += calls
            row.started_at = row.started_at or now
            row.expected = expected if row.expected is None else row.expected

    def end(self, language: str, now: str) -> None:
        """Note that a pass has nothing left to ask; what was pushed before it began is known."""
        with self._writing() as session:
            row = session.get_one(DiscoveryPassRow, (self.host, language))
            if not row.finished_at:
                row.finished_at, row.covered_from = now, row.started_at

    def open_round(self, kind: str, now: datetime) -> int:
        """Return the round of this kind to go on with: the unfinished one, else a new one."""
        oldest = iso(now - ROUND_LASTS)
        query = (
            select(CrawlRunRow.id)
            .where(
                CrawlRunRow.host == self.host,
                CrawlRunRow.kind == kind,
                CrawlRunRow.finished_at.is_(None),
                CrawlRunRow.started_at >= oldest,
            )
            .order_by(CrawlRunRow.id.desc())
        )
        with self._writing() as session:
            if known := session.scalars(query).first():
                return known
            row = CrawlRunRow(host=self.host, kind=kind, started_at=iso(now))
            session.add(row)
            session.flush()
            return row.id

    def close_round(self, number: int, now: datetime) -> None:
        """Note that a round is finished."""
        with self._writing() as session:
            session.get_one(CrawlRunRow, number).finished_at = iso(now)

    def reserve(self, interval_s: float, now: float) -> float:
        """Take the next search slot; return the seconds until it.

        Args:
            interval_s: between two slots; 0 takes none and asks only how long a hold lasts.
            now: UTC epoch seconds.
        """
        with self._session() as session:
            row = _slot(session, self.host, now)
            if not interval_s:
                return max(row.held_until - now, 0.0)
            start = max(row.next_at, row.held_until, now)
            row.next_at = start + interval_s
            return start - now

    def hold(self, seconds: float, now: float) -> None:
        """Let nothing be asked before `now + seconds`, in any process; a longer hold stays."""
        with self._session() as session:
            row = _slot(session, self.host, now)
            row.held_until = max(row.held_until, now + min(seconds, LONGEST_HOLD_S))

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._session() as session:
            in_turn(session, f"searches {self.host}")
            yield session


def _slot(session: Session, host: str, now: float) -> SlotRow:
    new = {"host": host, "next_at": now, "held_until": now}
    session.execute(insert_new(session, SlotRow), [new])
    row = session.get_one(SlotRow, host, with_for_update=True)
    if row.next_at > now + FURTHEST_SLOT_S:
        row.next_at = now
    if row.held_until > now + LONGEST_HOLD_S:
        row.held_until = now
    return row


def _range(row: DiscoveryProgressRow) -> SearchRange:
    return SearchRange(**{name: getattr(row, name) for name in RANGE_FIELDS})


def _row(host: str, one: SearchRange) -> DiscoveryProgressRow:
    return DiscoveryProgressRow(host=host, **{name: getattr(one, name) for name in RANGE_FIELDS})


def _pass(row: DiscoveryPassRow) -> Pass:
    return Pass(**{name: getattr(row, name) for name in PASS_FIELDS})


def _find(session: Session, host: str, one: SearchRange) -> DiscoveryProgressRow | None:
    query = select(DiscoveryProgressRow).where(
        DiscoveryProgressRow.host == host,
        DiscoveryProgressRow.tier == one.tier,
        DiscoveryProgressRow.language == one.language,
        DiscoveryProgressRow.stars_min == one.stars_min,
        DiscoveryProgressRow.stars_max == one.stars_max,
        DiscoveryProgressRow.created_min == one.created_min,
        DiscoveryProgressRow.created_max == one.created_max,
        DiscoveryProgressRow.pushed_min == one.pushed_min,
    )
    return session.scalars(query).one_or_none()


def _there(session: Session, host: str, one: SearchRange) -> DiscoveryProgressRow:
    row = _find(session, host, one)
    if row is None:
        raise LookupError(f"no such range: {one.key}")
    return row
