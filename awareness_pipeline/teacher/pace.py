"""When the next request may go out, and how long a failed one waits before it goes again.

`Pace` keeps requests and tokens under limits per minute by spacing them evenly, so no window of the
server's, however it is cut, sees more. A request counts its estimated tokens when it leaves and is
set right when it is answered. Waiting is told in seconds and done by the caller, on a clock that is
passed in. Limits: one process paces itself; several at once share nothing but the refusals.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final

__all__ = ["Pace", "asked_wait", "back_off", "pace_of"]

FIRST_WAIT_S: Final = 1.0
LONGEST_BACK_OFF_S: Final = 60.0
MINUTE_S: Final = 60.0


class Pace:
    """Requests and tokens per minute; 0 is no limit."""

    def __init__(self, requests_per_minute: float, tokens_per_minute: float) -> None:
        self._request_s = MINUTE_S / requests_per_minute if requests_per_minute else 0.0
        self._token_s = MINUTE_S / tokens_per_minute if tokens_per_minute else 0.0
        self._request_at = self._token_at = float("-inf")

    def ready_at(self) -> float:
        """Return when the next request may go out; a time in the past is now."""
        return max(self._request_at, self._token_at)

    def start(self, tokens: int, now: float) -> None:
        """Note that a request of about so many tokens goes out."""
        self._request_at = max(self._request_at, now) + self._request_s
        self._token_at = max(self._token_at, now) + tokens * self._token_s

    def correct(self, tokens: int) -> None:
        """Note how many tokens more (or fewer) than estimated a request took."""
        self._token_at += tokens * self._token_s


@cache
def pace_of(url: str, requests_per_minute: float, tokens_per_minute: float) -> Pace:
    """Return this process's pace for an endpoint: one, however many batches it is asked."""
    return Pace(requests_per_minute, tokens_per_minute)


def back_off(tries: int) -> float:
    """Return the seconds to wait after so many tries without an answer: 1, 2, 4, … 60."""
    return min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 10), LONGEST_BACK_OFF_S)


def asked_wait(headers: Mapping[str, str], wall: float) -> float | None:
    """Return the seconds that a refusal asks to wait, by `retry-after-ms` or `retry-after` (a
    number or a date; RFC 9110, section 10.2.3); None where it names none that can be read."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after", "").strip()
    seconds = _number(told)
    if seconds is not None or not told:
        return seconds
    try:
        return max(parsedate_to_datetime(told).timestamp() - wall, 0.0)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    text = text.strip()
    plain = text.replace(".", "", 1)
    return float(text) if plain.isascii() and plain.isdigit() and len(text) <= 15 else None
