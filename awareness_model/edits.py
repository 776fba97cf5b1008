"""An edit as text, applied to one file: blocks to search and replace.

    path/of/the/file.py
    <<<<<<< SEARCH
    whole lines that stand once in the file
    =======
    lines in their place
    >>>>>>> REPLACE

All blocks apply, in order, or nothing changes. A block names the file that was asked about; its
search is not empty and stands exactly once, character by character. Other text is passed over.
"""

import difflib
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from awareness_model.config import UserError
from awareness_model.memory import folder
from awareness_model.schema import content_hash

OPENS, MIDDLE, CLOSES = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"
_BLOCK = re.compile(
    rf"^(?P<path>[^\n]*)\n{OPENS}\n(?P<search>(?:(?!{MIDDLE}$)[^\n]*\n)*){MIDDLE}\n"
    rf"(?P<replace>(?:(?!{CLOSES}$)[^\n]*\n)*){CLOSES}[ \t]*$",
    re.MULTILINE,
)


class Refused(UserError):
    """An edit that cannot be applied; nothing was changed."""


def edited(path: str, text: str, edit: str) -> str:
    """Return a file's text as an edit leaves it.

    Raises:
        Refused: no whole block, another file, or a search that does not stand exactly once.
    """
    blocks = list(_BLOCK.finditer(edit))
    if len(blocks) != len(re.findall(rf"^{OPENS}", edit, re.MULTILINE)) or not blocks:
        raise Refused(f"{path}: the model wrote no whole search/replace block: nothing was changed")
    after = text
    for number, block in enumerate(blocks, start=1):
        if block["path"].strip().strip("`") != path:
            raise Refused(
                f"{path}: block {number} is for {block['path'][:80]!r}: nothing was changed"
            )
        after = _replaced(path, number, after, block["search"], block["replace"])
    if after == text:
        raise Refused(f"{path}: the edit changes nothing")
    return after


def block(path: str, lines: Sequence[str], number: int, new: str) -> str:
    """Return the block that replaces one line of a file: with as many lines before it as make its
    search stand once."""
    first = number
    while first and not _stands_once(lines, lines[first : number + 1]):
        first -= 1
    before = lines[first:number]
    search, replace = ("\n".join([*before, one]) for one in (lines[number], new))
    return f"{path}\n{OPENS}\n{search}\n{MIDDLE}\n{replace}\n{CLOSES}\n"


def _stands_once(lines: Sequence[str], run: Sequence[str]) -> bool:
    found = sum(lines[n : n + len(run)] == run for n in range(len(lines) - len(run) + 1))
    return found == 1 and any(line.strip() for line in run)


def _replaced(path: str, number: int, text: str, search: str, replace: str) -> str:
    """Replace whole lines; a file without a last newline is read as if it had one."""
    open_end = not text.endswith("\n")
    lines = f"\n{text}\n" if open_end else f"\n{text}"
    wanted = f"\n{search}"
    found = lines.count(wanted) if search.strip() else 0
    if found and lines.find(wanted, lines.find(wanted) + 1) >= 0:
        found = max(found, 2)  # overlapping
    if found != 1:
        how = "is empty" if not search.strip() else f"stands in the file {found} times, not once"
        raise Refused(f"{path}: the search of block {number} {how}: nothing was changed")
    after = lines.replace(wanted, f"\n{replace}", 1)[1:]
    return after.removesuffix("\n") if open_end else after


def difference(path: str, before: str, after: str) -> str:
    """Return a unified diff."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    made = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline\n" for line in made)


def replace_file(root: Path, path: str, before: str, after: str) -> None:
    """Write a file anew, aside and renamed whole, its mode kept.

    Raises:
        Refused: it is another one than was read, or no plain file inside the root.
    """
    try:
        now = folder.read(root, folder.relative(root, path))
    except folder.LeftOut as reason:
        raise Refused(f"{path}: {reason}: nothing was changed") from None
    if now is None or now.content_hash != content_hash(before.encode()):
        raise Refused(f"{path} changed while the model wrote: nothing was changed, ask again")
    place = root / path
    aside = place.with_name(f".{place.name}.{os.getpid()}.aside")
    try:
        with aside.open("wb") as file:
            file.write(after.encode())
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(stat.S_IMODE(place.stat().st_mode))
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
