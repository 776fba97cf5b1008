"""Names of a Python file.

Limits: definitions under `if` or `try` at module level, and names bound by imports, are not
definitions; of chained and tuple assignments every name counts but only a lone one has its literal.
"""

from collections.abc import Iterator

from tree_sitter import Node

from awareness_pipeline.symbols.syntax import Definition, Import, Use, captured, define, source_of

NUMBERS = ("integer", "float")


def definitions(root: Node) -> Iterator[Definition]:
    """Yield what a module defines: assignments, functions, classes and their methods."""
    for statement in root.named_children:
        if statement.type == "expression_statement":
            for expression in statement.named_children:
                if expression.type == "assignment":
                    yield from _assigned(expression)
        else:
            yield from _declared(statement, "function")


def uses(root: Node) -> Iterator[Use]:
    """Yield every identifier, attributes and imported names included."""
    for node in captured(root, "Python", "(identifier) @name"):
        yield Use(source_of(node), node.start_byte, _qualifier(node), _source(node))


def imports(root: Node) -> Iterator[Import]:
    """Yield what a file imports, wherever in it."""
    for node in captured(root, "Python", "[(import_statement) (import_from_statement)] @import"):
        module = node.child_by_field_name("module_name")
        source = source_of(module) if module else ""
        for taken in node.children_by_field_name("name"):
            alias = taken.child_by_field_name("alias")
            name = source_of(taken.child_by_field_name("name") or taken)
            local = source_of(alias) if alias else name
            yield Import(local, source, name) if source else Import(local, name)
        if any(child.type == "wildcard_import" for child in node.named_children):
            yield Import("*", source, "*")


def _declared(statement: Node, kind: str) -> Iterator[Definition]:
    whole = statement
    if statement.type == "decorated_definition":
        inner = statement.child_by_field_name("definition")
        if inner is None:
            return
        statement = inner
    name = statement.child_by_field_name("name")
    if name is None:
        return
    if statement.type == "function_definition":
        yield define(name, kind, whole)
    elif statement.type == "class_definition" and kind == "function":
        yield define(name, "class", whole)
        body = statement.child_by_field_name("body")
        for member in body.named_children if body else ():
            yield from _declared(member, "method")


def _assigned(assignment: Node) -> Iterator[Definition]:
    left = assignment.child_by_field_name("left")
    right = assignment.child_by_field_name("right")
    if left is None:
        return
    if left.type == "identifier":
        yield define(left, "constant", assignment, literal(right))
    elif left.type in ("pattern_list", "tuple_pattern"):
        for name in left.named_children:
            if name.type == "identifier":
                yield define(name, "constant", assignment)
    if right is not None and right.type == "assignment":
        yield from _assigned(right)


def literal(value: Node | None) -> str | None:
    """Return the source text of a value that is a plain number or string."""
    if value is None:
        return None
    if value.type in NUMBERS:
        return source_of(value)
    if value.type == "unary_operator":
        operand = value.child_by_field_name("argument")
        is_number = operand is not None and operand.type in NUMBERS
        return source_of(value) if is_number else None
    if value.type == "string" and source_of(value.children[0]) in ('"', "'"):
        return source_of(value)
    return None


def _qualifier(node: Node) -> str:
    parent = node.parent
    if parent is None or parent.type != "attribute":
        return ""
    owner = parent.child_by_field_name("object")
    return "" if owner is None or owner == node else source_of(owner)


def _source(node: Node) -> str:
    statement = node.parent
    for _ in range(3):
        if statement is None or statement.type == "import_from_statement":
            break
        statement = statement.parent
    if statement is None or statement.type != "import_from_statement":
        return ""
    module = statement.child_by_field_name("module_name")
    return source_of(module) if module and module.end_byte <= node.start_byte else ""
