"""A commit's diff as an edit: blocks to search and replace (see `blocks`), or a unified diff.

Limits: modes are not told, so of a change of mode with content only the content remains. What is
not UTF-8 reads as U+FFFD, so a diff or file that holds that character is refused. A diff that was
cut between two files cannot be told from a whole one: ask `refusal` first.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from awareness_pipeline.patch.hunks import FilePatch, Hunk, patched, read_patch
from awareness_pipeline.records import Commit
from awareness_pipeline.teacher.blocks import (
    apply_edit,
    deletion,
    is_contained,
    renaming,
    replacement,
    times,
    whole,
)

__all__ = ["Inexpressible", "apply_edit", "refusal", "search_replace", "unified"]


REFUSED_KINDS: Final = ("binary", "omitted", "submodule", "symlink", "mode")
_KIND_OF_MODE: Final = {"120000": "symlink", "160000": "submodule"}


_DROPPED: Final = re.compile(r"(?:dis)?similarity index |index ")


class Inexpressible(ValueError):
    """A diff that has no form as a text edit; `reason` is one word."""

    def __init__(self, reason: str, path: str = "") -> None:
        """Take the reason, and the path it is about."""
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason


def refusal(commit: Commit) -> str:
    """Return why a commit cannot be a text edit, as far as its row tells; empty if it may.

    `truncated`, `lossy`, `binary`, `omitted`, `submodule`, `symlink`, `mode`, `type`, `copied`, or
    `empty`: it changes nothing.
    """
    if commit.truncated:
        return "truncated"
    if commit.encoding_lossy:
        return "lossy"
    for change in commit.files:
        if change.kind in REFUSED_KINDS:
            return change.kind
        if change.status in ("type", "copied"):
            return change.status
    return "" if commit.files and commit.diff else "empty"


def unified(diff: str) -> str:
    """Return a diff without the lines that name objects; `git apply` takes it.

    Raises:
        Inexpressible: with the reasons of `refusal`, or `odd_path`.
    """
    for file in _expressible(diff):
        _check(file)
    # Lines of hunks begin with a sign.
    return "\n".join(line for line in diff.split("\n") if not _DROPPED.match(line))


def search_replace(diff: str, before: Mapping[str, str]) -> str:
    """Return a diff as blocks, given the texts before of the files it touches.

    `apply_edit` of the result makes of `before` what the diff makes of it, byte for byte.

    Raises:
        Inexpressible: with the reasons of `refusal`, or `odd_path`; `absent`: a file is not in
            `before`; `does_not_apply`: it holds something else.
    """
    blocks = [block for file in _expressible(diff) for block in _blocks(file, before)]
    return "\n".join(blocks)


def _expressible(diff: str) -> list[FilePatch]:
    files = read_patch(diff)
    if not files:
        raise Inexpressible("empty")
    if "\ufffd" in diff:
        raise Inexpressible("lossy")
    return files


def _check(file: FilePatch) -> None:
    """Raise Inexpressible for a file of a patch that has no form."""
    changes = bool(file.hunks) or file.status != "modified"
    reasons = {
        "binary": file.is_binary,
        _KIND_OF_MODE.get(file.mode, ""): file.mode in _KIND_OF_MODE,
        "copied": file.status == "copied",
        "truncated": file.cut,
        "mode": not changes,
        "odd_path": not (is_contained(file.path) and is_contained(file.old_path)),
    }
    for reason, holds in reasons.items():
        if holds:
            raise Inexpressible(reason, file.path)


def _blocks(file: FilePatch, before: Mapping[str, str]) -> Iterator[str]:
    _check(file)
    was_empty = file.status == "modified" and all(not hunk.before for hunk in file.hunks)
    text = before.get(file.old_path, "" if file.status == "added" or was_empty else None)
    if text is None:
        raise Inexpressible("absent", file.old_path)
    if "\ufffd" in text:
        raise Inexpressible("lossy", file.old_path)
    try:
        after = patched(file, text)
    except ValueError:
        raise Inexpressible("does_not_apply", file.old_path) from None
    if file.status == "deleted":
        yield deletion(file.path)
        return
    if file.status == "renamed":
        yield renaming(file.old_path, file.path)
    if not text:
        yield whole(file.path, after)
    else:
        yield from _replacements(file, text)


def _replacements(file: FilePatch, text: str) -> Iterator[str]:
    """Yield a block for each hunk, with as much context as makes its search unique."""
    pieces, shift = text.split("\n"), 0
    for hunk in file.hunks:
        old, new = _pieces(hunk)
        start = hunk.start + shift
        left, right = _room(pieces, start, start + len(old))
        yield replacement(
            file.path,
            pieces[start - left : start + len(old) + right],
            [*pieces[start - left : start], *new, *pieces[start + len(old) :][:right]],
        )
        pieces[start : start + len(old)] = new
        shift += len(new) - len(old)


def _pieces(hunk: Hunk) -> tuple[list[str], list[str]]:
    """Return the pieces that a hunk replaces, and those in their place.

    Where a line ends the file without a newline, both sides go up to the file's last piece.
    """
    sides = ["".join(hunk.before), "".join(hunk.after)]
    if any(side and not side.endswith("\n") for side in sides):
        return sides[0].split("\n"), sides[1].split("\n")
    old, new = (side.split("\n")[:-1] for side in sides)
    return old, new


def _room(pieces: Sequence[str], start: int, end: int) -> tuple[int, int]:
    """Return how many pieces to show before and after those in question to make them unique."""
    joined = "\n".join(["", *pieces, ""])
    extra = 0
    while True:
        first, last = max(0, start - extra), min(len(pieces), end + extra)
        if first < last and times(joined, pieces[first:last]) == 1:
            return start - first, last - end
        extra = 2 * extra + 1
