"""What a text is written in, and the grammar that parses it.

The path's suffix decides, else the first line (`#!`), else the look of a diff. Grammars come
as single wheels with the parser inside, so that nothing is fetched at run time (which
`tree-sitter-language-pack` 1.24 does). A grammar that is not installed is no error: its language is
cut like plain text.

Limits: a suffix that several languages share goes to one of them (`.h` is read as C++, which
holds C); templates and notebooks are plain text.
"""

import importlib
import re
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Parser

GRAMMARS = {
    "bash": ("tree_sitter_bash", "language"),
    "c": ("tree_sitter_c", "language"),
    "c++": ("tree_sitter_cpp", "language"),
    "c#": ("tree_sitter_c_sharp", "language"),
    "elixir": ("tree_sitter_elixir", "language"),
    "go": ("tree_sitter_go", "language"),
    "haskell": ("tree_sitter_haskell", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "julia": ("tree_sitter_julia", "language"),
    "kotlin": ("tree_sitter_kotlin", "language"),
    "lua": ("tree_sitter_lua", "language"),
    "ocaml": ("tree_sitter_ocaml", "language_ocaml"),
    "php": ("tree_sitter_php", "language_php"),
    "python": ("tree_sitter_python", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "scala": ("tree_sitter_scala", "language"),
    "swift": ("tree_sitter_swift", "language"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "zig": ("tree_sitter_zig", "language"),
}
"""Language: (module, function that gives the grammar)."""

SUFFIXES = {
    **dict.fromkeys((".sh", ".bash", ".zsh", ".ksh"), "bash"),
    **dict.fromkeys((".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".cu", ".cuh"), "c++"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ex", ".exs"), "elixir"),
    **dict.fromkeys((".kt", ".kts"), "kotlin"),
    **dict.fromkeys((".py", ".pyi", ".pyw"), "python"),
    **dict.fromkeys((".rb", ".rake", ".gemspec"), "ruby"),
    **dict.fromkeys((".scala", ".sc", ".sbt"), "scala"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    **dict.fromkeys((".md", ".markdown", ".mdx"), "markdown"),
    **dict.fromkeys((".diff", ".patch"), "diff"),
    ".c": "c",
    ".cs": "c#",
    ".go": "go",
    ".hs": "haskell",
    ".java": "java",
    ".jl": "julia",
    ".lua": "lua",
    ".ml": "ocaml",
    ".php": "php",
    ".rs": "rust",
    ".swift": "swift",
    ".tsx": "tsx",
    ".zig": "zig",
}

SHEBANGS = {
    "sh": "bash",
    "bash": "bash",
    "zsh": "bash",
    "python": "python",
    "node": "javascript",
    "ruby": "ruby",
    "lua": "lua",
    "php": "php",
}


def language_of(path: str, text: str) -> str:
    """Return `markdown`, `diff`, a language of `GRAMMARS`, or nothing for plain text."""
    if found := SUFFIXES.get(PurePosixPath(path).suffix.lower()):
        return found
    if shebang := re.match(r"#!\s*\S*/(?:env\s+(?:-\S+\s+)?)?([a-z]+)", text[:200]):
        return SHEBANGS.get(shebang[1], "")
    return "diff" if re.match(r"diff --git |--- [^\n]*\n\+\+\+ ", text[:2000]) else ""


@cache
def parser_of(language: str) -> "Parser | None":
    """Return a parser, or None where the language has no grammar here."""
    module, function = GRAMMARS.get(language, ("", ""))
    try:
        from tree_sitter import Language, Parser

        grammar = getattr(importlib.import_module(module), function)() if module else None
    except ModuleNotFoundError:
        return None
    return Parser(Language(grammar)) if grammar else None
