"""Many trees of one repository: each as if it were read alone, and no blob read twice in a row."""

from pathlib import Path

import pytest

from awareness_pipeline.gitio import snapshot
from awareness_pipeline.gitio.repository import BrokenRepository
from awareness_pipeline.gitio.snapshot import read_snapshot
from awareness_pipeline.gitio.trees import TreeReader
from tests.pipeline.gitrepo import Snap, make_repo

SNAPS = [
    Snap(b"one\n", {b"a.py": b"A = 1\n", b"b.py": b"B = 1\n", b"p.bin": b"\0", b"go.sum": b"x\n"}),
    Snap(b"two\n", {b"a.py": b"A = 2\n"}),
    Snap(b"three\n", {b"a.py": b"A = 1\n", b"c/b.py": b"B = 1\n", b"b.py": None}),
]


@pytest.fixture
def shas(tmp_path: Path) -> list[str]:
    return make_repo(tmp_path / "r.git", SNAPS)


def test_a_tree_is_what_it_is_whatever_was_read_before(tmp_path: Path, shas: list[str]) -> None:
    repo = tmp_path / "r.git"
    alone = {sha: read_snapshot(repo, sha, max_file_bytes=1_000) for sha in shas}
    reader = TreeReader(repo, 1_000)
    for sha in (*shas, *reversed(shas), shas[0]):
        assert reader.read(sha) == alone[sha]


def test_what_the_last_tree_held_is_not_read_again(
    tmp_path: Path, shas: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, true_read = [], snapshot._read

    def noted(repository: object, entry: snapshot._Entry, most: int) -> snapshot.TreeFile | str:
        read.append(entry.path)
        return true_read(repository, entry, most)

    monkeypatch.setattr(snapshot, "_read", noted)
    reader = TreeReader(tmp_path / "r.git", 1_000)
    first = reader.read(shas[0])
    assert sorted(read) == ["a.py", "b.py", "go.sum", "p.bin"]
    read.clear()
    second = reader.read(shas[1])
    assert read == ["a.py"]
    assert second.files[1] is first.files[1]
    assert reader.read(shas[1]) is second
    assert read == ["a.py"]


def test_a_tree_that_is_not_there_is_told(tmp_path: Path, shas: list[str]) -> None:
    reader = TreeReader(tmp_path / "r.git", 1_000)
    with pytest.raises(BrokenRepository):
        reader.read("0" * 40)
    assert reader.read(shas[0]).files
