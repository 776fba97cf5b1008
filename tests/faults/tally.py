"""What chaos has done so far, and the table that is kept of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What happened so far."""

    wanted: int
    wanted_faults: int = 0
    by_victim: Counter[str] = field(default_factory=Counter)
    by_stage: Counter[str] = field(default_factory=Counter)
    by_moment: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    roots: int = 0
    starts: int = 0
    kept: int = 0
    """Units that were done before a start, all starts together."""
    redone: int = 0
    leftovers: int = 0
    asked: int = 0
    asked_again: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        """Whether nothing more is to happen."""
        return self.kills >= self.wanted and self.faults.total() >= self.wanted_faults

    @property
    def kills(self) -> int:
        """How many so far."""
        return self.by_victim.total()

    def killed(self, victim: str, stage: str, moment: str) -> None:
        """Note a kill."""
        self.by_victim[victim] += 1
        self.by_stage[stage] += 1
        self.by_moment[moment] += 1
        if self.kills % 10 == 0:
            print(f"{self.kills} of {self.wanted} kills, {stage}", flush=True)

    def as_json(self, seed: int, seconds: float) -> dict[str, Any]:
        """Return the table that is kept."""
        names = ("by_victim", "by_stage", "by_moment", "faults", "ends", "lines")
        counted = {name: dict(sorted(getattr(self, name).items())) for name in names}
        plain = ("roots", "starts", "kept", "redone", "leftovers", "asked", "asked_again", "wrong")
        said = {name: getattr(self, name) for name in plain}
        return {"seed": seed, "kills": self.kills, "cpu_s": round(seconds), **said, **counted}
