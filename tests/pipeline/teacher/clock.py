"""A clock that nobody waits for."""

from collections.abc import Collection
from concurrent.futures import Future, wait
from typing import Any

from awareness_pipeline.clock import Clock


class FakeTime:
    """Time that passes only by sleeping; `slept` lists how long."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = start
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def wait(
        self, under_way: Collection["Future[Any]"], timeout: float | None
    ) -> "set[Future[Any]]":
        """Work under way takes no time at all."""
        return wait(under_way, None, "FIRST_COMPLETED").done

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self.sleep, self.wait)
