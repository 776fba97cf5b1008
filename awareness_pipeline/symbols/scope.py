"""Where the names that one file uses are defined, in a tree that the file may not be part of.

A name counts where one import decides it, or (Go) one other file of the package; never where it may
be the file's own. `module.name` is followed through the import of `module`, also where that is
an alias or a package; a name passed on by another module is followed to its definition.

Limits: what stands before a dot counts only if it was imported, so methods and attributes of values
are not followed; a local variable that hides an import is taken for it.
"""

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import chain

from awareness_pipeline.symbols import go
from awareness_pipeline.symbols.names import Import, Use
from awareness_pipeline.symbols.syntax import parse
from awareness_pipeline.symbols.tree import Tree

__all__ = ["Scope"]


class Scope:
    """The imports of one text at one path, seen from a tree."""

    def __init__(self, tree: Tree, path: str, language: str, text: str) -> None:
        """Read the file's imports and own names."""
        self.tree, self.path, self.language = tree, path, language
        facts = tree.index.facts(language, text)
        self.package = facts.package
        self.own = facts.names
        if language == "Go":
            self.own |= go.bound_names(parse(text, language))
        self.imported: dict[str, set[Import]] = defaultdict(set)
        self.sources: dict[tuple[str, str], set[Import]] = defaultdict(set)
        self.folders: set[tuple[str, str]] = set()
        """Folders that a Go file imports, and the names it gives them."""
        for taken in tree.index.imports(language, text):
            self.imported[taken.local].add(taken)
            for name in (taken.local, taken.name):
                self.sources[taken.module, name].add(taken)
            folder = tree.go_folder(taken.module) if language == "Go" else None
            if folder is not None:
                self.folders.add((folder, taken.local))

    def definer(self, use: Use, qualifiers: Collection[str] = ()) -> str:
        """Return the file that defines a name where it is used; empty where that is not clear.

        A name that is also one of `qualifiers` does not stand for its module: what is behind its
        dot decides.
        """
        found = set(self._go(use) if self.language == "Go" else self._named(use, qualifiers))
        found -= {"", self.path}
        return found.pop() if len(found) == 1 else ""

    def modules(self) -> Iterator[str]:
        """Yield the files that the imports name. Not for Go, which imports folders."""
        for taken in chain.from_iterable(self.imported.values()):
            yield self._file(taken.module)
            if self.language == "Python" and taken.name not in ("", "*"):
                yield self._file(_below(taken.module, taken.name))

    def _named(self, use: Use, qualifiers: Collection[str]) -> Iterator[str]:
        if use.qualifier:
            yield from self._qualified(use)
        elif use.source:
            for taken in self.sources.get((use.source, use.name), ()):
                yield self._taken(taken, passes=use.name in qualifiers)
        elif use.name in self.imported:
            for taken in self.imported[use.name]:
                yield self._taken(taken, passes=use.name in qualifiers)
        elif use.name not in self.own:
            for taken in self.imported.get("*", ()):
                yield self._defined(taken.module, use.name)

    def _taken(self, taken: Import, *, passes: bool) -> str:
        """Return where an imported name comes from; `passes`: a module does not count."""
        if taken.name not in ("", "default") and (found := self._defined(taken.module, taken.name)):
            return found
        if passes:
            return ""
        is_part = self.language == "Python" and taken.name
        return self._file(_below(taken.module, taken.name) if is_part else taken.module)

    def _qualified(self, use: Use) -> Iterator[str]:
        """Follow `a.b.name` by the longest beginning of `a.b` that was imported."""
        parts = use.qualifier.split(".")
        for length in range(len(parts), 0, -1):
            takes = self.imported.get(".".join(parts[:length]))
            if not takes:
                continue
            for taken in takes:
                module = taken.module
                if self.language == "Python":
                    for part in filter(None, [taken.name, *parts[length:]]):
                        module = _below(module, part)
                elif length < len(parts) or taken.name not in ("", "default"):
                    continue
                yield self._defined(module, use.name)
            return

    def _go(self, use: Use) -> Iterator[str]:
        if not use.qualifier:
            if use.name not in self.own:
                folder = posixpath.dirname(self.path)
                yield from self._of_package(folder, use.name, self.package, tests=True)
            return
        for folder, local in self.folders:
            if local in ("", use.qualifier):
                package = "" if local else use.qualifier
                yield from self._of_package(folder, use.name, package, tests=False)

    def _of_package(self, folder: str, name: str, package: str, *, tests: bool) -> Iterator[str]:
        """Yield the files of a Go folder that define a name; `package` empty: of any package."""
        for path in self.tree.go_definers(folder, name):
            is_seen = tests or not path.endswith("_test.go")
            if is_seen and package in ("", self.tree.facts(path).package):
                yield path

    def _file(self, module: str) -> str:
        return self.tree.module_file(module, self.path, self.language)

    def _defined(self, module: str, name: str) -> str:
        source = self._file(module)
        return self.tree.definer(source, name) if source else ""


def _below(module: str, name: str) -> str:
    return f"{module}{name}" if module.endswith(".") else f"{module}.{name}"
