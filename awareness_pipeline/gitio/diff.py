"""One commit's patch, read from the bytes of `git log -p`, to the list of files it changes.

Every line inside a hunk begins with `+`, `-`, a space or a backslash, and every line outside one
with a word, `--- ` or `+++ `. So a line that begins with `diff --git ` always opens a file, one
that begins with `@@ ` always a hunk, and from a file's first hunk on every line that begins with
`+` was added and every one with `-` deleted: `+++i;` and `--- old` too. That is hunk-aware counting
without a look at each line. Everything is bytes split on `\\n` alone.

The reader is fed blocks as they come and holds at most `PatchLimits` of text: beyond a limit text
is left out and `truncated` set, but counts and sizes stay those of the whole patch.

Limits: for a pure rename or mode change git prints no content, so a binary file that is only
renamed reads as text with 0 and 0 lines here; `unprinted` looks those up. Needs the prefixes `a/`
and `b/`, `--full-index` and `diff.suppressBlankEmpty=false`; no combined diffs.
"""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

from awareness_pipeline.patch.header import Header, read_header
from awareness_pipeline.records import FileChange

__all__ = ["Patch", "PatchLimits", "PatchReader"]

OPENS: Final = b"diff --git "
LINE_BYTES: Final = 1 << 16
"""What is left of a line longer than this is taken in as it comes."""
PATH_BYTES: Final = 4096
"""A longer path is cut: no file system holds it."""

_KIND_OF_MODE: Final = {b"120000": "symlink", b"160000": "submodule"}


@dataclass(frozen=True, slots=True)
class PatchLimits:
    """How much of a patch is kept: bytes per file, bytes per commit, and files named."""

    file_bytes: int = 1_000_000
    commit_bytes: int = 4_000_000
    files: int = 10_000


@dataclass(frozen=True, slots=True)
class Patch:
    """What one commit changes. `text` is cut where `truncated`; the counts and `size` never are.

    `size` is the number of bytes git printed, `lossy` says that a path was not UTF-8. By place in
    `files`: `blobs` are the objects (old, new) of binary files, `unprinted` the raw paths of those
    whose content git did not print.
    """

    files: tuple[FileChange, ...]
    text: bytes
    size: int
    additions: int
    deletions: int
    truncated: bool
    lossy: bool
    blobs: dict[int, tuple[str, str]] = field(default_factory=dict)
    unprinted: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Section:
    """The part of a patch that one `diff --git` line opens; `kept` is without that line's words."""

    header: bytes = b""
    kept: bytes = b""
    size: int = 0
    additions: int = 0
    deletions: int = 0
    has_hunks: bool = False


