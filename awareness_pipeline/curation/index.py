"""When all commits are compared again, and where the outcome is kept.

    sides.json               the side of every repository, once and for all (`splits.py`)
    .verdicts/<shard>.*      what was said of each (`verdicts.py`)
    .verdicts/state.json     what that was made of; written last

Whether something is new is seen from the sizes and times of the partitions' records, and where one
of these changed, from the digests that it holds; the records of the units are read only to compare.
Killed anywhere, the next run finds no state, or an old one, and compares again.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from awareness_model.schema import digest, write_atomic
from awareness_pipeline.artifacts import read_record
from awareness_pipeline.config import Curate
from awareness_pipeline.curation.corpus import Member, load
from awareness_pipeline.curation.splits import read_ledger, sides, write_ledger
from awareness_pipeline.curation.verdicts import Verdict, compare, read_verdicts, write_verdicts

__all__ = ["LEDGER", "STATE", "VERDICTS", "Index", "stat_of"]

LEDGER, VERDICTS, STATE = "sides.json", ".verdicts", "state.json"


def stat_of(path: Path) -> str:
    """Return what changes whenever a file is replaced; empty where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ""
    return f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class Index:
    """The comparison of all commits of a version."""

    home: Path
    """The folder that holds the version's partitions."""
    settings: Curate
    fingerprint: str
    """Of everything that a decision depends on beside facts and clones."""
    watched: tuple[Path, ...]
    """Records of partitions: when none of them changed, nothing is new."""
    compared: tuple[Path, ...]
    """Those of them whose units are compared."""
    mark: Callable[[Path], str] = stat_of
    """What tells one state of a file from the next; of its time and size alone, unless files are
    copied between machines."""

    @property
    def is_current(self) -> bool:
        """Whether nothing that is watched changed since the comparison."""
        return self._state().get("seen") == self._seen()

    def update(
        self, members: Callable[[], Sequence[Member]], may_draw_anew: Callable[[], None]
    ) -> None:
        """Compare all repositories again if there is something new; one process at a time.

        Args:
            members: reads what there is to compare.
            may_draw_anew: raises UserError where decisions of another held-out fraction stand.
        """
        for leftover in (*self.home.glob(".*.aside"), *self._folder.glob(".*.aside")):
            leftover.unlink()
        content, state = self._content(), self._state()
        if state.get("content") != content or state.get("sides") != self._sides():
            self._compare(members(), may_draw_anew)
        state = {"seen": self._seen(), "content": content, "sides": self._sides()}
        write_atomic(self._state_file, (json.dumps(state) + "\n").encode())

    def verdicts(self, partition: str) -> dict[int, Verdict]:
        """Return what is said of the repositories of a shard."""
        return read_verdicts(self._folder, partition)

    def said_of(self, partition: str) -> tuple[Path, ...]:
        """Return the files that hold what is said of a shard."""
        return tuple(self._folder / f"{partition}.{kind}" for kind in ("json", "parquet"))

    def _compare(self, members: Sequence[Member], may_draw_anew: Callable[[], None]) -> None:
        fraction, given = read_ledger(self._ledger)
        if fraction not in (None, self.settings.held_out_fraction):
            may_draw_anew()
            given = {}
        shutil.rmtree(self._folder, ignore_errors=True)
        scratch = self._folder / "scratch"
        corpus = load(members, scratch)
        said = compare(corpus, self.settings.near_duplicate, self.settings.shared_commits)
        found = sides(said.kin, given, self.settings.held_out_fraction)
        told = given | {repo_id: side.split for repo_id, side in found.items()}
        write_ledger(self._ledger, told, self.settings.held_out_fraction)
        write_verdicts(self._folder, said, found)
        shutil.rmtree(scratch, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self.home / VERDICTS

    @property
    def _ledger(self) -> Path:
        return self.home / LEDGER

    @property
    def _state_file(self) -> Path:
        return self._folder / STATE

    def _state(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._state_file.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def _seen(self) -> str:
        return digest(self.fingerprint, *map(self.mark, self.watched), self._sides())

    def _sides(self) -> str:
        return self.mark(self._ledger)

    def _content(self) -> str:
        records = [read_record(path) for path in self.compared]
        inputs = [json.dumps(dict(one.inputs), sort_keys=True) if one else "" for one in records]
        return digest(self.fingerprint, *inputs)
