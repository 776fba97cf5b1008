"""What a check is, how it goes through the units of an artifact, and when it need not look again.

Reading every file of every run again would make a rerun that does nothing as long as reading all
the data. So in a run a check passes over partitions that it found sound and that are as they were
then: `Check.mark` says what the verdict depends on. Started by hand it looks at everything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dagster as dg
from pyarrow import ArrowException
from zstandard import ZstdError

from awareness_model.schema import digest
from awareness_pipeline import seen
from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.config import Settings, UserError

Problems = Iterator[str]

UNREADABLE = (OSError, ValueError, KeyError, TypeError, ZstdError, ArrowException, UserError)
"""What reading a damaged file raises."""


@dataclass(frozen=True, slots=True)
class Check:
    """A named promise about an artifact."""

    artifact: str
    name: str
    find: Callable[[Settings, Sequence[str]], Problems]
    """Yields a line per problem; its docstring is the description that people read."""
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    mark: Callable[[Settings, str], str] | None = None
    """What the verdict on a partition depends on; None: it is looked at in every run."""
    across: bool = False
    """Whether partitions are held against one another, so that one that changed opens all."""

    @property
    def description(self) -> str:
        """Return what the check promises."""
        return " ".join((self.find.__doc__ or "").split())

    def problems(self, settings: Settings, partitions: Sequence[str]) -> Problems:
        """Yield what is wrong; what cannot be read at all comes last, as the reason."""
        try:
            yield from self.find(settings, partitions)
        except UNREADABLE as error:
            yield f"cannot be read: {type(error).__name__}: {error}"

    def open_marks(self, settings: Settings, partitions: Sequence[str]) -> Mapping[str, str]:
        """Return the partitions that a run has to look at, with their marks of now."""
        if self.mark is None:
            return dict.fromkeys(partitions, "")
        marks = {key: digest(_code(), self.mark(settings, key)) for key in partitions}
        changed = {
            key: mark
            for key, mark in marks.items()
            if not seen.passed(settings, self.artifact, key, self.name, mark)
        }
        return marks if self.across and changed else changed

    def found_sound(self, settings: Settings, marks: Mapping[str, str]) -> None:
        """Note that nothing was wrong with partitions that had these marks."""
        for key, mark in marks.items():
            if mark:
                seen.note(settings, self.artifact, key, self.name, mark)


def reading(*artifacts: str) -> Callable[[Settings, str], str]:
    """Return a mark of all that lies in a partition of some artifacts, subfolders left out."""

    def mark(settings: Settings, partition: str) -> str:
        homes = [settings.paths.artifact(name) / settings.version for name in artifacts]
        return seen.listing(*(home / partition for home in homes))

    return mark


@cache
def _code() -> str:
    """Return a digest of the checks themselves: one that was changed looks at everything."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return digest(*(path.read_text(encoding="utf-8") for path in files))


def per_unit(
    artifact: str, find: Callable[[Path, Record], Problems]
) -> Callable[[Settings, Sequence[str]], Problems]:
    """Return a search that goes through the units of partitions and names the one at fault.

    It first holds a unit's files against the sizes in its record: readers pass over a unit whose
    files differ, so that the next run redoes it, and here is where that shows. An unreadable unit
    is a problem; the others are still looked at.
    """

    def every(settings: Settings, partitions: Sequence[str]) -> Problems:
        for partition in partitions:
            folder = settings.paths.artifact(artifact) / settings.version / partition
            for path in sorted(folder.glob("*.record.json")):
                for problem in _of_unit(path, find):
                    yield f"{partition}/{path.name.split('.')[0]}: {problem}"

    every.__doc__ = find.__doc__
    return every


def _of_unit(path: Path, find: Callable[[Path, Record], Problems]) -> Problems:
    try:
        record = read_record(path)
        assert record is not None
        for name, (size, _) in record.files.items():
            if (found := (path.parent / name).stat().st_size) != size:
                yield f"{name} has {found:,} bytes, its record says {size:,}"
        yield from find(path.parent, record)
    except UNREADABLE as error:
        yield f"{type(error).__name__}: {error}"
