"""How good a place every line's beginning is for a cut: a rank, the smaller the better.

Code is parsed. A line that begins with a node of the syntax tree ranks by the node's depth, so
that functions come before their statements; among siblings a blank line before counts, which keeps
groups together. Comments and decorators right above a node take its rank over: they stay with it.
In Markdown headings rank by their level, in diffs files come before hunks. Other lines are
`PARAGRAPH` (unindented after a blank line), `BLOCK` (after a blank line) or `LINE`.

Linear in the text: nodes inside one line are not looked at, depth is capped, and texts over
`PARSED_CHARACTERS` are not parsed. Broken syntax ranks as the parser recovers from it: cuts get
worse, never wrong.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from awareness_model.chunk.language import parser_of

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

PARSED_CHARACTERS = 1 << 20
DEEPEST = 20
"""Nodes below this depth rank alike: bounds the ranks, and with them the work of packing."""

PARAGRAPH, BLOCK, LINE = 50, 51, 52

WRAPPER = re.compile(r"(block|body|_list|statements?_block|body_statement|statements)$")
"""Nodes that only hold others, such as Python's `block`: their first child speaks for itself."""
GLUE = re.compile(r"comment|attribute_item|^decorator$|^annotation$|^attribute$|^pragma$")
"""Nodes that belong to what follows on the next line."""
LEAF = re.compile(r"string|comment|heredoc|template")
"""Nodes with text in them, whose lines are not code."""


def ranks_of(lines: Sequence[str], language: str) -> list[int]:
    """Return a rank for each line."""
    ranks = _plain(lines)
    if language == "markdown":
        return _headings(lines, ranks)
    if language == "diff":
        return _hunks(lines, ranks)
    parser = parser_of(language) if sum(map(len, lines)) <= PARSED_CHARACTERS else None
    if parser is None:
        return ranks
    # rows are lines only where a lone carriage return ends one for the parser as well
    rows = [re.sub(r"[\r\n]+$", "\n", line) for line in lines]
    return _syntax(rows, parser.parse("".join(rows).encode("utf-8", "replace")), ranks)


def _plain(lines: Sequence[str]) -> list[int]:
    ranks, after_blank = [], False
    for line in lines:
        blank = not line.strip()
        rank = PARAGRAPH if line[:1].strip() else BLOCK
        ranks.append(rank if after_blank and not blank else LINE)
        after_blank = blank
    return ranks


def _headings(lines: Sequence[str], ranks: list[int]) -> list[int]:
    """ATX and setext headings of CommonMark 0.31; the lines of fenced code stay together."""
    fence = ""
    for n, line in enumerate(lines):
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            ranks[n] = LINE
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif mark:
            fence = mark[1]
        elif found := re.match(r"(#{1,6})(\s|$)", line):
            ranks[n] = len(found[1])
        elif n and re.match(r"(=+|-{2,})\s*$", line) and _one_line(lines[max(n - 2, 0) : n]):
            ranks[n - 1] = 1 if line[0] == "=" else 2
    return ranks


def _one_line(before: Sequence[str]) -> bool:
    """Whether the last of these lines is a paragraph of one line."""
    return bool(before[-1].strip()) and not "".join(before[:-1]).strip()


def _hunks(lines: Sequence[str], ranks: list[int]) -> list[int]:
    """A file begins at `diff --git`, or at `---` before `+++` where no such line was."""
    git = any(line.startswith("diff --git ") for line in lines)
    for n, (line, following) in enumerate(pairwise([*lines, ""])):
        bare = not git and line.startswith("--- ") and following.startswith("+++ ")
        if line.startswith("diff --git ") or bare:
            ranks[n] = 1
        elif line.startswith("@@ "):
            ranks[n] = 2
    return ranks


def _syntax(rows: Sequence[str], tree: "Tree", ranks: list[int]) -> list[int]:
    """Rank the rows that begin with a node; then let comments take over what is below them."""
    found: dict[int, int] = {}
    glued: dict[int, int] = {}
    cursor, depth = tree.walk(), 0
    descend = cursor.goto_first_child()
    while descend:
        depth += 1
        node = cursor.node
        if node is not None and node.is_named:
            _note(node, depth, rows, found, glued)
        if not (node and _deep(node) and cursor.goto_first_child()):
            depth -= 1
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent() or depth <= 0:
                    return _taken_over(rows, found, glued, ranks)
                depth -= 1
    return ranks


def _deep(node: "Node") -> bool:
    """Whether lines begin inside a node, as code."""
    return node.start_point.row != node.end_point.row and not LEAF.search(node.type)


def _note(
    node: "Node", depth: int, rows: Sequence[str], found: dict[int, int], glued: dict[int, int]
) -> None:
    row, column = node.start_point
    if row in found or node.is_error or WRAPPER.search(node.type):
        return
    line = rows[row]
    if column > len(line.encode("utf-8", "replace")) - len(
        line.lstrip().encode("utf-8", "replace")
    ):
        return
    found[row] = 2 * min(depth, DEEPEST)
    if GLUE.search(node.type):
        end, column = node.end_point
        glued[row] = end if column else end - 1


def _taken_over(
    rows: Sequence[str], found: dict[int, int], glued: dict[int, int], ranks: list[int]
) -> list[int]:
    """Write the ranks of nodes, from the last row to the first: the top of a run of comments takes
    the rank of what it stands above, and the rows below it lose theirs."""
    for row in sorted(glued, reverse=True):
        below = glued[row] + 1
        if below in found:
            found[row] = min(found[row], found.pop(below))
            ranks[below] = LINE
    for row, rank in found.items():
        ranks[row] = rank + (0 if row and not rows[row - 1].strip() else 1)
    return ranks
