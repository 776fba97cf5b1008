"""A record and its files as objects of a bucket: sent, received, and never trusted.

    <key>.record.json    the parcel: the local record's text, and size and digest of every file
    <key>.<digest>       each file, by the blake2b-128 of what it holds

Files first, the record last, by one put: what has no record does not exist, and a reader of an old
record finds either all of it or a file missing, never a mixture. A folder that a record names a
file of is sent whole: a clone is its packs, not its HEAD.

What comes is hostile until checked: sizes and digests; names that stay inside the folder, point at
no record and at nothing hidden; of a bare clone only what git itself writes there, no hook, no
alternates, no link, and a configuration that holds none but git's own few words.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from awareness_pipeline.artifacts import measure
from awareness_pipeline.bucket import Bucket
from awareness_pipeline.config import UserError

TRIES: Final = 2
_PART: Final = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_NAME: Final = re.compile(rf"{_PART}(/{_PART})*")
_GIT: Final = re.compile(
    r"\d+\.git/(HEAD|config|packed-refs|omitted|info/refs|objects/info/(packs|commit-graph)"
    r"|objects/pack/pack-[0-9a-f]{40,64}\.(pack|idx|rev|bitmap|mtimes|promisor)"
    r"|objects/[0-9a-f]{2}/[0-9a-f]{38,62}|refs/(heads|replace)/.+)"
)
_CONFIG: Final = re.compile(
    rb"\s*(\[core\]|\[extensions\]|(repositoryformatversion|filemode|bare|ignorecase|symlinks"
    rb"|precomposeunicode|objectformat|partialclone)\s*=\s*\w+)?\s*",
    re.IGNORECASE,
)
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")


class Damaged(UserError):
    """A file of a parcel is not there, or not what its digest says."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What stands in the bucket under a unit's key."""

    record: str
    """The text of the local record; empty for files that have none."""
    files: Mapping[str, tuple[int, str]]
    """Size in bytes and blake2b-128 of every file, by name below the folder."""

    @property
    def text(self) -> bytes:
        """Return the parcel as it is stored."""
        files = {name: list(mark) for name, mark in sorted(self.files.items())}
        return json.dumps({"files": files, "record": self.record}, sort_keys=True).encode()

    @property
    def tops(self) -> set[str]:
        """Return the folders that belong to it."""
        return {name.split("/")[0] for name in self.files if "/" in name}


def read_parcel(text: bytes, where: str) -> Parcel:
    """Return the parcel that a text is.

    Raises:
        UserError: it is none, or names a file where none may be.
    """
    try:
        found = json.loads(text)
        files = {str(name): (int(size), str(mark)) for name, (size, mark) in found["files"].items()}
        parcel = Parcel(str(found["record"]), files)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{where} in the store is no record; remove it to redo that work") from None
    for name, (size, mark) in files.items():
        if not (allowed(name) and size >= 0 and _DIGEST.fullmatch(mark)):
            raise UserError(f"{where} in the store names a file where none may be: remove it")
    return parcel


def allowed(name: str) -> bool:
    """Whether a file of that name, relative to its folder, may be sent or received."""
    if not _NAME.fullmatch(name) or name.endswith("record.json"):
        return False
    return ".git/" not in f"{name}/" or _GIT.fullmatch(name) is not None


def packed(folder: Path, record: str, known: Mapping[str, tuple[int, str]]) -> Parcel:
    """Return the parcel of files in a folder, with all of the folders that these are in.

    Args:
        known: the files that a record names, measured.
    """
    tops = Parcel("", known).tops
    names = {name for top in tops for name in _files(folder, top)}
    files = {name: known.get(name) or measure(folder / name) for name in sorted(names | set(known))}
    return Parcel(record, files)


def _files(folder: Path, top: str) -> Iterator[str]:
    for path in (folder / top).rglob("*"):
        name = path.relative_to(folder).as_posix()
        if allowed(name) and path.is_file() and not path.is_symlink():
            yield name


def send(bucket: Bucket, home: str, key: str, folder: Path, parcel: Parcel) -> None:
    """Put the files that are not there, then the record, and remove what it replaces."""
    known = bucket.read(where := f"{home}/{key}.record.json")
    before = objects(known, where)
    marks = {mark: (name, size) for name, (size, mark) in parcel.files.items()}
    for mark, (name, size) in marks.items():
        place = f"{home}/{key}.{mark}"
        if mark not in before or bucket.size(place) != size:
            bucket.put(place, folder / name)
    if known != parcel.text:
        bucket.write(where, parcel.text)
    for mark in before - marks.keys():
        bucket.remove(f"{home}/{key}.{mark}")


def objects(text: bytes | None, where: str) -> set[str]:
    """Return the digests that a stored record names; none where it is damaged."""
    try:
        return {mark for _, mark in read_parcel(text, where).files.values()} if text else set()
    except UserError:
        return set()


def withdraw(bucket: Bucket, home: str, key: str) -> None:
    """Remove a parcel, its record first."""
    where = f"{home}/{key}.record.json"
    marks = objects(bucket.read(where), where)
    bucket.remove(where)
    for mark in sorted(marks):
        bucket.remove(f"{home}/{key}.{mark}")


def receive(
    bucket: Bucket, home: str, key: str, folder: Path, parcel: Parcel, names: Iterable[str]
) -> None:
    """Bring files of a parcel that are not here as it says, and remove what is not of it.

    Raises:
        Damaged: a file is not there, or not what its digest says; one that is wrong is removed from
            the bucket, so that whoever makes it next sees that.
        UserError: a path leads out of the folder, or a clone's configuration is not git's own.
    """
    for top in parcel.tops:
        _refuse_link(folder, folder / top)
        for path in sorted((folder / top).rglob("*"), reverse=True):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or (not path.is_dir() and name not in parcel.files):
                path.unlink()
        if top.endswith(".git"):
            # Empty where all is packed; git takes a folder without it for no repository.
            (folder / top / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        size, mark = parcel.files[name]
        path = folder / name
        _refuse_link(folder, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.is_file() and measure(path) == (size, mark)):
            _bring_file(bucket, f"{home}/{key}.{mark}", path, size, mark)


def _refuse_link(folder: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        raise UserError(f"{path} is a link or lies behind one: remove it")


def _bring_file(bucket: Bucket, place: str, path: Path, size: int, mark: str) -> None:
    aside = path.with_name(f".{path.name}.aside")
    try:
        for _ in range(TRIES):
            if bucket.get(place, aside) == mark and aside.stat().st_size == size:
                _refuse_configuration(path, aside)
                aside.replace(path)
                return
    except FileNotFoundError:
        raise Damaged(f"{place} is not in the store") from None
    finally:
        aside.unlink(missing_ok=True)
    bucket.remove(place)
    raise Damaged(f"{place} is damaged in the store")


def _refuse_configuration(path: Path, aside: Path) -> None:
    """Git obeys a clone's own configuration, which may name programs to run."""
    if path.name != "config" or path.parent.suffix != ".git":
        return
    if not all(_CONFIG.fullmatch(line) for line in aside.read_bytes().split(b"\n")):
        raise UserError(f"the configuration of {path.parent.name} in the store is not git's own")
