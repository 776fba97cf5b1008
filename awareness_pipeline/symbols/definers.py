"""The files of a tree that are understood, and which of them alone decides a name."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from awareness_pipeline.symbols.index import Facts, SymbolIndex
from awareness_pipeline.symbols.names import LANGUAGES, Definition

__all__ = ["CodeFile", "code_files", "deciders"]


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file in an understood language, with what it defines."""

    path: str
    language: str
    text: str
    facts: Facts

    @property
    def defined(self) -> tuple[Definition, ...]:
        """Return the names it defines, in order."""
        return self.facts.definitions

    @property
    def package(self) -> str:
        """Return its package clause, for Go."""
        return self.facts.package

    @property
    def folder(self) -> str:
        """Return the path of its folder; `.` at the top."""
        return str(PurePosixPath(self.path).parent)


def code_files(files: Iterable[tuple[str, str, str]], index: SymbolIndex) -> list[CodeFile]:
    """Return the files, given as (path, language, text), that are understood, by path."""
    return [
        CodeFile(path, language, text, index.facts(language, text))
        for path, language, text in sorted(files)
        if language in LANGUAGES
    ]


def deciders(files: Iterable[CodeFile]) -> dict[tuple[str, str], CodeFile]:
    """Return, by language and name, the file that alone defines a name at top level."""
    found: dict[tuple[str, str], CodeFile] = {}
    shared: set[tuple[str, str]] = set()
    for file in files:
        for name in file.facts.names:
            key = (file.language, name)
            if key in found:
                shared.add(key)
            found[key] = file
    return {key: file for key, file in found.items() if key not in shared}
