"""What a JavaScript file imports: `import`, `export … from`, `require` and `import(…)`.

Limits: modules given by anything but a plain string are not seen.
"""

from collections.abc import Iterator

from tree_sitter import Node

from awareness_pipeline.symbols.syntax import Import, captured, source_of

STATEMENTS = "[(import_statement source: (string)) (export_statement source: (string))] @statement"
CALLS = """
(call_expression function: [(identifier) (import)] arguments: (arguments . (string) .)) @call
"""


def imports(root: Node) -> Iterator[Import]:
    """Yield what a file imports, statements first."""
    for statement in captured(root, "JavaScript", STATEMENTS):
        module = statement.child_by_field_name("source")
        if module is not None:
            yield from _stated(statement, _unquoted(module))
    for call in captured(root, "JavaScript", CALLS):
        function, arguments = call.named_children[0], call.named_children[-1]
        if source_of(function) in ("require", "import"):
            yield from _called(call, _unquoted(arguments.named_children[0]))


def _stated(statement: Node, module: str) -> Iterator[Import]:
    named = [one for clause in statement.named_children for one in _clause(clause, module)]
    passes_all = "*" if statement.type == "export_statement" else ""
    yield from named or [Import(passes_all, module, passes_all)]


def _clause(clause: Node, module: str) -> Iterator[Import]:
    """Yield the names of an import or export clause."""
    if clause.type in ("namespace_import", "namespace_export"):
        yield Import(source_of(clause.named_children[0]), module)
    elif clause.type in ("named_imports", "export_clause"):
        for specifier in clause.named_children:
            name = specifier.child_by_field_name("name")
            alias = specifier.child_by_field_name("alias") or name
            if name is not None and alias is not None:
                yield Import(source_of(alias), module, source_of(name))
    elif clause.type == "import_clause":
        for part in clause.named_children:
            if part.type == "identifier":
                yield Import(source_of(part), module, "default")
            else:
                yield from _clause(part, module)


def _called(call: Node, module: str) -> Iterator[Import]:
    """Yield what stands to the left of a `require`; the module without a name elsewhere."""
    name, holder = "", call.parent
    if holder is not None and holder.type == "member_expression":
        name, holder = source_of(holder.child_by_field_name("property") or call), holder.parent
    if holder is None or holder.type not in ("variable_declarator", "assignment_expression"):
        yield Import("", module)
        return
    bound = holder.child_by_field_name("name") or holder.child_by_field_name("left")
    if bound is None or bound.type not in ("identifier", "object_pattern"):
        passed_on = bound is not None and source_of(bound) in ("module.exports", "exports")
        yield Import("*", module, "*") if passed_on else Import("", module)
    elif bound.type == "identifier":
        yield Import(source_of(bound), module, name)
    else:
        yield from _unpacked(bound, module)


def _unpacked(pattern: Node, module: str) -> Iterator[Import]:
    for part in pattern.named_children:
        if part.type == "shorthand_property_identifier_pattern":
            yield Import(source_of(part), module, source_of(part))
        elif part.type == "pair_pattern":
            key, value = part.child_by_field_name("key"), part.child_by_field_name("value")
            if key is not None and value is not None and value.type == "identifier":
                yield Import(source_of(value), module, source_of(key))


def _unquoted(module: Node) -> str:
    return source_of(module).strip("'\"`")
