"""Time as clients see it, which tests replace, and as text: ISO 8601, UTC, whole seconds."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["REAL_CLOCK", "Clock", "iso", "parsed", "utc", "utc_now"]

ISO: Final = "%Y-%m-%dT%H:%M:%SZ"
"""As GitHub writes a time; text order is time order."""


def _wait(under_way: Collection["Future[Any]"], timeout: float | None) -> "set[Future[Any]]":
    return wait_for(under_way, timeout, FIRST_COMPLETED).done


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the client sees it, in seconds; `wall` is UTC epoch time."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    wait: Callable[[Collection["Future[Any]"], float | None], "set[Future[Any]]"] = _wait
    """Return what is done of some work once any of it is, or after so many seconds."""


REAL_CLOCK: Final = Clock()


def iso(moment: datetime) -> str:
    """Return an aware time as text."""
    return moment.astimezone(UTC).strftime(ISO)


def parsed(text: str) -> datetime:
    """Return the time that a text of `iso` tells. Raises ValueError for another text."""
    return datetime.strptime(text, ISO).replace(tzinfo=UTC)


def utc(seconds: float) -> datetime:
    """Return UTC epoch seconds as a time.

    Raises:
        ValueError, OverflowError, OSError: no calendar has it.
    """
    return datetime.fromtimestamp(seconds, UTC)


def utc_now() -> str:
    """Return the time of this machine as text."""
    return iso(datetime.now(UTC))
