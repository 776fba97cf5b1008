"""Syntax trees and the rows read from them: what a file defines, uses and imports.

Byte offsets count UTF-8 bytes of the text. Trees are never walked by recursion, so deeply nested
input costs time but no stack. Broken code parses to a tree with error nodes: what can be recognised
in it is reported, the rest is not.
"""

from dataclasses import dataclass
from functools import cache
from types import ModuleType

import tree_sitter_go
import tree_sitter_javascript
import tree_sitter_python
from tree_sitter import Language, Node, Parser, Query, QueryCursor

__all__ = ["LANGUAGES", "Definition", "Import", "Use", "captured", "define", "parse", "source_of"]

_GRAMMARS: dict[str, ModuleType] = {
    "Go": tree_sitter_go,
    "JavaScript": tree_sitter_javascript,
    "Python": tree_sitter_python,
}
MAX_ERROR = 5_000
"""Parts, side by side, of code that could not be understood."""
MAX_DEPTH = 4_000
DEPTH_STEP = 2_000
"""Bytes; so short a stretch of code is not deep."""
LANGUAGES = tuple(_GRAMMARS)
"""Languages that are understood, by linguist's names."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A name that a file gives a meaning to, at its top level (methods: one level below)."""

    name: str
    kind: str
    """`constant` (any variable), `function`, `class` (any type), `method`."""
    literal: str | None
    """Source text of a constant's value where that is a plain number or string."""
    start_byte: int
    end_byte: int
    line: int
    """Counted from 1."""


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a name stands."""

    name: str
    start_byte: int
    qualifier: str = ""
    """`mod` in `mod.name`."""
    source: str = ""
    """The module, as written, that an import takes the name from."""


@dataclass(frozen=True, slots=True)
class Import:
    """A name that a file takes from another, or another file that it takes as a whole."""

    local: str
    """The name it has in the file, with dots after a plain `import a.b` of Python; `*`: every
    name; empty: none."""
    module: str
    """As written."""
    name: str = ""
    """The name there; empty for the module itself, `default` for what JavaScript calls so."""


@cache
def _language(name: str) -> Language:
    return Language(_GRAMMARS[name].language())


@cache
def _query(language: str, pattern: str) -> Query:
    return Query(_language(language), pattern)


def parse(text: str, language: str) -> Node:
    """Return the root node of a text. Raises KeyError for a language not in `LANGUAGES`."""
    return Parser(_language(language)).parse(text.encode("utf-8")).root_node


def captured(root: Node, language: str, pattern: str) -> list[Node]:
    """Return the nodes that a query captures under any name, in the order of the text.

    None of a tree with an error wider than `MAX_ERROR`, or deeper than `MAX_DEPTH`: a query looks
    at all beside and above a node, so a hundred thousand brackets or dots would take minutes.
    """
    if _is_broken(root) or _is_deep(root):
        return []
    found = QueryCursor(_query(language, pattern)).captures(root)
    nodes = [node for group in found.values() for node in group]
    return sorted(nodes, key=lambda node: (node.start_byte, node.end_byte))


def _is_broken(root: Node) -> bool:
    """Tell whether an error of a tree is wider than `MAX_ERROR`."""
    waiting = [root] if root.has_error else []
    while waiting:
        node = waiting.pop()
        if node.is_error and node.child_count > MAX_ERROR:
            return True
        waiting += [child for child in node.children if child.has_error]
    return False


def _is_deep(root: Node) -> bool:
    """Tell whether a tree is too deep, by going down to one byte in `DEPTH_STEP`."""
    for byte in range(root.start_byte, root.end_byte, DEPTH_STEP):
        cursor = root.walk()
        while cursor.depth <= MAX_DEPTH and cursor.goto_first_child_for_byte(byte) is not None:
            pass
        if cursor.depth > MAX_DEPTH:
            return True
    return False


def source_of(node: Node) -> str:
    """Return the text of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def define(name: Node, kind: str, whole: Node, literal: str | None = None) -> Definition:
    """Return the definition of `name` that spans `whole`."""
    return Definition(
        name=source_of(name),
        kind=kind,
        literal=literal,
        start_byte=whole.start_byte,
        end_byte=whole.end_byte,
        line=name.start_point[0] + 1,
    )
