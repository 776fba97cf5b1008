"""Which of some wanted names exist in the trees of commits: in the text of a file, or in a path.

Read from the objects of a clone, from each commit's tree down, so nothing exists that the commit
does not reach; nothing is checked out. Files are those of `snapshot`: text, not vendored, generated
or locked, up to `MAX_FILE_BYTES`; of all others the path alone counts. What a name is and where it
stands: see `awareness_pipeline.wanted`.

All commits of a repository are asked about in one call. A folder or file that successive trees
share is read once: kept of it is only which wanted names it holds, by its id and path, for up to
`MAX_KEPT` of them (then all is forgotten; results are the same).

Limits: of a tree the first `MAX_FILES` entries and `MAX_TREE_CHARACTERS` of text are read, in git's
order, to `MAX_DEPTH` folders; a name beyond counts as missing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pygit2

from awareness_pipeline.gitio.omitted import read_omitted
from awareness_pipeline.gitio.repository import BrokenRepository, open_repository
from awareness_pipeline.gitio.snapshot import TreeFile, is_bad_name, read_entry
from awareness_pipeline.wanted import Wanted, found_in, searchable, wanted_of

__all__ = ["names_at"]

MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 64
MAX_FILE_BYTES: Final = 1_000_000
MAX_TREE_CHARACTERS: Final = 500_000_000
MAX_KEPT: Final = 200_000
"""About 300 bytes each."""

_NONE: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class _Room:
    """What may still be read of one tree."""

    entries: int
    size: int
    is_short: bool = False
    """Whether something was left out for want of it."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a folder or file holds, and what room reading it takes."""

    found: frozenset[str]
    entries: int
    size: int

    def fits(self, room: _Room) -> bool:
        """Take the room if there is enough of it."""
        if self.entries > room.entries or self.size > room.size:
            return False
        room.entries -= self.entries
        room.size -= self.size
        return True


@dataclass(slots=True)
class _Reader:
    repository: pygit2.Repository
    wanted: Wanted
    omitted: Collection[str]
    kept: dict[tuple[bytes, str], _Seen] = field(default_factory=dict)


def names_at(path: Path, wanted: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Return, for every commit, which of the names wanted of it are in its tree.

    Args:
        path: a repository.
        wanted: names by the commit's sha.

    Raises:
        NotARepository: there is none at `path`.
        BrokenRepository: a commit or one of its objects is missing.
    """
    repository = open_repository(path)
    names = frozenset().union(*wanted.values())
    reader = _Reader(repository, wanted_of(names), read_omitted(Path(repository.path)))
    found = {}
    for sha, asked in wanted.items():
        try:
            tree = repository[sha].peel(pygit2.Tree)
            there = (
                _folder(reader, tree, "", _Room(MAX_FILES, MAX_TREE_CHARACTERS)) if asked else _NONE
            )
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise BrokenRepository(f"the tree of {sha} can't be read: {error}") from error
        found[sha] = there & frozenset(asked)
    return found


def _folder(
    reader: _Reader, tree: pygit2.Tree, path: str, room: _Room, depth: int = 0
) -> frozenset[str]:
    """Return the wanted names in a folder; `path` ends in a slash, or is empty."""
    key = (tree.id.raw, path)
    seen = reader.kept.get(key)
    if seen is not None and seen.fits(room):
        return seen.found
    before = room.entries, room.size
    found: set[str] = set()
    for child in tree:
        if not room.entries:
            room.is_short = True
            break
        room.entries -= 1
        found |= _entry(reader, child, path, room, depth)
    names = frozenset(found) or _NONE
    if not room.is_short:
        _keep(reader, key, _Seen(names, before[0] - room.entries, before[1] - room.size))
    return names


def _entry(
    reader: _Reader, child: pygit2.Object, folder: str, room: _Room, depth: int
) -> frozenset[str]:
    name = (child.raw_name or b"").decode("utf-8", "replace")
    if is_bad_name(name):
        return _NONE
    if not isinstance(child, pygit2.Tree):
        return _file(reader, child, folder + name, room)
    if depth == MAX_DEPTH:
        return _NONE
    return _folder(reader, child, f"{folder}{name}/", room, depth + 1)


def _file(reader: _Reader, child: pygit2.Object, path: str, room: _Room) -> frozenset[str]:
    key = (child.id.raw, path)
    seen = reader.kept.get(key)
    if seen is not None and seen.fits(room):
        return seen.found
    names = found_in(searchable(path), reader.wanted)
    text = _text(reader, child, path, room)
    if len(text) <= room.size:
        names |= found_in(searchable(text), reader.wanted)
        room.size -= len(text)
    else:
        room.is_short = True
        room.size = 0
    if not room.is_short:
        _keep(reader, key, _Seen(names or _NONE, 0, len(text)))
    return names


def _text(reader: _Reader, child: pygit2.Object, path: str, room: _Room) -> str:
    """Return what is read of a file: nothing where it is left out, or no room is left."""
    if room.is_short or str(child.id) in reader.omitted:
        return ""
    file = read_entry(reader.repository, child, path, MAX_FILE_BYTES)
    return file.text if isinstance(file, TreeFile) else ""


def _keep(reader: _Reader, key: tuple[bytes, str], seen: _Seen) -> None:
    if len(reader.kept) >= MAX_KEPT:
        reader.kept.clear()
    reader.kept[key] = seen
