"""Which names files define and use, by language."""

import pytest

from awareness_pipeline.symbols.names import definitions, imports, uses

PYTHON = '''"""Rates."""
from shop.units import CENTS as C, round_up

LIMIT: int = 4_711
OFFSET = -12
NAME, other = "quay", 2
FIRST = SECOND = "twice"
FORMATTED = f"a{NAME}"
LONG = """text"""
RAW = b"bytes"


@cache
def rate(x):
    inner = 1
    return units.factor(x)


class Basket(Base):
    SIZE = 3

    def add(self, row):
        def hidden(): ...


if LIMIT:
    late = 1
'''

JAVASCRIPT = """
const fs = require("fs");
const { join, sep: other } = require('./paths');
import def, { tag as label } from "./tags.js";
const LIMIT = 4711, NAME = "reef", low = -2;
let make = () => 1;
export const RATIO = 0.5;
export default function tank() { const inner = 1; return LIMIT; }
export class Reef { rows = []; room() { return join(NAME).length; } }
function* drip() {}
exports.DEPTH = 12;
module.exports.open = function () {};
module.exports = { LIMIT };
"""

GO = """package kiln

import "example.org/clay"

const Limit = 4711
const (
	Name, Kind = "kiln", `raw`
	low int = -3
)
var Rows = []int{1}
var Ratio = 0.5

type Kiln struct{ rows []int }
type (
	Short = int
	Wide  int
)

func Cap(n int) clay.Size { inner := 1; return clay.Min(n, Limit, inner) }
func (k *Kiln) Room() int { return len(k.rows) }
"""


def table(text: str, language: str) -> list[tuple[str, str, str | None]]:
    return [(one.name, one.kind, one.literal) for one in definitions(text, language)]


def test_python_definitions() -> None:
    assert table(PYTHON, "Python") == [
        ("LIMIT", "constant", "4_711"),
        ("OFFSET", "constant", "-12"),
        ("NAME", "constant", None),
        ("other", "constant", None),
        ("FIRST", "constant", None),
        ("SECOND", "constant", '"twice"'),
        ("FORMATTED", "constant", None),
        ("LONG", "constant", None),
        ("RAW", "constant", None),
        ("rate", "function", None),
        ("Basket", "class", None),
        ("add", "method", None),
    ]


def test_javascript_definitions() -> None:
    assert table(JAVASCRIPT, "JavaScript") == [
        ("LIMIT", "constant", "4711"),
        ("NAME", "constant", '"reef"'),
        ("low", "constant", "-2"),
        ("make", "function", None),
        ("RATIO", "constant", "0.5"),
        ("tank", "function", None),
        ("Reef", "class", None),
        ("room", "method", None),
        ("drip", "function", None),
        ("DEPTH", "constant", "12"),
        ("open", "function", None),
    ]


def test_go_definitions() -> None:
    assert table(GO, "Go") == [
        ("Limit", "constant", "4711"),
        ("Name", "constant", '"kiln"'),
        ("Kind", "constant", "`raw`"),
        ("low", "constant", "-3"),
        ("Rows", "constant", None),
        ("Ratio", "constant", "0.5"),
        ("Kiln", "class", None),
        ("Short", "class", None),
        ("Wide", "class", None),
        ("Cap", "function", None),
        ("Room", "method", None),
    ]


def found(text: str, language: str, name: str) -> list[tuple[str, str]]:
    return [(use.qualifier, use.source) for use in uses(text, language) if use.name == name]


@pytest.mark.parametrize(
    ("language", "text", "name", "expected"),
    [
        ("Python", PYTHON, "round_up", ("", "shop.units")),
        ("Python", PYTHON, "units", ("", "")),
        ("Python", PYTHON, "factor", ("units", "")),
        ("Python", "from ..a import bee", "bee", ("", "..a")),
        ("JavaScript", JAVASCRIPT, "join", ("", "./paths")),
        ("JavaScript", JAVASCRIPT, "sep", ("", "./paths")),
        ("JavaScript", JAVASCRIPT, "tag", ("", "./tags.js")),
        ("JavaScript", "const a = paths.join(1)", "join", ("paths", "")),
        ("Go", GO, "Min", ("clay", "")),
        ("Go", GO, "Size", ("clay", "")),
    ],
)
def test_a_use_says_where_the_name_comes_from(
    language: str, text: str, name: str, expected: tuple[str, str]
) -> None:
    assert found(text, language, name)[0] == expected


def test_offsets_count_bytes_and_lines_count_from_one() -> None:
    text = 'PRE = "größe"\nLIMIT = 1\n'
    limit = definitions(text, "Python")[1]
    assert text.encode()[limit.start_byte : limit.end_byte] == b"LIMIT = 1"
    assert limit.line == 2
    use = next(use for use in uses(text, "Python") if use.name == "LIMIT")
    assert use.start_byte == limit.start_byte


@pytest.mark.parametrize("language", ["Python", "JavaScript", "Go"])
def test_broken_and_deep_input_is_survived(language: str) -> None:
    assert definitions("((" * 20_000, language) == []
    assert definitions("", language) == []
    uses("}{ def func const = ;; \ufffd", language)


def test_other_languages_have_no_names() -> None:
    assert definitions("fn main() {}", "Rust") == []
    assert uses("fn main() {}", "Rust") == []


@pytest.mark.parametrize(
    ("text", "language"),
    [("(" * 200_000, "Python"), ("a" + ".b" * 40_000, "Python"), ("func f() {" * 20_000, "Go")],
)
def test_hostile_code_is_read_in_seconds_and_has_no_uses(text: str, language: str) -> None:
    assert uses(text, language) == []
    assert imports(text, language) == []


def test_broken_code_and_long_chains_still_have_uses() -> None:
    broken = "print 'x' if (\n" * 300
    assert "x" not in {use.name for use in uses(broken, "Python")}
    assert "print" in {use.name for use in uses(broken, "Python")}
    assert len(uses("y = " + " + ".join(["x"] * 1500), "Python")) == 1501


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("Python", "import a.b, c as d\n", [("a.b", "a.b", ""), ("d", "c", "")]),
        ("Python", "from . import x as y, z\n", [("y", ".", "x"), ("z", ".", "z")]),
        ("Python", "def f():\n    from .a import *\n", [("*", ".a", "*")]),
        (
            "JavaScript",
            'import x, { a as b } from "m";\n',
            [("x", "m", "default"), ("b", "m", "a")],
        ),
        ("JavaScript", 'import * as n from "m";\nimport "s";\n', [("n", "m", ""), ("", "s", "")]),
        ("JavaScript", 'export { q as r } from "o";\n', [("r", "o", "q")]),
        ("JavaScript", 'export * from "o";\n', [("*", "o", "*")]),
        ("JavaScript", 'const { d: e, f } = require("g");\n', [("e", "g", "d"), ("f", "g", "f")]),
        (
            "JavaScript",
            'const h = require("g").z;\nuse(require("i"));\n',
            [("h", "g", "z"), ("", "i", "")],
        ),
        ("JavaScript", 'module.exports = require("m");\n', [("*", "m", "*")]),
        ("JavaScript", 'const later = import("m");\nrequire(name);\n', [("later", "m", "")]),
        ("Go", 'package p\n\nimport (\n\t"a/b"\n\tc "d"\n)\n', [("", "a/b", ""), ("c", "d", "")]),
        ("Ruby", "require 'x'\n", []),
    ],
)
def test_imports(language: str, text: str, found: list[tuple[str, str, str]]) -> None:
    assert [(one.local, one.module, one.name) for one in imports(text, language)] == found
