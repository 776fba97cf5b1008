"""Where a training writes, and who this process is among its ranks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """Where a training writes and who it is among its ranks."""

    folder: Path
    data: str
    """Digest of the samples."""
    rank: int = 0
    ranks: int = 1
    say: Callable[[int, int, Mapping[str, float]], None] = lambda done, total, values: None
    """Called with (steps done, steps in all, numbers to show) after each step."""

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints that a killed run resumes from."""
        return self.folder / "checkpoints"

    @property
    def final(self) -> Path:
        """Return the folder of the finished reader."""
        return self.folder / "final"
