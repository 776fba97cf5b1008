"""A store as a reader of one encoding sees it: trees to documents, documents to chunks.

Everything starts at a tree, with permissions first. Documents without records of this encoding
(empty ones, or not encoded yet) do not appear.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from awareness_model.memory.reader import Reader
from awareness_model.memory.record import Record
from awareness_model.memory.router import Candidate
from awareness_model.memory.scopes import PUBLIC


@dataclass(frozen=True, slots=True)
class Shelf:
    """The documents of one layout and encoder fingerprint."""

    store: Reader
    layout: str
    fingerprint: str
    acl: Collection[str] = PUBLIC

    def snapshot(self, repo_id: int, sha: str) -> dict[str, str]:
        """Return content hashes by path of the tree's documents that are in memory, by path."""
        rows = self.store.select(repo_id, sha, acl=self.acl)
        hashes = {row.content_hash for row in rows}
        missing = set(self.store.missing(hashes, self.layout, self.fingerprint))
        return {row.path: row.content_hash for row in rows if row.content_hash not in missing}

    def chunks(self, content_hashes: Sequence[str]) -> list[list[Record]]:
        """Return the chunks of documents that a snapshot named, in order."""
        return self.store.chunks(content_hashes, self.layout, self.fingerprint)

    def candidates(self, content_hashes: Collection[str]) -> list[Candidate]:
        """Return routing vectors of documents that a snapshot named."""
        return self.store.candidates(content_hashes, self.layout, self.fingerprint)
