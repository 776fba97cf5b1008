"""Time as text and back, and the clock that waits for work."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event

import pytest

from awareness_pipeline.clock import REAL_CLOCK, iso, parsed, utc, utc_now


def test_a_time_is_written_as_github_writes_it() -> None:
    assert iso(datetime(2024, 3, 1, 12, 0, 5, 999_999, tzinfo=UTC)) == "2024-03-01T12:00:05Z"


def test_another_zone_is_written_as_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert iso(datetime(2024, 3, 1, 1, tzinfo=east)) == "2024-02-29T23:00:00Z"


@pytest.mark.parametrize("seconds", [0, 1_700_000_000, 4_102_444_800])
def test_what_was_written_reads_back(seconds: int) -> None:
    assert parsed(iso(utc(seconds))) == utc(seconds)
    assert parsed(iso(utc(seconds))).timestamp() == seconds


@pytest.mark.parametrize(
    "text", ["", "2024-03-01", "2024-03-01T12:00:00", "2024-03-01T12:00:00+01"]
)
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="does not match"):
        parsed(text)


def test_now_is_between_before_and_after() -> None:
    before = iso(utc(REAL_CLOCK.wall()))
    now = utc_now()
    assert before <= now <= iso(utc(REAL_CLOCK.wall()))


def test_the_clock_waits_for_the_first_of_the_work() -> None:
    go = Event()
    with ThreadPoolExecutor() as pool:
        slow: Future[bool] = pool.submit(go.wait)
        quick: Future[int] = pool.submit(int)
        assert REAL_CLOCK.wait([slow, quick], None) == {quick}
        assert REAL_CLOCK.wait([slow], 0.0) == set()
        go.set()
        assert REAL_CLOCK.wait([slow], None) == {slow}
