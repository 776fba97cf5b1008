"""Commits with the texts before and after them, out of a real repository."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from awareness_pipeline.gitio.log import read_log
from awareness_pipeline.gitio.repository import open_repository
from awareness_pipeline.gitio.rows import Origin, commit_rows
from awareness_pipeline.records import Commit
from tests.pipeline.gitrepo import Entry, Snap, make_repo

Texts = dict[str, str]
ORDINARY = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)


@dataclass(frozen=True)
class Changed:
    """A commit as stored, and files of its trees."""

    commit: Commit
    before: Texts
    after: Texts


def changed(repo: Path, most: int = 0) -> Iterator[Changed]:
    """Yield the newest commits of a repository that are no merges, all by default.

    Texts are those of the ordinary files that a commit names and that are UTF-8.
    """
    opened = open_repository(repo)
    for commit in commit_rows(read_log(repo, max_commits=most), Origin("o/r", 1, "")):
        if len(commit.parents) < 2:
            paths = {path for one in commit.files for path in (one.path, one.old_path) if path}
            before = _texts(opened, commit.parent_sha, paths)
            yield Changed(commit, before, _texts(opened, commit.sha, paths))


def _texts(repo: pygit2.Repository, sha: str | None, paths: set[str]) -> Texts:
    found: Texts = {}
    tree = repo[sha].peel(pygit2.Tree) if sha else ()
    for path in sorted(paths):
        if path in tree and (entry := tree[path]).filemode in ORDINARY:
            try:
                found[path] = entry.data.decode("utf-8")
            except UnicodeDecodeError:
                continue
    return found


def history(folder: Path, trees: list[Mapping[str, str]]) -> list[Changed]:
    """Write trees as commits one after another; return what changed, without the first."""
    snaps = []
    for before, after in zip([{}, *trees], trees, strict=False):
        gone = dict.fromkeys(before.keys() - after.keys())
        new = {path: text.encode() for path, text in after.items() if before.get(path) != text}
        both: dict[str, bytes | None] = {**gone, **new}
        changes: dict[bytes, Entry | bytes | None] = {
            path.encode(): entry for path, entry in sorted(both.items())
        }
        snaps.append(Snap(b"Change\n", changes))
    make_repo(folder, snaps)
    rows = list(commit_rows(read_log(folder), Origin("o/r", 1, "")))
    assert len(rows) == len(trees)
    pairs = zip(trees, trees[1:], rows[1:], strict=False)
    return [Changed(commit, dict(before), dict(after)) for before, after, commit in pairs]
