"""The signatures of what a change touches: functions, methods and classes, one line each.

A definition is touched when one of its lines, decorators included, was removed before or added
after; with a method its class is touched, and comes first. Signatures are those after the change,
in order, then those that only the text before has.

Limits: Python, JavaScript and Go. A function in JavaScript that is the value of a variable or a
property counts, one that is an argument does not. Comments between name and body are left out; a
signature longer than `MAX_SIGNATURE` is cut and ends in `…`. A text over `MAX_CHARACTERS` has none:
people don't write such files.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from tree_sitter import Node

from awareness_pipeline.symbols.syntax import LANGUAGES, parse

__all__ = ["MAX_SIGNATURE", "MAX_SIGNATURES", "touched_signatures"]

MAX_SIGNATURES: Final = 12
MAX_SIGNATURE: Final = 160
"""Characters."""
MAX_CHARACTERS: Final = 300_000
_READ_BYTES: Final = 16 * MAX_SIGNATURE
_GAP: Final = re.compile(r"(?<=[(\[]) |,? (?=[)\]])|,(?=[)\]])")

_FUNCTION: Final = frozenset(("arrow_function", "function_expression", "generator_function"))
_DEFINITIONS: Final[dict[str, dict[str, frozenset[str]]]] = {
    "Go": dict.fromkeys(
        ("function_declaration", "method_declaration", "type_spec", "type_alias"), frozenset()
    ),
    "JavaScript": {
        "class_declaration": frozenset(),
        "function_declaration": frozenset(),
        "generator_function_declaration": frozenset(),
        "method_definition": frozenset(),
        "assignment_expression": _FUNCTION | {"class"},
        "pair": _FUNCTION,
        "variable_declarator": _FUNCTION | {"class"},
    },
    "Python": dict.fromkeys(("class_definition", "function_definition"), frozenset()),
}
"""Kinds of nodes that define, by language; those with a value must have one of these kinds."""


def touched_signatures(
    before: str,
    after: str,
    language: str,
    *,
    removed: Collection[int],
    added: Collection[int],
) -> list[str]:
    """Return up to `MAX_SIGNATURES` signatures, each once; none for other languages.

    Args:
        before: the file before the change; empty where there was none.
        after: the file after it; empty where there is none.
        language: linguist's name.
        removed: numbers, from 1, of the lines of `before` that go.
        added: numbers, from 1, of the lines of `after` that come.
    """
    if language not in LANGUAGES:
        return []
    found: dict[str, None] = {}
    for text, lines in ((after, added), (before, removed)):
        if not lines or len(text) > MAX_CHARACTERS:
            continue
        for signature in _touched(text, language, sorted(lines)):
            found.setdefault(signature)
            if len(found) == MAX_SIGNATURES:
                return list(found)
    return list(found)


def _touched(text: str, language: str, lines: Sequence[int]) -> Iterator[str]:
    """Yield the signatures of the definitions that hold one of the lines, in order.

    What holds none is not entered. (A query over all of a file is quadratic in broken code.)
    """
    source = text.encode("utf-8", "replace")
    root = parse(text, language)
    waiting = [(root, root.start_point[0])]
    while waiting:
        node, first = waiting.pop()
        place = bisect_left(lines, first + 1)
        if place == len(lines) or lines[place] > node.end_point[0] + 1:
            continue
        if _defines(node, language) and (signature := _signature(node, source, language)):
            yield signature
        # Decorators belong to what they decorate.
        is_decorated = node.type == "decorated_definition"
        waiting += [
            (child, first if is_decorated else child.start_point[0])
            for child in reversed(node.children)
        ]


def _defines(node: Node, language: str) -> bool:
    kinds = _DEFINITIONS[language].get(node.type)
    if kinds is None:
        return False
    value = _value(node)
    return not kinds or (value is not None and value.type in kinds)


def _value(node: Node) -> Node | None:
    return node.child_by_field_name("value") or node.child_by_field_name("right")


def _signature(node: Node, source: bytes, language: str) -> str:
    text = " ".join(" ".join(_pieces(node, source)).split())
    if language == "Go" and node.type in ("type_spec", "type_alias"):
        text = "type " + text.partition("{")[0]
    text = _GAP.sub("", text).removesuffix("=>").rstrip(" :{=")
    return text if len(text) <= MAX_SIGNATURE else text[: MAX_SIGNATURE - 1].rstrip() + "…"


def _pieces(node: Node, source: bytes) -> Iterator[str]:
    """Yield the source of a definition up to its body, without comments."""
    body = (_value(node) or node).child_by_field_name("body")
    end = min(body.start_byte if body else node.end_byte, node.start_byte + _READ_BYTES)
    at = node.start_byte
    for comment in _comments(node, end):
        yield source[at : comment.start_byte].decode("utf-8", "replace")
        at = comment.end_byte
    rest = source[at:end].decode("utf-8", "replace")
    yield rest if body else rest.partition("\n")[0]


def _comments(node: Node, end: int) -> Iterator[Node]:
    """Yield the comments of a node that begin before `end`, in order."""
    cursor = node.walk()
    while (one := cursor.node) is not None and one.start_byte < end:
        if one.type == "comment":
            yield one
        elif cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
