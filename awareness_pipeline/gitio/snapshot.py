"""The text files of a tree, read from the objects of a repository; nothing is ever checked out.

A file is taken when its bytes hold no NUL and it is neither symlink, submodule, vendored,
generated, a lock file nor too big; whatever is left out is named with its reason. Sizes are read
from object headers, so a huge blob is never loaded. Bytes that are not UTF-8 become U+FFFD in
`text`, while `content_hash` names the true bytes.

Limits: a tree is walked to `MAX_FILES` entries and `MAX_DEPTH` folders (trees can be made that
unfold without end); what lies beyond is left out as `too_many` or `too_deep`. Paths are never used
to write files, yet names that could leave a folder are refused.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pygit2
from pygit2.enums import FileMode

from awareness_model.schema import content_hash
from awareness_pipeline.gitio.labels import is_generated, is_lockfile, is_vendored
from awareness_pipeline.gitio.languages import language_of, main_language
from awareness_pipeline.gitio.omitted import read_omitted
from awareness_pipeline.gitio.repository import BrokenRepository, open_repository

__all__ = [
    "Skipped",
    "Snapshot",
    "TreeFile",
    "blobs_at",
    "is_bad_name",
    "main_language_of",
    "read_entry",
    "read_files",
    "read_snapshot",
    "read_tree",
]

MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A text file of a snapshot. `content_hash` is blake2b-256 of its bytes, in hex."""

    path: str
    blob_sha: str
    content_hash: str
    text: str
    language: str
    """Linguist's name, by the path; empty where it does not tell."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path of the tree that is not in the snapshot, and why."""

    path: str
    reason: str
    blob_sha: str = ""
    """Empty where there is none to read."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tree as files to read, both parts sorted by path."""

    files: tuple[TreeFile, ...]
    skipped: tuple[Skipped, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """Return how many paths were left out, by reason."""
        return dict(sorted(Counter(one.reason for one in self.skipped).items()))


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    blob: pygit2.Oid | None
    reason: str


def read_tree(repo_path: Path, sha: str, *, max_file_bytes: int = 1_000_000) -> list[TreeFile]:
    """Return the text files of a commit's tree by path; see `read_snapshot` for what is left out.

    Raises:
        NotARepository: there is no repository at `repo_path`.
        BrokenRepository: the commit or one of its objects is missing.
    """
    return list(read_snapshot(repo_path, sha, max_file_bytes=max_file_bytes).files)


def read_snapshot(
    repo_path: Path,
    sha: str,
    *,
    max_file_bytes: int = 1_000_000,
    known: Mapping[tuple[str, str], TreeFile | str] | None = None,
) -> Snapshot:
    """Return the text files of a commit's tree, and what was left out with its reason.

    Args:
        known: what was found before at a path and blob of this repository, with the same limit:
            a file, or why it was left out. It is not read again.

    Reasons: `symlink`, `submodule`, `binary`, `too_big`, `vendored`, `generated`, `lockfile`,
    `omitted` (from a partial clone), `empty`, `bad_name`, `too_deep`, `too_many`. Raises as
    `read_tree`.
    """
    repository = open_repository(repo_path)
    files: list[TreeFile] = []
    skipped: list[Skipped] = []
    try:
        for entry in _entries(repository, sha):
            taken = (known or {}).get((entry.path, str(entry.blob)))
            taken = taken or _read(repository, entry, max_file_bytes)
            if isinstance(taken, TreeFile):
                files.append(taken)
            else:
                skipped.append(Skipped(entry.path, taken, str(entry.blob or "")))
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise BrokenRepository(f"the tree of {sha} can't be read: {error}") from error
    return Snapshot(
        files=tuple(sorted(files, key=lambda file: file.path)),
        skipped=tuple(sorted(skipped, key=lambda one: (one.path, one.reason))),
    )


def read_files(
    repo_path: Path,
    sha: str,
    paths: Iterable[str],
    *,
    max_file_bytes: int = 1_000_000,
    known: dict[tuple[str, str], TreeFile | str] | None = None,
) -> dict[str, TreeFile | str]:
    """Return the files at some paths of a commit's tree, or why each is left out.

    Only these paths are looked up, whatever the tree's size. Reasons and errors as in
    `read_snapshot`, and `not_in_tree`; a path whose bytes are not UTF-8 is not found.

    Args:
        known: as in `read_snapshot`; what is read here is added.
    """
    repository = open_repository(repo_path)
    omitted = read_omitted(Path(repository.path))
    known = {} if known is None else known
    found: dict[str, TreeFile | str] = {}
    try:
        root = repository[sha].peel(pygit2.Tree)
        for path in paths:
            child = _at(root, path)
            if child is None or isinstance(child, pygit2.Tree):
                found[path] = "not_in_tree"
                continue
            key = path, str(child.id)
            if key not in known:
                gone = key[1] in omitted
                known[key] = (
                    _leaf(child, path).reason or "omitted"
                    if gone
                    else read_entry(repository, child, path, max_file_bytes)
                )
            found[path] = known[key]
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise BrokenRepository(f"the tree of {sha} can't be read: {error}") from error
    return found


def blobs_at(repo_path: Path, sha: str, paths: Iterable[str]) -> dict[str, str]:
    """Return blob names of the files at some paths of a commit's tree; nothing is read of them.
    Raises as `read_tree`."""
    repository = open_repository(repo_path)
    try:
        root = repository[sha].peel(pygit2.Tree)
        found = ((path, _at(root, path)) for path in paths)
        return {path: str(child.id) for path, child in found if isinstance(child, pygit2.Blob)}
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise BrokenRepository(f"the tree of {sha} can't be read: {error}") from error


def _at(tree: pygit2.Tree, path: str) -> pygit2.Object | None:
    """Return the entry at a path, name by name; None where there is none."""
    child: pygit2.Object = tree
    for name in path.split("/"):
        if is_bad_name(name) or not isinstance(child, pygit2.Tree) or name not in child:
            return None
        child = child[name]
    return child


def main_language_of(repo_path: Path, sha: str) -> str:
    """Return the main language of a commit's tree by bytes, vendored and generated files apart.

    Empty where no programming language is found. A blob that is missing counts for nothing. Raises
    as `read_tree`.
    """
    repository = open_repository(repo_path)
    try:
        return main_language(
            (entry.path, _size(repository, entry.blob))
            for entry in _entries(repository, sha)
            if entry.blob is not None and not entry.reason
        )
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise BrokenRepository(f"the tree of {sha} can't be read: {error}") from error


def _size(repository: pygit2.Repository, blob: pygit2.Oid) -> int:
    try:
        return int(repository.odb.read_header(blob)[1])
    except KeyError:
        return 0


def _entries(repository: pygit2.Repository, sha: str) -> Iterator[_Entry]:
    """Walk a commit's tree, folder by folder, up to the limits; judge what needs no content."""
    waiting: list[tuple[pygit2.Tree, str, int]] = [
        (repository[sha].peel(pygit2.Tree), "", 0),
    ]
    omitted = read_omitted(Path(repository.path))
    seen = 0
    while waiting:
        tree, folder, depth = waiting.pop()
        for child in tree:
            name = (child.raw_name or b"").decode("utf-8", "replace")
            path = folder + name
            seen += 1
            if seen > MAX_FILES:
                yield _Entry(path, None, "too_many")
                return
            if is_bad_name(name):
                yield _Entry(path, None, "bad_name")
            elif not isinstance(child, pygit2.Tree):
                leaf = _leaf(child, path)
                gone = str(leaf.blob) in omitted
                yield _Entry(path, None, leaf.reason or "omitted") if gone else leaf
            elif depth == MAX_DEPTH:
                yield _Entry(path, None, "too_deep")
            else:
                waiting.append((child, path + "/", depth + 1))


def is_bad_name(name: str) -> bool:
    """Tell whether an entry of a tree has a name that could leave a folder."""
    return name in ("", ".", "..") or name.lower() == ".git" or "/" in name or "\\" in name


def read_entry(
    repository: pygit2.Repository, child: pygit2.Object, path: str, max_file_bytes: int
) -> TreeFile | str:
    """Return one file of a tree, or why it is left out. Raises KeyError: its blob is missing."""
    return _read(repository, _leaf(child, path), max_file_bytes)


def _leaf(child: pygit2.Object, path: str) -> _Entry:
    if child.filemode == FileMode.LINK:
        return _Entry(path, None, "symlink")
    if child.filemode == FileMode.COMMIT:
        return _Entry(path, None, "submodule")
    if is_vendored(path):
        return _Entry(path, child.id, "vendored")
    if is_lockfile(path):
        return _Entry(path, child.id, "lockfile")
    return _Entry(path, child.id, "generated" if is_generated(path) else "")


def _read(repository: pygit2.Repository, entry: _Entry, max_file_bytes: int) -> TreeFile | str:
    """Return the file, or why it is left out."""
    if entry.reason or entry.blob is None:
        return entry.reason
    size = repository.odb.read_header(entry.blob)[1]
    if size > max_file_bytes:
        return "too_big"
    data = repository.odb.read(entry.blob)[1]
    if not data:
        return "empty"
    if b"\0" in data:
        return "binary"
    text = data.decode("utf-8", "replace")
    if is_generated(entry.path, text):
        return "generated"
    return TreeFile(
        path=entry.path,
        blob_sha=str(entry.blob),
        content_hash=content_hash(data),
        text=text,
        language=language_of(entry.path),
    )
