"""Signatures of what a change touches, in every language and in broken code."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_pipeline.symbols.signatures import (
    MAX_CHARACTERS,
    MAX_SIGNATURE,
    MAX_SIGNATURES,
    touched_signatures,
)
from awareness_pipeline.symbols.syntax import LANGUAGES

PYTHON = """import x

@decorated
class A(B):  # why
    size = 1

    def m(self, a, *, b: int = 1) -> str:  # noqa
        def inner(): return 1
        return a

    async def n(
        self,
        q,  # comment
    ):
        pass


def alone(): pass
"""
JAVASCRIPT = """const f = (a, b) => {
  return a;
};
module.exports.g = async function (x) { return 1 };
class C extends D {
  m(a) { return 2 }
}
const o = { k: function (z) { return z } };
run(function (unnamed) {
  return 3;
});
export default function h({a, b} = {}) {
}
const number = 7;
"""
GO = """package p

type T struct {
	A int
}

func F(a int, b string) (int, error) {
	return 1, nil
}

func (t *T) M(x int) {
}

var v = 1
"""


@pytest.mark.parametrize(
    ("language", "text", "lines", "expected"),
    [
        ("Python", PYTHON, [9], ["class A(B)", "def m(self, a, *, b: int = 1) -> str"]),
        (
            "Python",
            PYTHON,
            [8],
            ["class A(B)", "def m(self, a, *, b: int = 1) -> str", "def inner()"],
        ),
        ("Python", PYTHON, [3], ["class A(B)"]),
        ("Python", PYTHON, [13], ["class A(B)", "async def n(self, q)"]),
        ("Python", PYTHON, [18], ["def alone()"]),
        ("Python", PYTHON, [1, 16, 17, 99], []),
        ("JavaScript", JAVASCRIPT, [2], ["f = (a, b)"]),
        ("JavaScript", JAVASCRIPT, [4], ["module.exports.g = async function (x)"]),
        ("JavaScript", JAVASCRIPT, [6], ["class C extends D", "m(a)"]),
        ("JavaScript", JAVASCRIPT, [8], ["k: function (z)"]),
        ("JavaScript", JAVASCRIPT, [10, 14], []),
        ("JavaScript", JAVASCRIPT, [13], ["function h({a, b} = {})"]),
        ("Go", GO, [4], ["type T struct"]),
        ("Go", GO, [8, 11], ["func F(a int, b string) (int, error)", "func (t *T) M(x int)"]),
        ("Go", GO, [1, 14], []),
        ("Rust", "fn f() {}\n", [1], []),
    ],
)
def test_a_line_touches_what_it_stands_in(
    language: str, text: str, lines: list[int], expected: list[str]
) -> None:
    assert touched_signatures("", text, language, removed=[], added=lines) == expected
    assert touched_signatures(text, "", language, removed=lines, added=[]) == expected


def test_new_signatures_come_before_those_that_are_gone_each_once() -> None:
    before = "def a(x):\n    return 1\n\ndef gone():\n    return 2\n\ndef same():\n    return 3\n"
    after = "def a(x, y):\n    return 1\n\ndef same():\n    return 4\n"
    found = touched_signatures(before, after, "Python", removed=[1, 4, 5, 8], added=[1, 5])
    assert found == ["def a(x, y)", "def same()", "def a(x)", "def gone()"]


def test_broken_code_gives_what_can_be_recognised() -> None:
    text = "def whole(a):\n    return 1\n\ndef broken(\n"
    assert touched_signatures("", text, "Python", removed=[], added=[2]) == ["def whole(a)"]


def test_number_and_length_are_bounded() -> None:
    text = "".join(f"def f{n}(): pass\n" for n in range(50))
    found = touched_signatures(text, text, "Python", removed=range(1, 51), added=range(1, 51))
    assert found == [f"def f{n}()" for n in range(MAX_SIGNATURES)]
    (long,) = touched_signatures(
        "", f"def f({'a, ' * 500}): pass\n", "Python", removed=[], added=[1]
    )
    assert MAX_SIGNATURE - 3 < len(long) <= MAX_SIGNATURE
    assert long.endswith("…")
    huge = "def f(): pass\n" + "#" * MAX_CHARACTERS
    assert touched_signatures(huge, "", "Python", removed=[1], added=[]) == []


@pytest.mark.parametrize(
    "text", ["def f(a):\n" + "(" * 60_000, "function f(){" * 5_000, "func f(" + "[" * 50_000]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_code_ends(language: str, text: str) -> None:
    found = touched_signatures("", text, language, removed=[], added=range(1, 100))
    assert len(found) <= MAX_SIGNATURES


@settings(deadline=None)
@given(
    st.sampled_from(LANGUAGES),
    st.text(st.sampled_from("def class(){}[]:=>,.\n \t#/*\"'aλ"), max_size=200),
    st.sets(st.integers(-2, 30), max_size=8),
)
def test_any_text_gives_single_lines(language: str, text: str, lines: set[int]) -> None:
    for signature in touched_signatures(text, text, language, removed=lines, added=lines):
        assert signature
        assert len(signature) <= MAX_SIGNATURE
        assert "\n" not in signature
