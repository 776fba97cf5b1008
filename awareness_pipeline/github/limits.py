"""Waiting as GitHub asks to be waited for: who may ask next, and when.

On 403 and 429, in this order (docs.github.com: rate limits for the REST API): `retry-after`; with
`x-ratelimit-remaining: 0` the time to `x-ratelimit-reset`, told against the server's own `Date` so
that a wrong clock here does no harm; else it is a secondary limit, which shows no number: 60, 120,
300 seconds, then give up.

A primary limit is a token's budget of one resource (`search`, `core`): it rests that budget alone,
and everything else goes on. A secondary limit rests everyone: `Slots` carries it, and the one pace
of all searches, to whoever shares them. `OwnSlots` shares them with nobody.

Clock and sleep are passed in, so tests do not wait.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol

from awareness_pipeline.clock import Clock
from awareness_pipeline.config import UserError

SECONDARY_WAITS = (60.0, 120.0, 300.0)
TROUBLE_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""After a 5xx or a broken connection."""
LONGEST_WAIT = 3_700.0
"""Primary limits reset within the hour; a server that asks for more is asked again after this."""
LEAST_WAIT = 1.0
"""After a refusal, whatever number it gives."""
REFUSALS = 12
"""Refusals of one request, whatever their kind, after which it is given up."""
CREATE_ONE = (
    "create one with 'Public repositories (read-only)' access (fine-grained) "
    "or scope public_repo (classic) and set GITHUB_TOKEN"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a 403 or 429 asks for."""

    wait_s: float
    primary: bool
    """Only this token's budget is spent; another token may go on."""


def refusal(headers: Mapping[str, str], secondary_before: int, wall: float) -> Refusal | None:
    """Return what to do about a 403 or 429; None: give up.

    Args:
        headers: of the answer, lower-case names.
        secondary_before: secondary refusals of this request so far.
        wall: UTC epoch seconds, used where the answer has no `Date`.
    """
    window = rest_of_window(headers, wall)
    if (told := _number(headers, "retry-after")) is not None:
        return Refusal(min(max(told, LEAST_WAIT), LONGEST_WAIT), primary=window is not None)
    if window is not None:
        return Refusal(window, primary=True)
    if secondary_before >= len(SECONDARY_WAITS):
        return None
    return Refusal(SECONDARY_WAITS[secondary_before], primary=False)


def rest_of_window(headers: Mapping[str, str], wall: float) -> float | None:
    """Return how long a budget rests when it is spent; None while some is left.

    Args:
        headers: of the answer, lower-case names.
        wall: UTC epoch seconds, used where the answer has no `Date`.
    """
    reset = _number(headers, "x-ratelimit-reset")
    if _number(headers, "x-ratelimit-remaining") != 0 or reset is None:
        return None
    told = server_time(headers)
    left = reset - (wall if told is None else told)
    return min(max(left, 0.0) + LEAST_WAIT, LONGEST_WAIT)


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return the time of an answer in UTC epoch seconds; None without a `Date` to believe."""
    try:
        told = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, OverflowError):
        return None
    # "-0000" means UTC as well (RFC 5322), but is read as no zone at all.
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    return told.timestamp() if 2000 <= told.year < 2100 else None


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


class Tokens:
    """Who asks next, for each resource: of the tokens that are ready the one that waited longest,
    else the one that rests the shortest. Without any, everyone is anonymous ("")."""

    def __init__(self, tokens: tuple[str, ...], clock: Clock) -> None:
        self._numbers = {token: number for number, token in enumerate(tokens or ("",), 1)}
        self._ready_at: dict[tuple[str, str], float] = {}
        self._taken: dict[tuple[str, str], int] = {}
        self._turn = 0
        self._clock = clock

    def take(self, resource: str) -> str:
        """Return a token, once its budget of `resource` may be used."""
        now = self._clock.monotonic()

        def waits(token: str) -> tuple[float, int]:
            budget = (token, resource)
            return max(self._ready_at.get(budget, now) - now, 0.0), self._taken.get(budget, 0)

        token = min(self._numbers, key=waits)
        wait, _ = waits(token)
        if wait > 0:
            log.warning("GitHub's rate limit (%s): waiting %.0f s", resource, wait)
            self._clock.sleep(wait)
        self._turn += 1
        self._taken[token, resource] = self._turn
        return token

    def rest(self, token: str, resource: str, seconds: float) -> None:
        """Leave a token's budget of one resource alone for a while."""
        until = self._clock.monotonic() + seconds
        budget = (token, resource)
        self._ready_at[budget] = max(self._ready_at.get(budget, until), until)

    def drop(self, token: str) -> None:
        """Stop using a token that the server does not accept. Only its place in the list is said.

        Raises:
            UserError: none is left.
        """
        number = self._numbers.pop(token)
        if not self._numbers:
            what = "refused the token" if token else "asks for a token"
            raise UserError(f"GitHub {what}: {CREATE_ONE}")
        left = len(self._numbers)
        log.warning("GitHub refused token number %d (401); going on with %d", number, left)


class Slots(Protocol):
    """When the next search may start, for everyone who shares it: one process or all of them.

    Times are wall-clock UTC epoch seconds, which processes have in common.
    """

    def reserve(self, interval_s: float, now: float) -> float:
        """Take the next slot, `interval_s` after the one before, and return the seconds to wait
        for it from `now`. With an interval of 0 take none: return what is left of a hold."""
        ...

    def hold(self, seconds: float, now: float) -> None:
        """Let nobody start before `now + seconds`; a longer hold stays."""
        ...


class OwnSlots:
    """Slots in memory, for one thread. When the wall clock is set back, what was planned before may
    be waited for once more, and no longer."""

    def __init__(self) -> None:
        self._next = self._held_until = self._seen = float("-inf")

    def reserve(self, interval_s: float, now: float) -> float:
        """Take the next slot; see `Slots`."""
        self._follow(now)
        if not interval_s:
            return max(self._held_until - now, 0.0)
        start = max(self._next, self._held_until, now)
        self._next = start + interval_s
        return start - now

    def hold(self, seconds: float, now: float) -> None:
        """Let nobody start for a while; see `Slots`."""
        self._follow(now)
        self._held_until = max(self._held_until, now + seconds)

    def _follow(self, now: float) -> None:
        if now < self._seen:
            self._next += now - self._seen
            self._held_until += now - self._seen
        self._seen = now


class Pace:
    """Keeps searches at least `interval_s` apart, from start to start, and everything out of a
    hold."""

    def __init__(self, interval_s: float, clock: Clock, slots: Slots) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._slots = slots

    def wait(self, *, search: bool) -> None:
        """Return when the next search, or any other request, may go out."""
        interval = self._interval_s if search else 0.0
        wait = self._slots.reserve(interval, self._clock.wall())
        if wait > 0:
            # Whatever a shared store holds, no wait is longer than GitHub's longest.
            self._clock.sleep(min(wait, LONGEST_WAIT))

    def hold(self, seconds: float) -> None:
        """Keep everyone from asking for a while."""
        self._slots.hold(seconds, self._clock.wall())
