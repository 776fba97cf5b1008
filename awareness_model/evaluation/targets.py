"""Lines of a package that use what another file of it defines, by syntax tree and imports.

Of a line that uses such a name, three kinds of text are told apart: `remote` (the name itself, an
attribute that the other file defines, a keyword that is a parameter there), `rest` (all else on
the line); lines of the same files that use no such name are `in_file`. Gold is the file and place
of the definition, re-exports followed. Names that the file binds anew anywhere are left alone.

Limits: no types are inferred, so methods of instances count as rest; what a program does to its
modules while it runs is not seen; the prompt may still hold the import. Standard library only.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from typing import TypeAlias

from awareness_model.evaluation.corpus import Package
from awareness_model.evaluation.modules import Defined, File, Gold, read, resolved

PROMPT_CHARACTERS = 1_200
"""Of the text before a line: whole lines, the last ones."""
LONGEST_LINE = 160

Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RemoteTarget:
    """One line to be written, behind the text before it in its file."""

    package: str
    file: str
    line: int
    """From 1."""
    prompt: str
    """Ends with the line's indentation."""
    text: str
    """The line without indentation and newline."""
    spans: tuple[Span, ...]
    """Characters of `text` that are remote; none for an in-file line."""
    gold: tuple[Gold, ...]

    @property
    def kind(self) -> str:
        """`remote` or `in_file`, of the line."""
        return "remote" if self.spans else "in_file"

    @property
    def key(self) -> str:
        """What names the line."""
        return f"{self.package}:{self.file}:{self.line}"


@dataclass(slots=True)
class _Uses:
    """What a line uses from elsewhere."""

    spans: set[Span] = field(default_factory=set)
    gold: dict[Gold, None] = field(default_factory=dict)


def remote_targets(package: Package, limit: int, seed: int = 0) -> list[RemoteTarget]:
    """Return at most `limit` remote lines, spread evenly over the files that have any, in an order
    drawn from `seed`, and after each file's as many of its in-file lines at most."""
    remote, local = all_targets(package)
    columns = [_drawn(held, seed) for _, held in sorted(remote.items())]
    columns.sort(key=lambda held: _draw(held[0].file, seed))
    dealt = [one for row in zip_longest(*columns) for one in row if one is not None][:limit]
    taken: list[RemoteTarget] = []
    for path in dict.fromkeys(one.file for one in dealt):
        mine = [one for one in dealt if one.file == path]
        taken += [*mine, *_drawn(local.get(path, []), seed)[: len(mine)]]
    return taken


def all_targets(
    package: Package,
) -> tuple[dict[str, list[RemoteTarget]], dict[str, list[RemoteTarget]]]:
    """Return all remote and all in-file lines of a package, by file."""
    files = {one.module: one for one in map(read, package.files) if one is not None}
    remote: dict[str, list[RemoteTarget]] = {}
    local: dict[str, list[RemoteTarget]] = {}
    for file in files.values():
        uses = _uses(file, files)
        if not uses:
            continue
        for line in _code_lines(file):
            made = _target(package.name, file, line, uses.get(line, _Uses()))
            if made is not None:
                (remote if made.spans else local).setdefault(file.path, []).append(made)
    return remote, local


def _draw(text: str, seed: int) -> bytes:
    return blake2b(f"{seed} {text}".encode(), digest_size=8).digest()


def _drawn(held: Sequence[RemoteTarget], seed: int) -> list[RemoteTarget]:
    return sorted(held, key=lambda one: _draw(one.key, seed))


def _uses(file: File, files: Mapping[str, File]) -> dict[int, _Uses]:
    """Return by line what a file uses from elsewhere in the package."""
    known: dict[str, Defined | File] = {}
    for name, (module, inner) in file.imported.items():
        found = resolved(files, module, inner)
        where = found.path if isinstance(found, File) else found.gold.path if found else ""
        if found is not None and where != file.path:
            known[name] = found
    lines = file.text.splitlines()
    uses: dict[int, _Uses] = {}
    for node in ast.walk(file.tree):
        for line, byte, word, gold in _found(node, known):
            column = len(lines[line - 1].encode()[:byte].decode())
            held = uses.setdefault(line, _Uses())
            held.spans.add((column, column + len(word)))
            held.gold[gold] = None
    return uses


def _found(
    node: ast.AST, known: Mapping[str, Defined | File]
) -> Iterator[tuple[int, int, str, Gold]]:
    """Yield (line, byte, word, gold) of each remote word of one node."""
    if isinstance(node, ast.Name) and isinstance(held := known.get(node.id), Defined):
        yield node.lineno, node.col_offset, node.id, held.gold
    elif isinstance(node, ast.Attribute) and (gold := _attribute(node, known)):
        yield node.end_lineno or 0, (node.end_col_offset or 0) - len(node.attr), node.attr, gold
    elif isinstance(node, ast.Call) and (called := _called(node.func, known)):
        for one in node.keywords:
            if one.arg and one.arg in called.parameters:
                yield one.lineno, one.col_offset, one.arg, called.gold


def _attribute(node: ast.Attribute, known: Mapping[str, Defined | File]) -> Gold | None:
    """Return where `module.name` or `Class.member` is defined."""
    held = known.get(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(held, File):
        found = held.defined.get(node.attr)
        return found.gold if found else None
    return held.members.get(node.attr) if held else None


def _called(node: ast.expr, known: Mapping[str, Defined | File]) -> Defined | None:
    if isinstance(node, ast.Name):
        held = known.get(node.id)
        return held if isinstance(held, Defined) else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = known.get(node.value.id)
        return module.defined.get(node.attr) if isinstance(module, File) else None
    return None


def _code_lines(file: File) -> list[int]:
    """Return the lines on which statements other than imports, or parts of them, begin."""
    imports: set[int] = set()
    lines: set[int] = set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.stmt | ast.Attribute | ast.Name | ast.keyword) and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            lines.add(node.lineno)
    return sorted(lines - imports)


def _target(package: str, file: File, line: int, uses: _Uses) -> RemoteTarget | None:
    """Return a line as a target, or None where it is too short, too long, or stands first."""
    start, end = file.starts[line - 1], file.starts[line]
    whole = file.text[start:end].rstrip()
    text = whole.lstrip()
    indent = len(whole) - len(text)
    if line == 1 or not 8 <= len(text) <= LONGEST_LINE:
        return None
    first = max(0, start - PROMPT_CHARACTERS)
    if first:
        first = file.text.find("\n", first, start) + 1
    spans = sorted((a - indent, b - indent) for a, b in uses.spans if b - indent <= len(text))
    return RemoteTarget(
        package,
        file.path,
        line,
        file.text[first:start] + whole[:indent],
        text,
        tuple(spans),
        tuple(uses.gold),
    )
