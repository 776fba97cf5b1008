"""A repository to make lessons from, and one of its trees with all that lessons ask of it.

Limits: files beyond `max_file_bytes`, vendored and generated ones are not in a tree (`snapshot`);
bytes are those of the texts read.
"""

from dataclasses import dataclass
from functools import cached_property

from awareness_model.schema import SourceFile
from awareness_pipeline.config import Distil
from awareness_pipeline.gitio.languages import main_language
from awareness_pipeline.gitio.snapshot import TreeFile
from awareness_pipeline.gitio.trees import TreeReader
from awareness_pipeline.symbols.index import SymbolIndex

__all__ = ["Ground", "Tree"]


class Tree:
    """The text files of one tree."""

    def __init__(self, sha: str, files: tuple[TreeFile, ...]) -> None:
        self.sha = sha
        self.files = files

    @cached_property
    def texts(self) -> dict[str, str]:
        """Return texts by path, in order."""
        return {file.path: file.text for file in self.files}

    @cached_property
    def named(self) -> list[tuple[str, str, str]]:
        """Return files as (path, language, text)."""
        return [(file.path, file.language, file.text) for file in self.files]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Return bytes of text by path."""
        return {path: len(text.encode()) for path, text in self.texts.items()}

    @property
    def bytes(self) -> int:
        """Return the bytes of all texts."""
        return sum(self.sizes.values())

    @cached_property
    def language(self) -> str:
        """Return the main language; empty where there is none."""
        return main_language(self.sizes.items())

    def source(self, path: str) -> SourceFile:
        """Return a file by its path."""
        return SourceFile(path, self.texts[path])


@dataclass(frozen=True, slots=True)
class Ground:
    """A repository, and how lessons are to be made from it."""

    repo_id: int
    reader: TreeReader
    index: SymbolIndex
    settings: Distil
    teacher: str
    """What names the teacher."""

    def tree(self, sha: str) -> Tree:
        """Return a tree. Raises RepositoryError if it cannot be read."""
        return Tree(sha, self.reader.read(sha).files)
