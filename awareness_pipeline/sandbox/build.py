"""Builds a universe in a folder: generated repositories and the real ones found beside them.

The folder holds `git/OWNER/NAME.git` and, written last, `universe.json`: the generated rows and a
mark of the code that made them. Another mark, or none, means to generate again, which takes
seconds. Every repository is made aside and renamed: killing a build at any point costs only time.
Two builds of one folder wait for each other.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from awareness_model.schema import write_atomic
from awareness_pipeline.config import PROJECT
from awareness_pipeline.locks import hold
from awareness_pipeline.sandbox import found, git
from awareness_pipeline.sandbox.generator.fastimport import write_repository
from awareness_pipeline.sandbox.generator.repositories import generate
from awareness_pipeline.sandbox.universe import SandboxRepo, Universe


def build(
    folder: Path, *, project: Path = PROJECT, folders: Sequence[Path] | None = None
) -> Universe:
    """Make what is missing in `folder` and return the universe.

    `project` is served as `awareness/awareness` where it is a git work tree; `folders` hold further
    repositories, None meaning what `AWARENESS_SANDBOX_REPOS` says. UserError where one of those
    cannot be read, or git is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder / ".lock", wait=True):
        aside = folder / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        configuration = git.write_configuration(folder)
        generated = _generated(folder, aside)
        further = found.folders_named_in(os.environ) if folders is None else folders
        rows = [
            found.copy(one, _place(folder, one.full_name), aside / "copy.git", configuration)
            for one in found.find(project, further, configuration)
        ]
        shutil.rmtree(aside)
    return Universe((*generated, *rows), _root(folder))


def _generated(folder: Path, aside: Path) -> tuple[SandboxRepo, ...]:
    """The generated rows: as they were written, or written now."""
    record, mark = folder / "universe.json", _mark()
    known = json.loads(record.read_bytes()) if record.exists() else {}
    if known.get("mark") == mark:
        return tuple(_row(fields) for fields in known["repos"])
    record.unlink(missing_ok=True)
    shutil.rmtree(_root(folder), ignore_errors=True)
    rows = []
    for row, commits in generate():
        write_repository(aside / "new.git", commits)
        place = _place(folder, row.full_name)
        place.parent.mkdir(parents=True, exist_ok=True)
        (aside / "new.git").rename(place)
        rows.append(row)
    text = {"mark": mark, "repos": [dataclasses.asdict(row) for row in rows]}
    write_atomic(record, json.dumps(text, indent=1).encode())
    return tuple(rows)


def _row(fields: dict[str, Any]) -> SandboxRepo:
    """A row read back: JSON knows lists where the row has tuples."""
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    return SandboxRepo(**{**fields, **lists})


def _mark() -> str:
    """A digest of the code that makes rows and repositories: changed code makes them anew."""
    state = blake2b(digest_size=16)
    here = Path(__file__).parent
    for source in (here / "universe.py", *sorted((here / "generator").glob("*.py"))):
        state.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return state.hexdigest()


def _root(folder: Path) -> Path:
    return folder / "git"


def _place(folder: Path, full_name: str) -> Path:
    return _root(folder) / f"{full_name}.git"
