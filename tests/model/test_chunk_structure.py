"""Chunks follow what a document is made of: functions, headings, hunks. The tokenizer's tokens are
bytes, so limits are bytes."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_model.chunk import language_of, split
from awareness_model.chunk.language import GRAMMARS, SUFFIXES, parser_of
from awareness_model.tiny import tiny

TOKENIZER = tiny("llama")[1]

PYTHON = '''"""What it does."""
import os


# above the function
# in two lines
@cached
def area(width: int) -> int:
    """Multiply."""
    return width * width


class Box:
    """Holds."""

    def first(self) -> int:
        return 1

    # beside
    def second(self) -> int:
        if self.first():
            return 2
        return 3
'''

FUNCTIONS = {
    "bash": ("a.sh", "one() {\n  echo 1\n}\n", "two() {\n  echo 2\n}\n"),
    "c": (
        "a.c",
        "int one(void) {\n  return 1;\n}\n",
        "/* two */\nint two(void) {\n  return 2;\n}\n",
    ),
    "c++": ("a.hpp", "int one() {\n  return 1;\n}\n", "// two\nint two() {\n  return 2;\n}\n"),
    "c#": ("a.cs", "class One {\n  int a;\n}\n", "// two\nclass Two {\n  int b;\n}\n"),
    "elixir": ("a.ex", "defmodule One do\n  def a, do: 1\nend\n", "defmodule Two do\n  1\nend\n"),
    "go": (
        "a.go",
        "func one() int {\n\treturn 1\n}\n",
        "// two\nfunc two() int {\n\treturn 2\n}\n",
    ),
    "haskell": ("a.hs", "one :: Int\none = 1\n", "-- two\ntwo :: Int\ntwo = 2\n"),
    "java": ("A.java", "class One {\n  int a;\n}\n", "/** two */\nclass Two {\n  int b;\n}\n"),
    "javascript": (
        "a.mjs",
        "function one() {\n  return 1\n}\n",
        "// two\nconst two = () => {\n}\n",
    ),
    "julia": ("a.jl", "function one()\n  1\nend\n", "# two\nfunction two()\n  2\nend\n"),
    "kotlin": (
        "a.kt",
        "fun one(): Int {\n  return 1\n}\n",
        "// two\nfun two(): Int {\n  return 2\n}\n",
    ),
    "lua": (
        "a.lua",
        "function one()\n  return 1\nend\n",
        "-- two\nfunction two()\n  return 2\nend\n",
    ),
    "ocaml": ("a.ml", "let one () =\n  1\n", "let two () =\n  2\n"),
    "php": ("a.php", "<?php\nfunction one() {\n}\n", "// two\nfunction two() {\n  return 2;\n}\n"),
    "python": ("a.py", "def one():\n    return 1\n", "# two\ndef two():\n    return 2\n"),
    "ruby": ("a.rb", "def one\n  1\nend\n", "# two\ndef two\n  2\nend\n"),
    "rust": ("a.rs", "fn one() -> u8 {\n    1\n}\n", "/// two\n#[test]\nfn two() {\n    2;\n}\n"),
    "scala": (
        "a.scala",
        "object One {\n  val a = 1\n}\n",
        "// two\nobject Two {\n  val b = 2\n}\n",
    ),
    "swift": (
        "a.swift",
        "func one() -> Int {\n  return 1\n}\n",
        "// two\nfunc two() {\n  let a = 2\n}\n",
    ),
    "tsx": ("a.tsx", "function one() {\n  return <a/>\n}\n", "export class Two {\n  a = 2\n}\n"),
    "typescript": (
        "a.ts",
        "function one(): number {\n  return 1\n}\n",
        "@two\nclass Two {\n  a: number\n}\n",
    ),
    "zig": (
        "a.zig",
        "fn one() u8 {\n    return 1;\n}\n",
        "// two\nfn two() u8 {\n    return 2;\n}\n",
    ),
}

INSTALLED = [language for language in GRAMMARS if parser_of(language)]


def parts(text, limit, path=""):
    return [text[chunk.start : chunk.end] for chunk in split(text, TOKENIZER, limit, path)]


def test_comments_and_decorators_stay_with_their_function():
    held = parts(PYTHON, 120, "a.py")
    assert held[1].startswith("# above the function\n# in two lines\n@cached\ndef area")
    assert any(part.startswith("    # beside\n    def second") for part in held)


def test_a_long_class_is_cut_at_its_methods_and_a_long_function_at_its_statements():
    held = parts(PYTHON, 95, "a.py")
    assert held[-3].startswith("class Box:")
    assert held[-3].endswith("        return 1\n\n")
    assert held[-2].startswith("    # beside\n    def second(self) -> int:\n")
    assert held[-2].endswith("            return 2\n")
    assert held[-1] == "        return 3\n"


def test_small_siblings_are_packed_together():
    text = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(8))
    assert parts(text, 4 * len(text) // 8, "a.py") == [
        text[: len(text) // 2],
        text[len(text) // 2 :],
    ]


def test_a_signature_is_not_left_alone():
    text = "def long(a):\n" + "".join(f"    value_{n} = a + {n}\n" for n in range(9))
    held = parts("x = 1\n" + text, 80, "a.py")
    assert held[0] == "x = 1\n"
    assert held[1].startswith("def long(a):\n    value_0")


@pytest.mark.parametrize("before", ["", "x = 1\n\n"])
def test_the_first_line_of_a_class_stays_with_a_first_method_that_is_too_long(before):
    body = "".join(f"        value_{n} = {n}\n" for n in range(9))
    text = f"class A:\n    def long(self):\n{body}\n    def other(self):\n        pass\n"
    held = parts(before + text, 90, "a.py")
    assert held[bool(before)].startswith("class A:\n    def long(self):\n        value_0")
    assert held[-1] == "    def other(self):\n        pass\n"


@pytest.mark.parametrize("language", INSTALLED)
def test_functions_of_every_language_are_cut_apart(language):
    """Two functions without a blank line between them, which plain text gives no seam."""
    path, one, two = FUNCTIONS[language]
    assert language_of(path, "") in (language, "c++")
    assert parts(one + two, max(len(one), len(two)), path) == [one, two]


def test_there_is_a_sample_for_every_grammar_and_a_grammar_for_every_suffix():
    assert set(FUNCTIONS) == set(GRAMMARS)
    assert set(SUFFIXES.values()) == {*GRAMMARS, "markdown", "diff"}
    assert {"python", "javascript", "go"} <= set(INSTALLED)


def test_a_language_without_its_grammar_is_cut_like_plain_text(monkeypatch):
    monkeypatch.setitem(GRAMMARS, "python", ("no_such_grammar", "language"))
    parser_of.cache_clear()
    try:
        assert parts(PYTHON, 95, "a.py") == parts(PYTHON, 95, "a.txt") != []
    finally:
        parser_of.cache_clear()


def test_markdown_is_cut_at_headings_outside_fences():
    text = "# A\n\ntext\n\n## B\n\n```sh\n# no heading\n```\n\nC\n---\nmore\n\n## D\n"
    assert parts(text, 34, "a.md") == [
        "# A\n\ntext\n\n",
        "## B\n\n```sh\n# no heading\n```\n\n",
        "C\n---\nmore\n\n## D\n",
    ]


def test_diffs_are_cut_at_files_and_hunks():
    one, two = ("@@ -1 +1 @@\n-a\n+b\n", "@@ -9 +9 @@\n-c\n+d\n")
    head = "diff --git a/f b/f\n--- a/f\n+++ b/f\n"
    assert parts(head + one + two, len(head + one)) == [head + one, two]
    assert parts(head + one + head + two, 2 * len(head + one) - 1) == [head + one, head + two]
    bare = head.split("\n", 1)[1]
    assert parts(bare + one + bare + two, len(bare + one)) == [bare + one, bare + two]


def test_a_first_line_names_the_interpreter():
    assert language_of("run", "#!/usr/bin/env python3\n") == "python"
    assert language_of("run", "#!/bin/sh -e\n") == "bash"
    assert language_of("run", "#!" + "/" * 10**6) == ""


def test_identifiers_are_not_cut_in_a_line_that_is_too_long():
    line = ",".join(f"identifier_{n}" for n in range(40)) + "\n"
    held = parts(line, 30, "a.js")
    assert "".join(held) == line
    assert all(part[0] == "," or part.startswith("identifier_") for part in held)
    assert max(len(part) for part in parts("x" * 100, 30)) == 30


def test_lone_carriage_returns_end_lines():
    text = "def one():\r    return 1\rdef two():\r    return 2\r"
    assert parts(text, 30, "a.py") == [text[: text.index("def two")], text[text.index("def two") :]]


PIECES = [
    "def f():",
    "class A:",
    "    ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\0",
    "# c",
    "@d",
    "{",
    "}",
    "[",
    '"""',
]
PIECES += [
    "```",
    "## H",
    "@@ ",
    "diff --git ",
    "é",
    "👩‍👧",
    "word",
    "x" * 30,
    "\u2028",
    "\x0c",
    " ",
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join),
    st.integers(4, 60),
    st.sampled_from(["a.py", "a.js", "a.go", "a.md", "a.diff", ""]),
)
def test_the_chunks_in_order_are_the_document(text, limit, path):
    """Whatever it holds; no chunk is too long; a line is cut only when it alone is too long."""
    chunks = split(text, TOKENIZER, limit, path)
    assert "".join(text[chunk.start : chunk.end] for chunk in chunks) == text
    assert all(1 <= len(chunk.ids) <= limit for chunk in chunks)
    assert chunks == split(text, TOKENIZER, limit, path)
    for one, other in pairwise(chunks):
        assert one.end == other.start
        if text[one.end - 1] not in "\r\n":
            begin = max(text.rfind(end, 0, one.end) for end in "\r\n") + 1

            whole = next((n for n, c in enumerate(text[begin:]) if c in "\r\n"), len(text) - begin)
            assert len(text[begin : begin + whole + 2].encode()) >= limit - 1


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[\n" * 5000 + "]\n" * 5000, "a.py"),
        ("{" * 20_000, "a.js"),
        ("\0" * 20_000, "a.go"),
        ("# a\n" * 5000, "a.md"),
        ("def f(:\n  ) class\n" * 1000, "a.py"),
        ("word " * 20_000, "a.py"),
    ],
    ids=["nested", "unclosed", "nul", "headings", "broken", "line"],
)
def test_hostile_texts_are_cut_like_others(text, path):
    assert "".join(parts(text, 256, path)) == text
