"""Reading a memory: trees to documents, documents to records, records to tensors.

A reader sees both tables as they are now, or (`LatentMemoryStore.pinned`) at one version. Snapshot
rows are read first and records after, and writers commit records first: a path that is seen has its
records. Permissions and scopes stand in the snapshots' query; a tensor is read from disk only for
documents that came through it, by `content_hash` or `record_id` in the records' query. Methods that
take content hashes trust the caller to have them from `select` or `documents`.
Limits: a damaged document is refused by name, and files that cannot be read are left out.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.memory.hot import HotRows
from awareness_model.memory.integrity import Damaged, payload_digest
from awareness_model.memory.listing import SIZES, Entry, choose, entries, joined
from awareness_model.memory.record import (
    LOADED,
    PAYLOAD,
    Held,
    Record,
    unpack,
)
from awareness_model.memory.router import Candidate
from awareness_model.memory.scopes import PUBLIC, matches, parsed, quoted, tree_filter
from awareness_model.memory.snapshots import COLUMNS, LIVE, in_lists
from awareness_model.memory.tables import SCAN_ROWS, Table
from awareness_model.schema import SnapshotRow, digest


class Reader:
    """Two tables and the hot rows in front of them."""

    def __init__(self, records: Table, snapshots: Table, hot: HotRows) -> None:
        self.records, self.snapshots, self.hot = records, snapshots, hot

    def select(
        self,
        repo_id: int,
        sha: str,
        glob: str = "**",
        acl: Collection[str] = PUBLIC,
        scope: str | None = None,
    ) -> list[SnapshotRow]:
        """Return the rows of a tree that a reader may see, sorted by path; none for no tree."""
        found = self._selected(COLUMNS, repo_id, sha, glob, acl, scope)
        return [SnapshotRow(**row) for row in found]

    def documents(
        self,
        scope: str = "**",
        acl: Collection[str] = PUBLIC,
        repo_id: int = LIVE[0],
        sha: str = LIVE[1],
    ) -> dict[str, str]:
        """Return content hashes by path, of a glob or a named scope of a tree (the live one).

        Raises:
            UserError: the glob leaves the root.
        """
        glob, name = parsed(scope)
        return {row.path: row.content_hash for row in self.select(repo_id, sha, glob, acl, name)}

    def listing(self, scope: str = "**", acl: Collection[str] = PUBLIC) -> list[Entry]:
        """Return the live documents of a scope with sizes and times, sorted by path.

        Raises:
            UserError: the glob leaves the root.
        """
        glob, name = parsed(scope)
        columns = ("path", "content_hash", "scope", "acl", "written")
        rows = self._selected(columns, *LIVE, glob, acl, name)
        hashes = {row["content_hash"] for row in rows}
        return entries(rows, self._rows("content_hash", hashes, SIZES))

    def scopes(self, acl: Collection[str] = PUBLIC) -> dict[str, int]:
        """Return how many live documents each named scope holds."""
        return dict(sorted(Counter(row.scope for row in self.select(*LIVE, acl=acl)).items()))

    def held(self, hashes: Collection[str], layout: str, fingerprint: str) -> list[Held]:
        """Return the records of documents without their tensors, sorted by record id."""
        columns = ["record_id", "content_hash", "tokens", "bytes"]
        rows = self._rows("content_hash", hashes, columns, _encoding(layout, fingerprint))
        return sorted({Held(**row) for row in rows}, key=lambda held: held.record_id)

    def missing(self, hashes: Collection[str], layout: str, fingerprint: str) -> list[str]:
        """Return the content hashes that have no record of this encoding, sorted."""
        found = {held.content_hash for held in self.held(hashes, layout, fingerprint)}
        return sorted(set(hashes) - found)

    def encodings(self, hashes: Collection[str] | None = None) -> dict[tuple[str, str], int]:
        """Return the records of documents (of all) by layout and encoder fingerprint."""
        columns = ["layout", "encoder_fingerprint"]
        found = (
            self.records.rows(columns)
            if hashes is None
            else self._rows("content_hash", hashes, columns)
        )
        counts = Counter((row["layout"], row["encoder_fingerprint"]) for row in found)
        return dict(sorted(counts.items()))

    def expect(self, layout: str, fingerprint: str, hashes: Collection[str] | None = None) -> None:
        """Refuse documents (the whole memory) that only another encoder has encoded.

        Raises:
            UserError: there are records, and none of this layout and encoder.
        """
        held = self.encodings(hashes)
        if held and (layout, fingerprint) not in held:
            others = ", ".join(f"{one}/{mark[:12]}" for one, mark in held)
            raise UserError(
                f"this memory was made by another encoder ({others}; asked: {layout}/"
                f"{fingerprint[:12]}): run `awareness index PATH` again with this model"
            )

    def load(self, record_ids: Collection[str]) -> list[Record]:
        """Return records with their tensors, in the order asked; hot ones from RAM.

        Raises:
            KeyError: a record is not there.
            Damaged: a record is not what was written, or a file cannot be read.
        """
        version = self.records.number()
        if doubtful := self.hot.doubtful(record_ids, version):
            rows = self._rows("record_id", doubtful, ["record_id", "checksum"])
            sums = {row["record_id"]: row["checksum"] for row in rows}
            self.hot.confirm(doubtful, sums, version)
        found = self.hot.take(record_ids, version)
        for row in self._rows("record_id", set(record_ids) - found.keys(), LOADED):
            record = found[row["record_id"]] = unpack(row)
            self.hot.keep(record, row["checksum"], version)
        if self.records.broken and (lost := set(record_ids) - found.keys()):
            raise self._unreadable(sorted(lost))
        return [found[record_id] for record_id in record_ids]

    def chunks(self, hashes: Sequence[str], layout: str, fingerprint: str) -> list[list[Record]]:
        """Return the records of each document with their tensors, chunks in order; a document that
        is empty or not encoded has none.

        Raises:
            Damaged: a document is not what was written, or may be in a file that cannot be read.
        """
        chunks: dict[str, list[Record]] = {name: [] for name in hashes}
        for record in self.load([one.record_id for one in self.held(hashes, layout, fingerprint)]):
            chunks[record.content_hash].append(record)
        if self.records.broken and (lost := [name for name, held in chunks.items() if not held]):
            raise self._unreadable(lost)
        return [sorted(chunks[name], key=lambda record: record.span) for name in hashes]

    def candidates(self, hashes: Collection[str], layout: str, fingerprint: str) -> list[Candidate]:
        """Return what a selector may choose from: the documents' routing vectors, by record id."""
        condition = f"route IS NOT NULL AND {_encoding(layout, fingerprint)}"
        columns = ["record_id", "content_hash", "level"]
        made = []
        for part in in_lists(hashes):
            where = f"{condition} AND content_hash IN ({part})"
            for batch in self.records.batches([*columns, "route"], where):
                flat = torch.tensor(batch["route"].flatten().to_numpy(zero_copy_only=False))
                parts = [batch[name].to_pylist() for name in columns]
                routes = flat.reshape(batch.num_rows, -1).unbind()
                made += list(map(Candidate, *parts, routes))
        return sorted(made, key=lambda candidate: candidate.record_id)

    def retrieve_by_scope(
        self,
        scope: str,
        acl: Collection[str] = PUBLIC,
        layout: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return (K_mem, V_mem) of all live documents in a scope, in the order of their paths.

        Args:
            scope: a glob such as `src/**/*.py`, or a name such as `user-profile`.
            layout, fingerprint: where the scope holds several, which to read.

        Raises:
            UserError: nothing is in scope, or it holds several layouts or encoders.
        """
        documents = self.documents(scope, acl)
        hashes = list(documents.values())
        held = self.encodings(hashes)
        if not held and hashes and self.records.broken:
            raise self._unreadable(hashes)
        chosen = choose(scope, held, layout, fingerprint)
        # A document has its records in one of the encodings; paths give the order.
        parts = [self.chunks(hashes, *encoding) for encoding in chosen]
        return joined(
            scope, [one for group in zip(*parts, strict=True) for held in group for one in held]
        )

    def digest(self) -> str:
        """Return what is in the store: sorted record ids with hashes of their tensors, and the
        snapshots' rows; no times, no row order."""
        columns = ["record_id", *PAYLOAD]
        records = {
            row["record_id"]: payload_digest(row)
            for batch in self.records.batches(columns, rows=SCAN_ROWS)
            for row in batch.to_pylist()
        }
        trees = {
            "\0".join(str(row[name]) for name in COLUMNS) for row in self.snapshots.rows(COLUMNS)
        }
        lines = [f"{name} {value}" for name, value in sorted(records.items())]
        return digest(*lines, "snapshots", *sorted(trees))

    def _selected(
        self,
        columns: Sequence[str],
        repo_id: int,
        sha: str,
        glob: str,
        acl: Collection[str],
        scope: str | None,
    ) -> list[dict[str, Any]]:
        found = self.snapshots.rows(columns, tree_filter(repo_id, sha, acl, scope, glob))
        rows = [row for row in found if matches(glob, row["path"])]
        return sorted(rows, key=lambda row: str(row["path"]))

    def _rows(
        self, column: str, values: Collection[str], columns: Sequence[str], also: str = "true"
    ) -> Iterator[dict[str, Any]]:
        """Yield the records whose `column` is among `values`."""
        for part in in_lists(values):
            yield from self.records.rows(columns, f"{also} AND {column} IN ({part})")

    def _unreadable(self, lost: Sequence[str]) -> Damaged:
        names = ", ".join(name[:16] for name in lost[:5])
        files = ", ".join(self.records.broken)
        return Damaged(
            f"{len(lost)} not found ({names}), and {files} cannot be read: `check()` names the "
            "documents, `repair()` drops what is broken, then index again"
        )


def _encoding(layout: str, fingerprint: str) -> str:
    return f"layout = {quoted([layout])} AND encoder_fingerprint = {quoted([fingerprint])}"
