"""Touched files as text before and after, from objects alone."""

from pathlib import Path

import pytest

from awareness_pipeline.config import Settings
from awareness_pipeline.gitio import touched
from awareness_pipeline.gitio.commits import commit_file, read_commits
from awareness_pipeline.gitio.repository import BrokenRepository, NotARepository
from awareness_pipeline.gitio.touched import touched_files
from awareness_pipeline.records import Commit
from awareness_pipeline.stages import extract
from tests.pipeline.gitrepo import SYMLINK, Entry, Snap
from tests.pipeline.stages.shelf import put_clone, settings_at

SNAPS = [
    Snap(
        b"Begin\n",
        {
            b"a.py": b"one\ntwo\nthree\n",
            b"old name.py": b"same\n" * 20,
            b"gone.py": b"x\n",
            b"pic.bin": b"\0\1",
            b"link": Entry(b"a.py", SYMLINK),
        },
    ),
    Snap(
        b"Change\n",
        {
            b"a.py": b"one\n2\nthree\nfour\n",
            b"old name.py": None,
            b"new name.py": b"same\n" * 20 + b"more\n",
            b"gone.py": None,
            b"new.go": b"package x\n",
            b"pic.bin": b"\0\2",
            b"link": Entry(b"new.go", SYMLINK),
        },
    ),
]


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, list[Commit]]:
    settings: Settings = settings_at(tmp_path)
    put_clone(settings, 4, SNAPS)
    extract.run(settings, "000")
    folder = settings.paths.artifact("commits") / settings.version / "000"
    clone = settings.paths.artifact("clones") / settings.version / "000" / "4.git"
    return clone, list(read_commits(commit_file(folder, "4")))


def test_files_have_both_texts_and_the_lines_that_changed(
    world: tuple[Path, list[Commit]],
) -> None:
    clone, (_, change) = world
    found = {one.path: one for one in touched_files(clone, change)}
    assert set(found) == {"a.py", "gone.py", "new name.py", "new.go"}
    a = found["a.py"]
    assert (a.before, a.after, a.language) == (
        "one\ntwo\nthree\n",
        "one\n2\nthree\nfour\n",
        "Python",
    )
    assert (a.removed, a.added) == ({2}, {2, 4})
    assert found["new name.py"].before == "same\n" * 20, "found by its old name"
    assert (found["gone.py"].before, found["gone.py"].after) == ("x\n", "")
    assert (found["new.go"].before, found["new.go"].language) == ("", "Go")


def test_a_root_has_nothing_before(world: tuple[Path, list[Commit]]) -> None:
    clone, (root, _) = world
    assert {one.before for one in touched_files(clone, root)} == {""}


def test_what_is_large_or_many_is_left_out(
    world: tuple[Path, list[Commit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, (_, change) = world
    monkeypatch.setattr(touched, "MAX_BYTES", 50)
    assert "new name.py" not in {one.path for one in touched_files(clone, change)}
    monkeypatch.setattr(touched, "MAX_FILES", 1)
    assert len(touched_files(clone, change)) == 1


def test_missing_objects_and_clones_are_told(world: tuple[Path, list[Commit]]) -> None:
    clone, (_, change) = world
    with pytest.raises(NotARepository):
        touched_files(clone.with_name("none.git"), change)
    for path in (clone / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(BrokenRepository):
        touched_files(clone, change)
