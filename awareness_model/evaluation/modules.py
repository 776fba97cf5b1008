"""What each file of a package defines and imports, by syntax tree, and what an import stands for.

Top-level functions, classes with their members, and assigned names are definitions; of several with
one name the last counts. Limits: nothing is run, so names made while a program runs are not seen;
a name that a file binds anew anywhere counts as no import. Standard library only.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from awareness_model.evaluation.corpus import parsed

DEEPEST = 8
"""Re-exports followed."""


@dataclass(frozen=True, slots=True)
class Gold:
    """Where what a line uses is defined: characters of another file."""

    path: str
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Defined:
    """A top-level definition: where it stands, its parameters, where its members stand."""

    gold: Gold
    parameters: frozenset[str]
    members: Mapping[str, Gold]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a package."""

    path: str
    module: str
    text: str
    tree: ast.Module
    starts: tuple[int, ...]
    """The character at which each line begins, and the end."""
    defined: Mapping[str, Defined]
    imported: Mapping[str, tuple[str, str]]
    """By local name: (module, name in it; empty: the module itself)."""


def read(file: tuple[str, str]) -> File | None:
    """Return a file (path, text) as read, or None where it cannot be parsed."""
    path, text = file
    tree = parsed(text)
    if tree is None:
        return None
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return File(
        path,
        module,
        text,
        tree,
        tuple(starts),
        dict(_definitions(path, tree, starts)),
        _imports(module, path.endswith("__init__.py"), tree),
    )


def _definitions(
    path: str, tree: ast.Module, starts: Sequence[int]
) -> Iterator[tuple[str, Defined]]:
    for node in tree.body:
        for name in _named(node):
            members: dict[str, Gold] = {}
            parameters = frozenset[str]()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                parameters = _parameters(node)
            elif isinstance(node, ast.ClassDef):
                inner = [(one, part) for part in node.body for one in _named(part)]
                members = {one: _gold(path, one, part, starts) for one, part in inner}
                parameters = _made_with(node)
            yield name, Defined(_gold(path, name, node, starts), parameters, members)


def _named(node: ast.stmt) -> list[str]:
    """Return the names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [one.id for one in node.targets if isinstance(one, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    of = node.args
    return frozenset(one.arg for one in (*of.posonlyargs, *of.args, *of.kwonlyargs)) - {"self"}


def _made_with(node: ast.ClassDef) -> frozenset[str]:
    """Return what a class is made with: the parameters of `__init__`, else annotated fields."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _parameters(part)
    fields = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
    return frozenset(one.id for one in fields if isinstance(one, ast.Name))


def _gold(path: str, name: str, node: ast.stmt, starts: Sequence[int]) -> Gold:
    return Gold(path, name, starts[node.lineno - 1], starts[node.end_lineno or node.lineno])


def _imports(module: str, is_package: bool, tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Return what a file imports, by local name; nothing that it binds anew."""
    found: dict[str, tuple[str, str]] = {}
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = _source(module, is_package, node)
            found.update({one.asname or one.name: (source, one.name) for one in node.names})
        elif isinstance(node, ast.Import):
            kept = [one for one in node.names if one.asname or "." not in one.name]
            found.update({one.asname or one.name: (one.name, "") for one in kept})
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return {name: one for name, one in found.items() if name not in bound}


def _source(module: str, is_package: bool, node: ast.ImportFrom) -> str:
    """Return the absolute name of the module that is imported from."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*kept, *(node.module or "").split(".")]).strip(".")


def resolved(
    files: Mapping[str, File], module: str, name: str, depth: int = 0
) -> Defined | File | None:
    """Return the definition or module that (module, name) stands for, in this package."""
    if not name:
        return files.get(module)
    held = files.get(module)
    if held and name in held.defined:
        return held.defined[name]
    if held and name in held.imported and depth < DEEPEST:
        return resolved(files, *held.imported[name], depth + 1)
    return files.get(f"{module}.{name}")
