"""The latent memory store on Lance: `records` (encoded chunks) and `snapshots` (what a tree holds).

Records are content-addressed and never change; readers reach them only through a snapshot, with
permissions first. Every write is one atomic commit per table, records before the rows that name
them, and is retried when another process committed in between: several may write at once, a killed
one leaves at most records that no tree names. `forget` and `collect_garbage(timedelta(0))` are for
one process alone. Lies in a folder or at an object store's URL (`location`).
Limits: a merge reads the whole key column; two that replace the same tree at once by different rows
may leave rows of both (live documents go path by path and do not).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from torch import Tensor

from awareness_model.config import MemoryConfig, UserError, frozen
from awareness_model.memory import versions as history
from awareness_model.memory.byhand import LARGEST_DOCUMENT, by_hand, told
from awareness_model.memory.hot import HotRows
from awareness_model.memory.keeping import Kept
from awareness_model.memory.lexicon import Lexicon
from awareness_model.memory.listing import BY_HAND
from awareness_model.memory.location import located, storage_options
from awareness_model.memory.nearest import index_routes
from awareness_model.memory.payload import dtype_name
from awareness_model.memory.record import Encoding, pack, schema
from awareness_model.memory.scopes import contained
from awareness_model.memory.snapshots import (
    Change,
    change_live,
    live_row,
    replace_trees,
)
from awareness_model.memory.tables import Table
from awareness_model.memory.upkeep import keep_up
from awareness_model.schema import SnapshotRow


@dataclass(frozen=True, slots=True)
class Document:
    """A live document to put: its bytes' hash and its encoded chunks (none for an empty one)."""

    path: str
    content_hash: str
    encodings: Sequence[Encoding]
    scope: str = "repository"
    acl: str = "public"


class LatentMemoryStore(Kept):
    """A folder or URL with both tables. Opening one that is not there gives an empty store."""

    def __init__(self, config: MemoryConfig) -> None:
        """Raises UserError: the dtype is unknown, or no memory can lie at the path."""
        self.config = frozen(config)
        self.dtype = dtype_name(config.dtype)
        root, options = located(config.path), storage_options()
        super().__init__(
            Table(f"{root}/records.lance", options, ("record_id", "content_hash")),
            Table(f"{root}/snapshots.lance", options, ("path", "sha", "content_hash")),
            HotRows(config.hot_bytes),
        )
        self.lexicon = Lexicon(self.config)

    def upsert(
        self,
        documents: Mapping[str, Sequence[Encoding]],
        layout: str,
        fingerprint: str,
        pooling: int = 1,
    ) -> None:
        """Add the encoded chunks of documents, by content hash, in one commit; what is there
        already stays as it is. Each document comes with all its chunks. The write by which the
        memory reaches `config.exact_below` records also makes the index over their routing vectors
        (5 s at 100,000).

        Raises:
            UserError: the store holds routing vectors of another size (another model) or payloads
                of another dtype, or a document is too large or holds NaN.
        """
        for name, encodings in documents.items():
            _bounded(name, encodings)
        now = _now()
        rows = [
            {**row, "written": now}
            for name, encodings in documents.items()
            for row in pack(name, encodings, layout, fingerprint, pooling, self.dtype)
        ]
        history.claim(self.records, self.snapshots, documents, now)
        names = [row["record_id"] for row in rows]
        there = {one["record_id"] for one in self._rows("record_id", names, ["record_id"])}
        if not (rows := [row for row in rows if row["record_id"] not in there]):
            return
        size = len(rows[0]["route"]) if rows[0]["route"] else rows[0]["shape"][-1]
        made = schema(size).with_metadata({"awareness.dtype": self.dtype})
        table = self.records.opened(made)
        held = table.schema.field("route").type.list_size
        if rows[0]["route"] and size != held:
            raise UserError(
                f"this memory holds routing vectors of {held} numbers, the model makes {size}: "
                "use another store for another model"
            )
        if (dtype := table.schema.metadata[b"awareness.dtype"].decode()) != self.dtype:
            raise UserError(f"this memory holds {dtype}, not {self.dtype}: set memory.dtype to it")
        self.records.merge(table, pa.Table.from_pylist(rows, schema(held)), "record_id", False)
        keep_up(self.records)
        index_routes(self.records, self.config.exact_below)

    def put_snapshot(self, rows: Sequence[SnapshotRow]) -> None:
        """Replace every tree (repo_id, sha) that `rows` names by its rows, 500 trees a commit."""
        now = _now()
        history.claim(self.records, self.snapshots, {row.content_hash for row in rows}, now)
        replace_trees(self.snapshots, rows, now)
        keep_up(self.snapshots)

    def put_documents(
        self, documents: Sequence[Document], layout: str, fingerprint: str, pooling: int = 1
    ) -> bool:
        """Put live documents, or replace them by path: records first, then their rows, one commit
        each; idempotent. Tells whether a row changed.

        Raises:
            UserError: as `upsert`; a path leaves the root; an unknown scope. Nothing is written.
        """
        rows = [live_row(one.path, one.content_hash, one.scope, one.acl) for one in documents]
        made = {one.content_hash: one.encodings for one in documents}
        self.upsert(made, layout, fingerprint, pooling)
        return self.change(Change(put=rows))

    def change(self, change: Change) -> bool:
        """Put, move and remove rows of the live tree in one commit, without encoding anything: the
        records are there already. Idempotent; tells whether anything changed.

        Raises:
            UserError: a path leaves the root, or one to move is nowhere.
        """
        now = _now()
        moved = {contained(old): contained(new) for old, new in change.moved.items()}
        removed = [contained(path) for path in change.removed]
        history.claim(self.records, self.snapshots, {row.content_hash for row in change.put}, now)
        done = change_live(self.snapshots, Change(change.put, moved, removed), now)
        if done:
            keep_up(self.snapshots)
        return done

    def move(self, old: str, new: str) -> bool:
        """Rename a live document; its records stay, nothing is encoded. Replaces what was at `new`.
        False where it was moved already.

        Raises:
            UserError: there is none at `old`, and none at `new`.
        """
        return self.change(Change(moved={old: new}))

    def remove(self, *paths: str) -> bool:
        """Take live documents out of the tree; their records go with garbage collection. False
        where none was there."""
        return self.change(Change(removed=paths))

    def add_document(
        self, path: str, keys: Tensor, values: Tensor, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Add one document by hand, or replace it: keys and values as `encode_document` returns
        them. It stands in the live tree, outside any repository, and has no routing vector.

        Args:
            metadata: may name `path` (then `path` is only a default), `scope` and `acl`.

        Raises:
            UserError: other metadata, which nothing would read; a path outside the root; an
                unknown scope; tensors that are empty, too large or of no layout.
        """
        place, scope, acl = told(path, metadata)
        document = by_hand(place, keys, values)
        put = Document(place, document.content_hash(), [document], scope, acl)
        self.put_documents([put], document.layout, BY_HAND)


def _now() -> int:
    return time.time_ns() // 1000


def _bounded(name: str, encodings: Sequence[Encoding]) -> None:
    size = sum(4 * one.keys.numel() * (1 if one.values is None else 2) for one in encodings)
    if size > LARGEST_DOCUMENT:
        raise UserError(
            f"document {name[:16]} has {size >> 20} MiB of tensors, at most "
            f"{LARGEST_DOCUMENT >> 20} are kept: split it, or leave it out"
        )
