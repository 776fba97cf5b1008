"""What the lines of a patch before a file's first hunk say: paths, status, modes, blobs.

    a/PATH b/PATH                    after the words `diff --git `
    old mode / new mode              or: new file mode, deleted file mode
    similarity index N%              with rename from, rename to (or copy)
    index OLD..NEW [MODE]            full object names; then either
    Binary files A and B differ      or: --- A, +++ B

Limits: needs the prefixes `a/` and `b/` and `--full-index`; no combined diffs.
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Header", "read_header", "unquote"]

_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPES: Final = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_STATUS: Final = {
    b"new file mode": "added",
    b"deleted file mode": "deleted",
    b"rename from": "renamed",
    b"copy from": "copied",
}


@dataclass(slots=True)
class Header:
    """One file of a patch, without its hunks. Paths are unquoted bytes."""

    path: bytes = b""
    old_path: bytes = b""
    status: str = "modified"
    mode: bytes = b""
    """The mode it has, or had when deleted; empty for a pure rename."""
    blobs: tuple[bytes, bytes] = (b"", b"")
    """Object names before and after, in hex; zeros for no object, empty where none are told."""
    is_binary: bool = False


def read_header(text: bytes) -> Header:
    """Read the lines from `a/PATH b/PATH` on, up to the first hunk."""
    names, _, rest = text.partition(b"\n")
    header = Header()
    while rest:
        line, _, rest = rest.partition(b"\n")
        if line.startswith(b"index "):
            old, _, new = line[6:].partition(b"..")
            new, _, mode = new.partition(b" ")
            header.blobs = old, new
            header.mode = mode or header.mode
            header.is_binary = rest.startswith(b"Binary files ")
            break
        _read_extended(header, line)
    if not header.path:
        # Both halves are equally long unless git also prints where a file came from.
        header.path = header.old_path = unquote(names[len(names) // 2 + 1 :])[len(b"b/") :]
    return header


def _read_extended(header: Header, line: bytes) -> None:
    """Take in one of git's extended header lines: modes, and where a file came from."""
    first, _, rest = line.partition(b" ")
    word, _, value = rest.partition(b" ")
    if word == b"file":  # new file mode, deleted file mode
        word, _, value = value.partition(b" ")
        first += b" file"
    header.status = _STATUS.get(first + b" " + word, header.status)
    if word == b"mode" and first != b"old":
        header.mode = value
    elif word == b"from" and first in (b"rename", b"copy"):
        header.old_path = unquote(value)
    elif word == b"to" and first in (b"rename", b"copy"):
        header.path = unquote(value)


def unquote(path: bytes) -> bytes:
    """Undo git's C-style quoting of a path; one without quotes comes back as it is."""
    if not (path.startswith(b'"') and path.endswith(b'"') and len(path) > 1):
        return path

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(plain, path[1:-1])
