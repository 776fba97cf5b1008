"""What a flow has left: its digests, its finished units, its files by name.

Names that differ from run to run are cut out: of git's packs, of Lance's data, of TensorBoard's
files, of the ledgers that each run begins. So are answers half written when the flow was killed,
which the teacher's cache removes when they are an hour old: other machines may be writing there.
Limits: of all these nothing but their kind shows.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awareness_pipeline.config import Settings
from awareness_pipeline.digest import digests
from tests.faults import forks

OWN = re.compile(
    r"(/objects/).*|(\.lance/).*|(/tensorboard/).*|^(teacher/ledger/).*|^(teacher/answers/unfinished/).*|^crawl_state\.db.*"
    r"|(?<=/)\.lock$|(?<=/)\.[^/]*\.lock$|^\.small\.lock$"
)

UNFINISHED = "teacher/answers/unfinished/…"


@dataclass(frozen=True)
class Left:
    """What two flows must have in common."""

    digest: dict[str, Any]
    files: frozenset[str]

    def differences(self, other: "Left") -> list[str]:
        """Return what of another flow is not as here."""
        found = []
        if self.digest != other.digest:
            mine, theirs = self.digest["artifacts"], other.digest["artifacts"]
            wrong = [name for name in mine if mine[name] != theirs[name]]
            catalog = [] if self.digest["catalog"] == other.digest["catalog"] else ["catalog"]
            found.append(f"other outputs: {wrong + catalog}")
        if extra := sorted(other.files - self.files):
            found.append(f"leftovers: {extra[:8]}")
        if missing := sorted(self.files - other.files):
            found.append(f"missing: {missing[:8]}")
        return found


def look(settings: Settings, folder: Path) -> Left:
    """Return what lies in a root. Digests are taken in a process of their own: Lance has threads,
    and what has threads is no good for forking."""
    out, log = folder / "digest.json", folder / "digest.log"
    child = forks.fork(lambda: _write(settings, out), log)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, log.read_text()
    root = settings.paths.root
    paths = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    names = frozenset(map(_named, paths)) - {UNFINISHED}
    return Left(json.loads(out.read_text()), names)


def stamps(root: Path) -> dict[str, int]:
    """Return when each finished unit was written."""
    return {str(path): path.stat().st_mtime_ns for path in root.glob("*/*/[!.]*/*.record.json")}


def _named(path: str) -> str:
    return OWN.sub(lambda found: f"{next(filter(None, found.groups()), '')}…", path)


def _write(settings: Settings, out: Path) -> int:
    out.write_text(json.dumps(digests(settings.paths, settings.version)))
    return 0
