"""Real code that is everywhere: the standard library and the installed packages, split by package.

A package is a top-level package of the standard library, all its single modules together
(`python-modules`), or an installed distribution. Test code and vendored copies are left out, and so
is a file of which most lines stand in an earlier one. The side of a package is a hash of its
family (the name up to the first hyphen, without digits: `dagster` for `dagster-graphql`), so that
kin never stand on both. Readers are trained on `train` alone and measured on `held_out` alone.

Limits: what is installed decides (`corpus_digest` names it); base models have likely read much of
it, hence the conditions without memory and with another package's; of a large package only the
files nearest its root are read; files beyond ASCII are no source of lines. Standard library only.
"""

import ast
import json
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.metadata import Distribution, distributions
from pathlib import Path

HELD_OUT = 0.4
"""Share of families that are held out."""
MOST_FILES = 80
"""Files of a package: those nearest its root, then by path."""
LEAST_BYTES, MOST_BYTES = 200, 40_000
"""Of a file."""
SAME_LINES = 0.6
"""Share of a file's lines in one earlier file that makes it a copy."""
LEAST_LINE = 12
"""Characters of a line that tells files apart."""
STANDARD, MODULES = "python", "python-modules"
APART = re.compile(
    r"(^|/)(_?tests?|testing|idle_test|_?vendor(ed)?|third_party|externals?|__generated__"
    r"|conftest\.py|_?tests?_.*|.*_tests?\.py|.*_pb2.*|turtledemo|__phello__)(/|$)"
)


@dataclass(frozen=True, slots=True)
class Package:
    """Files of one package: (path below `root` with slashes, text), sorted by path."""

    name: str
    root: str
    """Where it is installed; empty where it was read back from a file. Part of no digest."""
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A top-level function of a package."""

    package: str
    path: str
    name: str
    text: str


def packages(most_files: int = MOST_FILES) -> list[Package]:
    """Return the packages of the running interpreter, by name, copies removed."""
    found = {**_standard(), **_installed()}
    read = [
        Package(name, str(root), _texts(root, paths, most_files))
        for name, (root, paths) in sorted(found.items())
    ]
    return [one for one in _without_copies(read) if len(one.files) > 1]


def family(name: str) -> str:
    """Return what a package's kin share: `dagster` of `dagster-graphql`, `httpx` of `httpx2`. Each
    package of the standard library is a family of its own."""
    name = name.lower()
    if name == MODULES or name.startswith(f"{STANDARD}."):
        return name
    return re.split(r"[-_.]", name)[0].rstrip("0123456789")


def side(name: str) -> str:
    """Return `train` or `held_out`, the same for all packages of a family."""
    drawn = int.from_bytes(blake2b(family(name).encode(), digest_size=8).digest(), "big") / 2**64
    return "held_out" if drawn < HELD_OUT else "train"


def on_side(found: Iterable[Package], wanted: str) -> list[Package]:
    """Return the packages of one side."""
    return [one for one in found if side(one.name) == wanted]


def corpus_digest(found: Sequence[Package]) -> str:
    """Return a blake2b-128 of names, paths and texts."""
    state = blake2b(digest_size=16)
    for one in found:
        for path, text in one.files:
            state.update(f"{one.name}\0{path}\0{len(text)}\0{text}".encode("utf-8", "replace"))
    return state.hexdigest()


def functions(package: Package, most_lines: int = 60) -> list[Function]:
    """Return the top-level functions of 3 to `most_lines` lines, by path and place."""
    made = []
    for path, text in package.files:
        tree, lines = parsed(text), text.splitlines(keepends=True)
        for node in tree.body if tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
                if 3 <= (node.end_lineno or 0) - first <= most_lines:
                    body = "".join(lines[first : node.end_lineno])
                    made.append(Function(package.name, path, node.name, body))
    return made


def parsed(text: str) -> ast.Module | None:
    """Return a file's syntax tree, or None where this interpreter cannot read it."""
    if "\f" in text or "\r" in text or not text.isascii():
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def write_packages(path: Path, found: Sequence[Package]) -> None:
    """Write packages as JSON lines, for a machine that has not the same ones installed."""
    rows = ({**asdict(one), "root": ""} for one in found)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_packages(path: Path) -> list[Package]:
    """Read what `write_packages` wrote."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Package(row["name"], "", tuple(map(tuple, row["files"]))) for row in rows]


def _standard() -> dict[str, tuple[Path, list[str]]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    found = {MODULES: (root, [one.name for one in root.glob("*.py")])}
    for folder in root.iterdir():
        if (folder / "__init__.py").is_file():
            paths = [one.relative_to(root).as_posix() for one in folder.rglob("*.py")]
            found[f"{STANDARD}.{folder.name}"] = (root, paths)
    return found


def _installed() -> dict[str, tuple[Path, list[str]]]:
    found = {}
    for one in distributions():
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()
        if paths := list(_python_files(one)):
            found[name] = (Path(str(one.locate_file(""))), paths)
    return found


def _python_files(one: Distribution) -> Iterator[str]:
    for path in one.files or ():
        if path.suffix == ".py" and path.parts[0] != "..":
            yield path.as_posix()


def _texts(root: Path, paths: Sequence[str], most: int) -> tuple[tuple[str, str], ...]:
    """Read the files nearest the root, up to `most`; those that are no UTF-8 are left out."""
    kept: list[tuple[str, str]] = []
    for path in sorted(set(paths), key=lambda one: (one.count("/"), one)):
        if len(kept) == most:
            break
        if APART.search(path) or not (root / path).is_file():
            continue
        if LEAST_BYTES <= (root / path).stat().st_size <= MOST_BYTES:
            try:
                kept.append((path, (root / path).read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue
    return tuple(sorted(kept))


def _without_copies(found: Sequence[Package]) -> Iterator[Package]:
    """Leave out files of which `SAME_LINES` stand in one file before them."""
    holders: dict[int, list[int]] = {}
    number = 0
    for package in found:
        kept = []
        for path, text in package.files:
            lines = {
                int.from_bytes(blake2b(line.encode(), digest_size=8).digest(), "big")
                for line in map(str.strip, text.splitlines())
                if len(line) >= LEAST_LINE and not line.startswith(("#", "import ", "from "))
            }
            shared = Counter(one for line in lines for one in holders.get(line, ()))
            if not lines or max(shared.values(), default=0) >= SAME_LINES * len(lines):
                continue
            number += 1
            kept.append((path, text))
            for line in lines:
                if len(held := holders.setdefault(line, [])) < 8:
                    held.append(number)
        yield Package(package.name, package.root, tuple(kept))
