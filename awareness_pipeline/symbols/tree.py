"""A tree of files in which imports can be followed to the file they mean.

A Python module is the file at the end of whose path it stands, the nearest to the importing file
where there are several; a relative one, and a JavaScript path, mean one file. A Go import means a
folder: by the `go.mod` above it, and without one by the end of the path. A name that a file only
passes on is followed to where it is defined, `MAX_HOPS` imports deep.

Limits: search paths, bundler aliases and `replace` lines are not known. A module of Python's
standard library is taken for a file of the tree only at the top of the tree or of `src` or `lib`.
"""

import posixpath
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

from awareness_pipeline.symbols.index import Facts, SymbolIndex
from awareness_pipeline.symbols.modules import import_name, module_parts, names_file
from awareness_pipeline.symbols.names import LANGUAGES, Import

__all__ = ["Tree"]

MAX_HOPS: Final = 4
MAX_ASKED: Final = 64
"""Files asked for one name that is passed on; beyond them it counts as not defined."""
_GO_MODULE: Final = re.compile(r"^module\s+\"?([^\s\"]+)", re.MULTILINE)


class Tree:
    """The files of a tree, given as (path, language, text)."""

    def __init__(self, files: Iterable[tuple[str, str, str]], index: SymbolIndex) -> None:
        """Sort the files by how imports name them; nothing is parsed yet."""
        self.index = index
        self.paths: set[str] = set()
        self.files: dict[str, tuple[str, str]] = {}
        """Language and text of the files that are understood."""
        self._by_end: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._folders: dict[str, list[str]] = defaultdict(list)
        self._go_modules: list[tuple[str, str]] = []
        self._found: dict[tuple[str, str, str], str] = {}
        self._facts: dict[str, Facts] = {}
        self._imports: dict[str, tuple[Import, ...]] = {}
        self._defined: dict[str, dict[str, list[str]]] = {}
        for path, language, text in sorted(files):
            self.paths.add(path)
            if language in LANGUAGES:
                self._take(path, language, text)
            elif posixpath.basename(path) == "go.mod" and (module := _GO_MODULE.search(text)):
                self._go_modules.append((module[1], posixpath.dirname(path)))

    def facts(self, path: str) -> Facts:
        """Return what a file of the tree defines."""
        if path not in self._facts:
            self._facts[path] = self.index.facts(*self.files[path])
        return self._facts[path]

    def imports(self, path: str) -> tuple[Import, ...]:
        """Return what a file of the tree imports."""
        if path not in self._imports:
            self._imports[path] = self.index.imports(*self.files[path])
        return self._imports[path]

    def go_definers(self, folder: str, name: str) -> list[str]:
        """Return the Go files of a folder that define a name; `` is the top of the tree."""
        if folder not in self._defined:
            self._defined[folder] = defaultdict(list)
            for path in self._folders.get(folder, ()):
                for defined in self.facts(path).names:
                    self._defined[folder][defined].append(path)
        return self._defined[folder].get(name, [])

    def module_file(self, module: str, path: str, language: str) -> str:
        """Return the file that the file `path` means by a module; empty where that is not clear."""
        key = (module, path, language)
        if key not in self._found:
            found = [one for one in self._candidates(*key) if one != path]
            self._found[key] = _nearest(found, path)
        return self._found[key]

    def go_folder(self, module: str) -> str | None:
        """Return the folder that a Go import path means; None for one that is not in the tree."""
        if self._go_modules:
            for prefix, folder in sorted(self._go_modules, reverse=True):
                if module == prefix or module.startswith(f"{prefix}/"):
                    below = posixpath.join(folder, module[len(prefix) + 1 :]).strip("/")
                    return below if below in self._folders else None
            return None
        parts = module.split("/")
        ends = ("/".join(parts[at:]) for at in range(len(parts)))
        return next((end for end in ends if end in self._folders), None)

    def definer(self, path: str, name: str) -> str:
        """Return the file that defines a name which the file `path` gives out; empty if none.

        The file itself, or the one it takes the name from. Python and JavaScript.
        """
        asked, seen = {(path, name)}, set()
        for _ in range(MAX_HOPS + 1):
            found = {one for one, wanted in asked if wanted in self.facts(one).names}
            seen |= asked
            if found or len(seen) > MAX_ASKED:
                return found.pop() if len(found) == 1 else ""
            asked = {source for one in asked for source in self._sources(*one)} - seen
        return ""

    def _sources(self, path: str, name: str) -> Iterator[tuple[str, str]]:
        """Yield the files that a file takes a name from, and the name there."""
        for taken in (one for one in self.imports(path) if one.local in (name, "*")):
            source = self.module_file(taken.module, path, self.files[path][0])
            if source:
                yield source, name if taken.local == "*" else taken.name

    def _take(self, path: str, language: str, text: str) -> None:
        self.files[path] = (language, text)
        if language == "Go":
            self._folders[posixpath.dirname(path)].append(path)
        else:
            self._by_end[language, module_parts(path)[-1]].append(path)

    def _candidates(self, module: str, path: str, language: str) -> Iterator[str]:
        for end in _ends(module, path, language):
            for target in self._by_end.get((language, end), ()):
                if names_file(module, path, target, language) and _may_be(module, target, language):
                    yield target
        if language == "JavaScript" and _asked(module, path) == "." and "index.js" in self.files:
            yield "index.js"


def _ends(module: str, path: str, language: str) -> set[str]:
    """Return what the last part of a file's module path may be, if `module` means the file."""
    if language == "JavaScript":
        asked = PurePosixPath(_asked(module, path))
        return {asked.name, asked.stem, asked.parent.name if asked.stem == "index" else ""}
    name = module.lstrip(".")
    if name:
        return {name.rpartition(".")[2]}
    above = PurePosixPath(path).parts[: -len(module)]
    return set(above[-1:])


def _asked(module: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), module))


def _may_be(module: str, target: str, language: str) -> bool:
    """Tell whether a file may be what Python imports under the name of a standard module."""
    top = module.partition(".")[0]
    if language != "Python" or top not in sys.stdlib_module_names:
        return True
    return import_name(target) == module


def _nearest(paths: list[str], path: str) -> str:
    """Return the path that shares most folders with another, if there is one such."""
    common = {one: posixpath.commonpath([f"/{one}", f"/{path}"]).rstrip("/") for one in paths}
    shared = {one: folder.count("/") for one, folder in common.items()}
    best = max(shared.values(), default=0)
    nearest = [one for one, depth in shared.items() if depth == best]
    return nearest[0] if len(nearest) == 1 else ""