@dataclass(slots=True)
class PatchReader:
    """Reads one patch block by block: `feed` any number of times, then `finish` once."""

    limits: PatchLimits = field(default_factory=PatchLimits)
    omitted: Container[str] = ()
    """Objects that a partial clone left out: files that show them are `omitted`."""
    _rest: bytes = b"\n"
    _section: _Section | None = None
    _files: list[FileChange] = field(default_factory=list)
    _blobs: dict[int, tuple[str, str]] = field(default_factory=dict)
    _unprinted: dict[int, bytes] = field(default_factory=dict)
    _text: list[bytes] = field(default_factory=list)
    _kept_bytes: int = 0
    _size: int = 0
    _additions: int = 0
    _deletions: int = 0
    _truncated: bool = False
    _lossy: bool = False

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the patch, cut anywhere."""
        data = self._rest + block
        # What is read begins with the newline before its first line, so the last one stays.
        end = data.rfind(b"\n")
        if end < 0 or len(data) - end > LINE_BYTES:
            end = len(data)
        self._rest = data[end:]
        first, *others = data[:end].split(b"\n" + OPENS)
        if self._section is not None:
            self._extend(self._section, first)
        for piece in others:
            self._close_section()
            self._section = _Section()
            self._extend(self._section, piece)

    def finish(self) -> Patch:
        """Close the last file and return the whole patch."""
        if self._rest.strip(b"\n"):
            self.feed(b"\n")
        self._close_section()
        return Patch(
            files=tuple(self._files),
            text=b"".join(self._text),
            size=self._size,
            additions=self._additions,
            deletions=self._deletions,
            truncated=self._truncated,
            lossy=self._lossy,
            blobs=self._blobs,
            unprinted=self._unprinted,
        )

    def _extend(self, section: _Section, piece: bytes) -> None:
        at = 0
        if not section.has_hunks:
            at = piece.find(b"\n@@ ")
            section.has_hunks = at >= 0
            section.header += piece[:at] if at >= 0 else piece
        if section.has_hunks:
            section.additions += piece.count(b"\n+", at)
            section.deletions += piece.count(b"\n-", at)
        section.size += len(piece)
        if len(section.kept) <= self.limits.file_bytes:
            section.kept = section.kept + piece if section.kept else piece

    def _close_section(self) -> None:
        section = self._section
        self._section = None
        if section is None:
            return
        section.size += len(OPENS) + len(b"\n")
        self._keep(section)
        self._size += section.size
        header = read_header(section.header)
        change = self._change(section, header)
        if self._files and _is_type_change(self._files[-1], change):
            before, self._files[-1] = self._files[-1], _type_change(self._files[-1], change)
            self._count(before, -1)
            self._count(self._files[-1], 1)
            return
        self._count(change, 1)
        if len(self._files) == self.limits.files:
            self._truncated = True
            return
        if header.is_binary:
            self._blobs[len(self._files)] = _names(header.blobs)
        elif not section.has_hunks and change.status not in ("added", "deleted"):
            self._unprinted[len(self._files)] = header.path
        self._files.append(change)

    def _count(self, change: FileChange, sign: int) -> None:
        self._additions += sign * (change.additions or 0)
        self._deletions += sign * (change.deletions or 0)

    def _keep(self, section: _Section) -> None:
        """Keep the text of a file, whole or up to the last line that its limits leave room for."""
        room = min(self.limits.file_bytes, self.limits.commit_bytes - self._kept_bytes)
        text = section.kept
        if section.size > room:
            self._truncated = True
            text = text[: text.rfind(b"\n", 0, max(0, room - len(OPENS))) + 1].removesuffix(b"\n")
            # A file cut inside its header, or after it, says nothing that `files` doesn't.
            if len(text) <= len(section.header):
                return
        self._text += (OPENS, text, b"\n")
        self._kept_bytes += len(OPENS) + len(text) + len(b"\n")

    def _change(self, section: _Section, header: Header) -> FileChange:
        kind = _kind(header, has_hunks=section.has_hunks)
        if kind == "binary" and any(blob in self.omitted for blob in _names(header.blobs)):
            kind = "omitted"
        countable = kind in ("text", "mode", "symlink")
        moved = header.status in ("renamed", "copied")
        return FileChange(
            path=self._path(header.path),
            old_path=self._path(header.old_path) if moved else None,
            status=header.status,
            kind=kind,
            additions=section.additions if countable else None,
            deletions=section.deletions if countable else None,
            diff_bytes=section.size,
        )

    def _path(self, raw: bytes) -> str:
        if len(raw) > PATH_BYTES:
            raw, self._truncated = raw[:PATH_BYTES], True
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self._lossy = True
            return raw.decode("utf-8", "replace")


def _names(blobs: tuple[bytes, bytes]) -> tuple[str, str]:
    return blobs[0].decode("ascii"), blobs[1].decode("ascii")


def _kind(header: Header, *, has_hunks: bool) -> str:
    if header.is_binary:
        return "binary"
    if header.mode in _KIND_OF_MODE:
        return _KIND_OF_MODE[header.mode]
    return "mode" if header.status == "modified" and not has_hunks else "text"


def _is_type_change(before: FileChange, after: FileChange) -> bool:
    return before.path == after.path and (before.status, after.status) == ("deleted", "added")


def _type_change(before: FileChange, after: FileChange) -> FileChange:
    """Join the deletion and the addition that git prints when a path changes its type."""
    countable = None not in (before.deletions, after.additions)
    return FileChange(
        path=after.path,
        old_path=None,
        status="type",
        kind=after.kind,
        additions=after.additions if countable else None,
        deletions=before.deletions if countable else None,
        diff_bytes=before.diff_bytes + after.diff_bytes,
    )
