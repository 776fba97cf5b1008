"""The documents that a change needs: files it touches, and files that define the names it uses.

Names count on the lines that a diff removes and adds, and in the headers of the functions and
classes around them. They are followed through imports (see `scope`), in the tree before the change.

Limits: Python, JavaScript and Go; of other languages only touched files are gold. A definition that
the change itself adds is in no file of the tree. Files whose hunks do not fit them, as in a diff
that was cut, are read before the change alone.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from awareness_pipeline.patch.hunks import FilePatch, patched, read_patch
from awareness_pipeline.symbols.index import SymbolIndex
from awareness_pipeline.symbols.names import Use, uses
from awareness_pipeline.symbols.scope import Scope
from awareness_pipeline.symbols.syntax import captured, parse
from awareness_pipeline.symbols.tree import Tree

__all__ = ["MAX_GOLD", "Gold", "gold_files", "imports_of"]

MAX_GOLD: Final = 32
"""Most gold files of one change, touched ones first."""
_LANGUAGE_OF: Final = {
    ".cjs": "JavaScript",
    ".go": "Go",
    ".js": "JavaScript",
    ".jsx": "JavaScript",
    ".mjs": "JavaScript",
    ".py": "Python",
}
_HEADED: Final = {
    "Go": "[(function_declaration) (method_declaration)] @it",
    "JavaScript": "[(function_declaration) (generator_function_declaration) (function_expression)"
    " (arrow_function) (method_definition) (class_declaration)] @it",
    "Python": "[(function_definition) (class_definition)] @it",
}


@dataclass(frozen=True, slots=True)
class Gold:
    """Gold files of a change, all of them in the tree before it."""

    paths: tuple[str, ...]
    """Touched files by path, then those that define names, most used first."""
    touched: tuple[str, ...]
    hops: int
    """Gold files beyond those touched."""


def gold_files(
    files: Iterable[tuple[str, str, str]], diff: str, *, index: SymbolIndex | None = None
) -> Gold:
    """Return the gold files of a diff in a tree, given as (path, language, text), before it."""
    tree = Tree(files, index or SymbolIndex())
    changes = read_patch(diff)
    touched = sorted({one.old_path for one in changes if one.status != "added"} & tree.paths)
    definers: Counter[str] = Counter()
    for change in changes:
        definers.update(_definers(tree, change))
    ranked = sorted(definers.keys() - set(touched), key=lambda path: (-definers[path], path))
    kept = touched[:MAX_GOLD]
    paths = (kept + ranked)[:MAX_GOLD]
    return Gold(tuple(paths), tuple(kept), len(paths) - len(kept))


def imports_of(
    files: Iterable[tuple[str, str, str]],
    paths: Collection[str],
    *,
    index: SymbolIndex | None = None,
) -> set[str]:
    """Return the files of a tree that the given ones import or take names from, without these."""
    tree = Tree(files, index or SymbolIndex())
    found: set[str] = set()
    for path in paths:
        if path not in tree.files:
            continue
        language, text = tree.files[path]
        scope = Scope(tree, path, language, text)
        found.update(scope.modules() if language != "Go" else ())
        names = {(use.name, use.qualifier): use for use in uses(text, language)}
        found.update(scope.definer(use) for use in names.values())
    return found - set(paths) - {""}


def _definers(tree: Tree, change: FilePatch) -> Iterator[str]:
    """Yield the file that defines each name used where a file changes, before and after."""
    before = ""
    if change.status != "added":
        if change.old_path not in tree.files:
            return
        language, before = tree.files[change.old_path]
        yield from _used(tree, change.old_path, language, before, change.removed)
    language = _LANGUAGE_OF.get(PurePosixPath(change.path).suffix, "")
    if language and change.added and not change.cut:
        try:
            after = patched(change, before)
        except ValueError:
            return
        yield from _used(tree, change.path, language, after, change.added)


def _used(tree: Tree, path: str, language: str, text: str, lines: frozenset[int]) -> Iterator[str]:
    """Yield the definers of the names on lines of a text, and in the headers around them."""
    if not lines:
        return
    asked = list(_near(text, language, lines))
    scope = Scope(tree, path, language, text)
    qualifiers = {use.qualifier.partition(".")[0] for use in asked if use.qualifier}
    for use in asked:
        if found := scope.definer(use, qualifiers):
            yield found


def _near(text: str, language: str, lines: frozenset[int]) -> Iterator[Use]:
    """Yield the uses on lines, numbered from 1, and in the headers of what is around them."""
    starts = [0]
    for line in text.encode("utf-8").split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    headers = _merged(_headers(text, language, sorted(lines)))
    opens = [start for start, _ in headers]
    for use in uses(text, language):
        at = bisect_right(opens, use.start_byte) - 1
        in_header = at >= 0 and use.start_byte < headers[at][1]
        if in_header or bisect_right(starts, use.start_byte) in lines:
            yield use


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _headers(text: str, language: str, lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the bytes from the start of a function or class to its body, if it holds a line."""
    for node in captured(parse(text, language), language, _HEADED[language]):
        body = node.child_by_field_name("body")
        first = bisect_right(lines, node.start_point[0])
        if body is not None and first < len(lines) and lines[first] <= node.end_point[0] + 1:
            yield node.start_byte, body.start_byte
