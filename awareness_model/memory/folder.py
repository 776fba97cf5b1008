"""A folder as documents: which files become memory, and why the others do not.

In a git work tree these are the files that git tracks or would track (ignored ones stay out), as
`git ls-files` names them with hooks, filters and file monitors off; elsewhere all files but those
below `SKIPPED`. `.awareness` holds the memory itself and two folders of texts that are documents of
a named scope: `user-profile` and `recent-history`. A symbolic link is never followed, neither a
file nor a folder on the way to one, so that nothing outside the root is read and loops do no harm.

Limits: names that are not UTF-8 are left out; text is UTF-8; git's own list is trusted for names,
never for content.
"""

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from awareness_model.config import UserError
from awareness_model.memory.scopes import SCOPES, contained
from awareness_model.schema import content_hash

HOME = ".awareness"
"""The folder of the memory, below the root."""
LARGEST_FILE = 1_000_000
"""Bytes of a document: about 300,000 tokens."""
LARGEST_KV = 200_000
"""Bytes of a document kept as `kv`, which takes 23 KB a token with SmolLM2-135M."""
SKIPPED = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules", HOME})

_GIT = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--literal-pathspecs")
_LISTED = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--")


@dataclass(frozen=True, slots=True)
class File:
    """A document as it lies in the folder."""

    path: str
    """Relative to the root, with forward slashes."""
    content_hash: str
    text: str


class LeftOut(Exception):
    """A file that is no document; the message is the reason."""


def root_of(folder: Path) -> Path:
    """Return a folder's real place.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: name one whose files are to be remembered")
    return folder.resolve()


def relative(root: Path, path: Path | str) -> str:
    """Return a document's path: relative to the root, whether given so, from here, or absolute.

    Raises:
        UserError: it is not inside the root.
    """
    given = Path(path)
    try:
        inside = given.relative_to(root) if given.is_absolute() else given
        return contained(inside.as_posix())
    except (ValueError, UserError):
        raise UserError(f"{str(path)!r} is not inside {root}: name a file below it") from None


def scope_of(path: str) -> str:
    """Return the named scope of a document: that of its folder in `.awareness`, else the usual."""
    parts = path.split("/")
    return parts[1] if parts[0] == HOME and parts[1:2] and parts[1] in SCOPES else SCOPES[0]


def listed(root: Path, below: str = "") -> list[str]:
    """Return the paths that may be documents, sorted, of all of the root or below one path.

    Raises:
        UserError: git cannot list the folder.
    """
    under_git = any((one / ".git").exists() for one in (root, *root.parents))
    found = _by_git(root, below) if under_git else _walked(root, below)
    kept = [path for path in found if SKIPPED.isdisjoint(path.split("/")[:-1])]
    own = (f"{HOME}/{scope}" for scope in SCOPES[1:])
    kept += [path for folder in own for path in _walked(root, folder, skipped=frozenset())]
    return sorted({path for path in kept if _is_below(path, below)})


def read(root: Path, path: str, largest: int = LARGEST_FILE) -> File | None:
    """Return a file's document; None where there is no file.

    Raises:
        LeftOut: it is no document.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise LeftOut("its name is not UTF-8") from None
    place = root / path
    try:
        if Path(os.path.realpath(place.parent)) != place.parent or place.is_symlink():
            raise LeftOut("a symbolic link")
        data = _bytes(place, largest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LeftOut(error.strerror or type(error).__name__) from None
    return File(path, content_hash(data), _text(data))


def _bytes(place: Path, largest: int) -> bytes:
    """Read a regular file, opened without following a link or waiting for a pipe."""
    handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        kind = os.fstat(handle)
        if not stat.S_ISREG(kind.st_mode):
            raise LeftOut("not a file")
        data = file.read(largest + 1) if kind.st_size <= largest else b""
    if kind.st_size > largest or len(data) > largest:
        raise LeftOut(f"larger than {largest:,} bytes")
    return data


def _text(data: bytes) -> str:
    if not data.strip():
        raise LeftOut("empty")
    if b"\0" in data:
        raise LeftOut("binary")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LeftOut("not UTF-8 text") from None


def _by_git(root: Path, below: str) -> list[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", *_GIT, *_LISTED, *([below] if below else [])]
    try:
        done = subprocess.run(command, cwd=root, env=env, capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError(f"{root} is a git work tree and git is not here: install git") from None
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason"])[0]
        raise UserError(f"git cannot list {root} ({said}): mend the work tree, then run again")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walked(root: Path, below: str, skipped: frozenset[str] = SKIPPED) -> Iterator[str]:
    """Yield the files of a folder, or the one that `below` names."""
    start = root / below
    if below and not start.is_dir():
        yield from [below] if start.is_symlink() or start.exists() else []
        return
    for folder, names, files in os.walk(start):
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        names[:] = sorted(set(names) - skipped - set(links))
        for name in (*files, *links):
            yield (Path(folder) / name).relative_to(root).as_posix()


def _is_below(path: str, below: str) -> bool:
    return not below or path == below or path.startswith(f"{below}/")


def survey(
    root: Path, paths: Iterable[str], largest: int = LARGEST_FILE, texts: int = 0
) -> tuple[dict[str, File], dict[str, str]]:
    """Return documents by path, and the reasons of files that are none.

    Args:
        texts: characters of text that are held, from the first document on; the others come without
            theirs, so that a large folder does not fill the RAM.
    """
    documents, left_out = {}, {}
    held = 0
    for path in paths:
        try:
            found = read(root, path, largest)
        except LeftOut as reason:
            left_out[path] = str(reason)
            continue
        if found is not None:
            held += len(found.text)
            documents[path] = found if held <= texts else replace(found, text="")
    return documents, left_out
