"""An edit as text: blocks to find and replace, which are written, read and applied here.

    path/of/a/file.py
    <<<<<<< SEARCH
    lines that stand once in the file
    =======
    lines in their place
    >>>>>>> REPLACE

A text is its pieces between newlines, and a block replaces whole pieces: one that ends a file
without a newline shows no empty piece there, one that adds the newline shows it as an empty line.
Blocks apply in order, each to what those before it left. An empty search writes a file that is not
there or is empty; its lines all end in a newline unless the last marker says otherwise. The line
`<<<<<<< DELETE` or `<<<<<<< RENAME new/path` under a path deletes or renames. Markers are longer
than seven signs where the content begins a line with seven of them. Other text is passed over.

Limits: modes are not told. Paths that could leave the folder, or could not be told from prose, are
refused; that a folder stands where a file is written is for the caller to find out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["apply_edit", "deletion", "is_contained", "renaming", "replacement", "times", "whole"]

MARKER: Final = 7
MAX_PATH: Final = 4096
OPEN_END: Final = " (no newline at end)"
_SIGNS: Final = re.compile(r"^([<=>])\1*", re.MULTILINE)
_OPENS: Final = re.compile(r"(<{7,}) (?:(SEARCH|DELETE)|RENAME (.+))")
_STRAY: Final = re.compile(r"<{7,} ?|>{7,} ?")
_ODD: Final = re.compile(r"[\x00-\x1f\x7f\\]|^\s|\s$|^<{7}|^>{7}|^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class _Block:
    number: int
    path: str
    verb: str
    """`SEARCH`, `DELETE` or `RENAME`."""
    moved_to: str = ""
    search: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    open_end: bool = False

    def error(self, problem: str) -> ValueError:
        return ValueError(f"{self.path}: block {self.number}: {problem}")


def apply_edit(text: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return files as an edit leaves them; `files` stays as it is.

    Raises:
        ValueError: with path and number of the block that cannot be applied: its search is missing
            or stands there more than once, its path leaves the folder, a marker is missing.
    """
    edited = dict(files)
    blocks = list(_parsed(text))
    if not blocks:
        raise ValueError("no block with a search")
    for block in blocks:
        _apply(block, edited)
    return edited


def replacement(path: str, search: Sequence[str], replace: Sequence[str]) -> str:
    """Return the block that puts pieces in the place of others."""
    return _block(path, search, replace, "")


def whole(path: str, text: str) -> str:
    """Return the block that writes a file that is not there, or is empty."""
    pieces = text.split("\n")
    is_open = bool(pieces[-1])
    return _block(path, [], pieces if is_open else pieces[:-1], OPEN_END if is_open else "")


def deletion(path: str) -> str:
    """Return the block that deletes a file."""
    return f"{path}\n{'<' * MARKER} DELETE\n"


def renaming(old_path: str, path: str) -> str:
    """Return the block that renames a file."""
    return f"{old_path}\n{'<' * MARKER} RENAME {path}\n"


def is_contained(path: str) -> bool:
    """Tell whether a path stays in its folder and can be read from a line of its own."""
    parts = path.split("/")
    return (
        len(path) <= MAX_PATH
        and not _ODD.search(path)
        and not any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    )


def times(joined: str, pieces: Sequence[str]) -> int:
    """Return how often pieces stand in a text (0, 1, or 2 for more), overlaps counted."""
    wanted = "\n".join(["", *pieces, ""])
    at = joined.find(wanted)
    if at < 0:
        return 0
    return 1 if joined.find(wanted, at + 1) < 0 else 2


def _block(path: str, search: Sequence[str], replace: Sequence[str], note: str) -> str:
    runs = _SIGNS.finditer("\n".join([*search, *replace]))
    longest = max((len(run[0]) for run in runs), default=0)
    width = max(MARKER, longest + 1)
    lines = [
        path,
        f"{'<' * width} SEARCH",
        *search,
        "=" * width,
        *replace,
        f"{'>' * width} REPLACE{note}",
        "",
    ]
    return "\n".join(lines)


def _parsed(text: str) -> Iterator[_Block]:
    """Yield the blocks of an edit, in order."""
    lines = text.split("\n")
    number = at = 0
    while at < len(lines):
        opens = _OPENS.fullmatch(lines[at])
        if opens is None:
            if _STRAY.match(lines[at]):
                raise ValueError(f"block {number + 1}: a marker out of place: {lines[at][:80]!r}")
            at += 1
            continue
        number += 1
        path = lines[at - 1] if at else ""
        if not is_contained(path) or (opens[3] and not is_contained(opens[3])):
            raise ValueError(f"{path[:80]!r}: block {number}: not a path inside the folder")
        if opens[2] != "SEARCH":
            yield _Block(number, path, opens[2] or "RENAME", moved_to=opens[3] or "")
            at += 1
        else:
            block, at = _search(lines, at, _Block(number, path, "SEARCH"))
            yield block


def _search(lines: Sequence[str], at: int, begun: _Block) -> tuple[_Block, int]:
    """Return the block whose first marker is at `at`, and where it ends."""
    width = len(lines[at]) - len(" SEARCH")
    ends = (f"{'>' * width} REPLACE", f"{'>' * width} REPLACE{OPEN_END}")
    middle = _index(lines, at + 1, ("=" * width,))
    end = _index(lines, middle + 1, ends) if middle >= 0 else -1
    if end < 0:
        raise begun.error("its markers are not complete")
    block = _Block(
        number=begun.number,
        path=begun.path,
        verb=begun.verb,
        search=tuple(lines[at + 1 : middle]),
        replace=tuple(lines[middle + 1 : end]),
        open_end=lines[end] == ends[1],
    )
    return block, end + 1


def _index(lines: Sequence[str], start: int, wanted: tuple[str, ...]) -> int:
    return next((at for at in range(start, len(lines)) if lines[at] in wanted), -1)


def _apply(block: _Block, files: dict[str, str]) -> None:
    """Change `files` as one block says."""
    if block.verb == "SEARCH" and not block.search:
        if files.get(block.path):
            raise block.error("the file is there, and the search is empty")
        whole = "\n".join(block.replace)
        files[block.path] = whole if block.open_end or not block.replace else whole + "\n"
        return
    if block.path not in files:
        raise block.error("there is no such file")
    if block.verb == "DELETE":
        del files[block.path]
    elif block.verb == "RENAME":
        if block.moved_to in files:
            raise block.error(f"{block.moved_to} is there already")
        files[block.moved_to] = files.pop(block.path)
    else:
        files[block.path] = _replaced(block, files[block.path])


def _replaced(block: _Block, text: str) -> str:
    joined = f"\n{text}\n"
    found = times(joined, block.search)
    if found != 1:
        how = "more than once" if found else "nowhere"
        raise block.error(f"its search stands in the file {how}")
    before, _, after = joined.partition("\n".join(["", *block.search, ""]))
    return "\n".join([before, *block.replace, after])[1:-1]
