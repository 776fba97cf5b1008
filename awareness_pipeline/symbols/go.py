"""Names of a Go file.

Limits: imports name packages, not names: `Use.source` stays empty and `qualifier` is the package
name (or variable) as written.
"""

from collections.abc import Iterator

from tree_sitter import Node

from awareness_pipeline.symbols.syntax import Definition, Import, Use, captured, define, source_of

NAMES = "[(identifier) (type_identifier) (field_identifier)] @name"
BOUND = """
(parameter_declaration name: (identifier) @name)
(short_var_declaration left: (expression_list (identifier) @name))
(range_clause left: (expression_list (identifier) @name))
(var_spec name: (identifier) @name)
(const_spec name: (identifier) @name)
(field_declaration name: (field_identifier) @name)
(keyed_element . (literal_element (identifier) @name))
"""
NUMBERS = ("int_literal", "float_literal")
STRINGS = ("interpreted_string_literal", "raw_string_literal")


def definitions(root: Node) -> Iterator[Definition]:
    """Yield what a file adds to its package: constants, variables, functions, methods, types."""
    for node in root.named_children:
        name = node.child_by_field_name("name")
        if node.type == "function_declaration" and name is not None:
            yield define(name, "function", node)
        elif node.type == "method_declaration" and name is not None:
            yield define(name, "method", node)
        elif node.type in ("const_declaration", "var_declaration"):
            yield from _variables(node)
        elif node.type == "type_declaration":
            yield from _types(node)


def uses(root: Node) -> Iterator[Use]:
    """Yield every identifier, type name and field."""
    for node in captured(root, "Go", NAMES):
        yield Use(source_of(node), node.start_byte, _qualifier(node))


def imports(root: Node) -> Iterator[Import]:
    """Yield the packages a file imports; `local` is the name it gives them, else empty."""
    for spec in captured(root, "Go", "(import_spec) @import"):
        path, name = spec.child_by_field_name("path"), spec.child_by_field_name("name")
        if path is not None:
            yield Import(source_of(name) if name else "", source_of(path).strip('"`'))


def bound_names(root: Node) -> frozenset[str]:
    """Return the names that parameters, local variables, fields and keys of a file bind."""
    return frozenset(source_of(node) for node in captured(root, "Go", BOUND))


def package_name(root: Node) -> str:
    """Return the name in the package clause; empty without one."""
    for node in root.named_children:
        if node.type == "package_clause" and node.named_children:
            return source_of(node.named_children[0])
    return ""


def _variables(declaration: Node) -> Iterator[Definition]:
    groups = [declaration, *(n for n in declaration.named_children if n.type == "var_spec_list")]
    for group in groups:
        for spec in group.named_children:
            if spec.type not in ("const_spec", "var_spec"):
                continue
            names = [n for n in spec.children_by_field_name("name") if n.type == "identifier"]
            value = spec.child_by_field_name("value")
            values = value.named_children if value else []
            for index, name in enumerate(names):
                literal = _literal(values[index]) if len(values) == len(names) else None
                yield define(name, "constant", spec, literal)


def _types(declaration: Node) -> Iterator[Definition]:
    for spec in declaration.named_children:
        name = spec.child_by_field_name("name")
        if spec.type in ("type_spec", "type_alias") and name is not None:
            yield define(name, "class", spec)


def _literal(value: Node) -> str | None:
    if value.type in NUMBERS or value.type in STRINGS:
        return source_of(value)
    if value.type == "unary_expression":
        operand = value.child_by_field_name("operand")
        is_number = operand is not None and operand.type in NUMBERS
        return source_of(value) if is_number else None
    return None


def _qualifier(node: Node) -> str:
    parent = node.parent
    if parent is None:
        return ""
    if parent.type == "qualified_type":
        owner = parent.child_by_field_name("package")
    elif parent.type == "selector_expression":
        owner = parent.child_by_field_name("operand")
    else:
        return ""
    return "" if owner is None or owner == node else source_of(owner)
