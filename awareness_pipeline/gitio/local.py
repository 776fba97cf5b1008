"""The git repositories below a local folder: where they lie, and what a host would say of them.

A repository counts when its own folder holds it: `NAME/.git/` or a bare `NAME.git/`. Symbolic
links, worktrees and submodules (whose `.git` is a file or a link that points elsewhere) are left
out, and nothing is looked for inside a repository. Limits: three levels deep; HEAD's branch only.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2

from awareness_pipeline.clock import iso, utc
from awareness_pipeline.gitio.repository import (
    BrokenRepository,
    NotARepository,
    RepositoryError,
    head_sha,
    local_external_id,
    open_repository,
)
from awareness_pipeline.records import Repository

__all__ = ["Found", "find_repositories", "is_itself", "size_kb"]

MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A repository in a folder."""

    path: Path
    place: str
    """Relative path with `/`; empty for the folder itself."""
    head: str
    """Sha of HEAD; empty when it has no commit yet."""
    branch: str
    """HEAD's branch; empty when detached."""
    committed_at: str
    """When HEAD was committed; empty without a commit."""
    trouble: str = ""
    """Why it cannot be read (`broken`); empty where it can."""


def find_repositories(folder: Path) -> list[Found]:
    """Return the repositories below a folder (or the folder itself), by place.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise NotADirectoryError(str(folder))
    found = [_look(path, _place(path, folder)) for path in _walk(folder, 0)]
    return sorted(found, key=lambda one: one.place)


def size_kb(path: Path) -> int:
    """Return the size of a repository's objects in KB."""
    objects = path / ".git" / "objects" if (path / ".git").is_dir() else path / "objects"
    total = 0
    for folder, _, names in os.walk(objects):
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)  # noqa: PTH118
    return total // 1024


def is_itself(repository: Repository, folder: Path) -> bool:
    """Tell whether the repository below `folder` is still the one that the catalog knows.

    True as well where it can't be read: what comes of that is another matter.
    """
    path = Path(repository.local_path or folder)
    try:
        where = _place(path, folder.resolve())
        return local_external_id(open_repository(path), where) == repository.external_id
    except RepositoryError:
        return True


def _place(path: Path, folder: Path) -> str:
    return "" if path == folder else path.relative_to(folder).as_posix()


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if _holds_repository(folder):
        yield folder
    elif depth < MAX_DEPTH:
        with os.scandir(folder) as entries:
            below = [Path(one.path) for one in entries if one.is_dir(follow_symlinks=False)]
        for path in sorted(below):
            yield from _walk(path, depth + 1)


def _holds_repository(folder: Path) -> bool:
    inside = folder / ".git"
    root = inside if os.path.lexists(inside) else folder
    if root.is_symlink() or not (root / "HEAD").is_file() or not (root / "objects").is_dir():
        return False
    try:
        open_repository(folder)
    except NotARepository:
        return False
    return True


def _look(path: Path, place: str) -> Found:
    repository = open_repository(path)
    target = repository.lookup_reference("HEAD").target
    branch = target.removeprefix("refs/heads/") if isinstance(target, str) else ""
    try:
        head = head_sha(repository) or ""
    except BrokenRepository as error:
        return Found(path, place, "", branch, "", trouble=error.reason)
    return Found(path, place, head, branch, _commit_time(repository, head) if head else "")


def _commit_time(repository: pygit2.Repository, sha: str) -> str:
    """ISO 8601, UTC; empty for a time that no calendar has."""
    try:
        return iso(utc(repository[sha].peel(pygit2.Commit).commit_time))
    except (ValueError, OverflowError, OSError):
        return ""
