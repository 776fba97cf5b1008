"""Rows of the course and of the evaluation as JSON and back: what is asked, made where lance and
tree_sitter are, read where they are not.

A row is written with the name of its class and its fields; equal pieces of code are written once
and numbered. Only the classes named here are read. Limits: rows of other classes are refused.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from awareness_model.evaluation import haystack, lines
from awareness_model.evaluation.needles import Question
from awareness_model.evaluation.readers import Piece
from awareness_model.reader import code_rows

KINDS: Mapping[str, type] = {
    "code": code_rows.Code,
    "code line": code_rows.Line,
    "lines": lines.Lines,
    "line": lines.Line,
    "haystack": haystack.Haystack,
    "asking": haystack.Asking,
    "question": Question,
}
"""By the name that stands for them."""
NAMES = {kind: name for name, kind in KINDS.items()}
KIND, PAIRS, PIECE = "kind", "pairs", "piece"


def plain(rows: Any) -> dict[str, Any]:
    """Return rows as plain JSON values."""
    pieces: dict[Piece, int] = {}
    told = _plain(rows, pieces)
    return {"pieces": [[p.path, p.start, p.text, p.tokens] for p in pieces], "rows": told}


def restored(told: Mapping[str, Any]) -> Any:
    """Return what `plain` made plain, lists as tuples."""
    return _restored(told["rows"], [Piece(*one) for one in told["pieces"]])


def _plain(one: Any, pieces: dict[Piece, int]) -> Any:
    if isinstance(one, Piece):
        return {PIECE: pieces.setdefault(one, len(pieces))}
    if is_dataclass(one) and not isinstance(one, type):
        held = {part.name: _plain(getattr(one, part.name), pieces) for part in fields(one)}
        return {KIND: NAMES[type(one)], **held}
    if isinstance(one, Mapping):
        return {PAIRS: [[_plain(k, pieces), _plain(v, pieces)] for k, v in one.items()]}
    if isinstance(one, list | tuple):
        return [_plain(part, pieces) for part in one]
    return one


def _restored(told: Any, pieces: list[Piece]) -> Any:
    if isinstance(told, list):
        return tuple(_restored(part, pieces) for part in told)
    if not isinstance(told, dict):
        return told
    if PIECE in told:
        return pieces[told[PIECE]]
    if PAIRS in told:
        return {_restored(k, pieces): _restored(v, pieces) for k, v in told[PAIRS]}
    kind = KINDS[told[KIND]]
    return kind(**{name: _restored(v, pieces) for name, v in told.items() if name != KIND})
