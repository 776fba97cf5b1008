"""The files that a commit changes, as text before and after: read from the objects of a clone.

Nothing is checked out. Bounds: the first `MAX_FILES` files of the diff, none above `MAX_BYTES`.
Files that are binary, links or submodules are left out; one that is not there before or after is
the empty text on that side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pygit2
from pygit2.enums import FileMode

from awareness_pipeline.gitio.languages import language_of
from awareness_pipeline.gitio.repository import BrokenRepository, open_repository
from awareness_pipeline.patch.hunks import FilePatch, read_patch
from awareness_pipeline.records import Commit

__all__ = ["Touched", "touched_files"]

MAX_FILES: Final = 20
MAX_BYTES: Final = 256_000


@dataclass(frozen=True, slots=True)
class Touched:
    """A file before and after a commit."""

    path: str
    language: str
    before: str
    after: str
    removed: frozenset[int]
    """Numbers, from 1, of lines of `before` that are gone; `added`: of lines of `after`, new."""
    added: frozenset[int]


def touched_files(clone: Path, commit: Commit) -> list[Touched]:
    """Return the text files that a commit touches, in the order of its diff.

    Raises:
        NotARepository: there is no repository at `clone`.
        BrokenRepository: an object is missing.
    """
    repository = open_repository(clone)
    try:
        return list(_files(repository, commit))
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise BrokenRepository(f"{commit.sha} can't be read: {error}") from error
    finally:
        repository.free()


def _files(repository: pygit2.Repository, commit: Commit) -> Iterator[Touched]:
    after = repository[commit.sha].peel(pygit2.Tree)
    before = repository[commit.parent_sha].peel(pygit2.Tree) if commit.parent_sha else None
    for file in read_patch(commit.diff)[:MAX_FILES]:
        texts = (_text(before, file.old_path, file), _text(after, file.path, file))
        if file.hunks and None not in texts:
            old, new = (str(text) for text in texts)
            yield Touched(file.path, language_of(file.path), old, new, file.removed, file.added)


def _text(tree: pygit2.Tree | None, path: str, file: FilePatch) -> str | None:
    """Return a file's text, empty where the tree has no such file; None for what is no text."""
    try:
        found = tree[path] if tree is not None else None
    except KeyError:
        found = None
    if found is None:
        return ""
    if not isinstance(found, pygit2.Blob) or found.filemode == FileMode.LINK:
        return None
    if found.size > MAX_BYTES or file.is_binary:
        return None
    return found.data.decode("utf-8", "replace")
