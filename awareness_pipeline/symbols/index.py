"""What files define and import, remembered by content: a tree that changed little costs little.

The same text in two trees, or at two paths, is parsed once. Limits: the least recently used go when
`limit` is reached; what a file uses is not kept, as it is asked of few files and is much.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar

from awareness_model.schema import content_hash
from awareness_pipeline.symbols import go
from awareness_pipeline.symbols.names import (
    LANGUAGES,
    Definition,
    Import,
    definitions_in,
    imports,
)
from awareness_pipeline.symbols.parameters import Signature, signatures
from awareness_pipeline.symbols.syntax import parse

__all__ = ["Facts", "SymbolIndex"]

LIMIT: Final = 20_000
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file gives to others."""

    definitions: tuple[Definition, ...] = ()
    signatures: tuple[Signature, ...] = ()
    package: str = ""
    """The package clause, for Go."""

    @property
    def names(self) -> frozenset[str]:
        """Return the names defined at top level."""
        return frozenset(one.name for one in self.definitions if one.kind != "method")


class SymbolIndex:
    """Facts of texts by language and content, at most `limit` of each sort."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Start empty."""
        self.limit = limit
        self.parsed = 0
        """How many texts were parsed so far."""
        self._facts: OrderedDict[Hashable, Facts] = OrderedDict()
        self._imports: OrderedDict[Hashable, tuple[Import, ...]] = OrderedDict()

    def facts(self, language: str, text: str) -> Facts:
        """Return what a text defines; nothing for languages that are not understood."""
        return self._kept(self._facts, language, text, _facts)

    def imports(self, language: str, text: str) -> tuple[Import, ...]:
        """Return what a text imports; nothing for languages that are not understood."""
        return self._kept(self._imports, language, text, _imports)

    def _kept(
        self,
        known: OrderedDict[Hashable, ValueT],
        language: str,
        text: str,
        read: Callable[[str, str], ValueT],
    ) -> ValueT:
        key = (language, content_hash(text.encode("utf-8")))
        if key in known:
            known.move_to_end(key)
            return known[key]
        self.parsed += 1
        known[key] = read(text, language)
        if len(known) > self.limit:
            known.popitem(last=False)
        return known[key]


def _facts(text: str, language: str) -> Facts:
    if language not in LANGUAGES:
        return Facts()
    root = parse(text, language)
    package = go.package_name(root) if language == "Go" else ""
    return Facts(tuple(definitions_in(root, language)), tuple(signatures(root)), package)


def _imports(text: str, language: str) -> tuple[Import, ...]:
    return tuple(imports(text, language))
