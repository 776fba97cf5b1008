"""Parameters of a file's top-level functions, and defaults that are plain values.

Limits: functions that are values of variables (`const f = () => …`) and methods are left out;
defaults are read in Python alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from awareness_pipeline.symbols.python import literal
from awareness_pipeline.symbols.syntax import source_of

__all__ = ["Signature", "signatures"]

FUNCTIONS = ("function_definition", "function_declaration", "generator_function_declaration")
DEFAULTS = ("default_parameter", "typed_default_parameter")


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters as they are written, parentheses included."""

    name: str
    parameters: str
    defaults: tuple[tuple[str, str], ...]
    """Parameters and the literals that are their defaults."""


def signatures(root: Node) -> Iterator[Signature]:
    """Yield the signatures of a file's top-level functions, in order."""
    for statement in root.named_children:
        node = (
            statement.child_by_field_name("definition")
            or statement.child_by_field_name("declaration")
            or statement
        )
        name = node.child_by_field_name("name")
        parameters = node.child_by_field_name("parameters")
        if node.type in FUNCTIONS and name is not None and parameters is not None:
            yield Signature(source_of(name), source_of(parameters), tuple(_defaults(parameters)))


def _defaults(parameters: Node) -> Iterator[tuple[str, str]]:
    for parameter in parameters.named_children:
        name, value = parameter.child_by_field_name("name"), parameter.child_by_field_name("value")
        if parameter.type in DEFAULTS and name is not None:
            written = literal(value)
            if written is not None:
                yield source_of(name), written
