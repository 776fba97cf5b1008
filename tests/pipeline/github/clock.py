"""A clock that nobody waits for."""

from awareness_pipeline.clock import Clock


class FakeTime:
    """Time that passes only by sleeping; `slept` lists how long, `skew` shifts the wall clock."""

    def __init__(self, start: float = 1_700_000_000.0, skew: float = 0.0) -> None:
        self.now = start
        self.skew = skew
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def server(self) -> float:
        """The time as everyone else has it."""
        return self.now

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now + self.skew, self.sleep)
