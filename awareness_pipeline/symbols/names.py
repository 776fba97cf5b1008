"""What one file defines and uses, whichever of the understood languages it is written in."""

from collections.abc import Callable, Iterator

from tree_sitter import Node

from awareness_pipeline.symbols import go, javascript, javascript_imports, python
from awareness_pipeline.symbols.syntax import LANGUAGES, Definition, Import, Use, parse

__all__ = [
    "LANGUAGES",
    "Definition",
    "Import",
    "Use",
    "definitions",
    "definitions_in",
    "imports",
    "uses",
]

_DEFINITIONS: dict[str, Callable[[Node], Iterator[Definition]]] = {
    "Go": go.definitions,
    "JavaScript": javascript.definitions,
    "Python": python.definitions,
}
_USES: dict[str, Callable[[Node], Iterator[Use]]] = {
    "Go": go.uses,
    "JavaScript": javascript.uses,
    "Python": python.uses,
}
_IMPORTS: dict[str, Callable[[Node], Iterator[Import]]] = {
    "Go": go.imports,
    "JavaScript": javascript_imports.imports,
    "Python": python.imports,
}


def definitions(text: str, language: str) -> list[Definition]:
    """Return the names a file defines at its top level, in order; none for other languages."""
    return definitions_in(parse(text, language), language) if language in LANGUAGES else []


def definitions_in(root: Node, language: str) -> list[Definition]:
    """Return the names that a syntax tree defines at its top level, in order."""
    return list(_DEFINITIONS[language](root))


def uses(text: str, language: str) -> list[Use]:
    """Return the places where names stand, in order; none for other languages."""
    return list(_USES[language](parse(text, language))) if language in LANGUAGES else []


def imports(text: str, language: str) -> list[Import]:
    """Return what a file imports, in order; none for other languages."""
    return list(_IMPORTS[language](parse(text, language))) if language in LANGUAGES else []
