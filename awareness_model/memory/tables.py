"""One Lance table: opening, scanning, merging. With `upkeep` all that knows Lance's manners.

Facts it rests on, found by experiment with pylance 14.0.2:
- A merge on a column that has a scalar index lets two processes insert the same key at once and
  keeps both rows (1 to 2 of 20 keys, three writers). With `use_index(False)` none were doubled.
- `write_dataset(mode="create")` by several at once: in half the races a second one succeeded and
  overwrote what the first held. A commit on version 0 without retries has one winner.
- A merge that began at an older version and meets another's change of the same rows fails with
  "Too many concurrent writers" once its own retries are used up; compaction with "Retryable".
- One unreadable data file fails every full scan; its fragment can be left out of the scan.
- A lost manifest is passed over in silence (the version before is the last); a torn one raises.
Limits: a merge reads the key column of the whole table (5 ms for 10,000 rows).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import lance
import pyarrow as pa

from awareness_model.config import UserError
from awareness_model.memory.conflicts import CONFLICT_RETRIES, Conflict, ResultT, is_conflict
from awareness_model.memory.integrity import Damaged
from awareness_model.memory.location import local_folder

LOG = logging.getLogger(__name__)
MARK = {"awareness.memory": "2"}
"""Kept with the columns: the form of the tables. Others are refused."""
SCAN_ROWS = 16
"""Rows with tensors read at once where all are read."""
METADATA_BYTES = 64 << 20
INDEX_BYTES = 512 << 20
"""Most RAM of a table's indices; they are read as they are used. Holds the vectors of 200,000
records of 576 numbers: a search of all cells takes 17 ms at 100,000 from RAM, 85 ms beyond it."""
TORN = (OSError, ValueError)
"""What Lance raises for a file that is gone, cut or garbled (`ArrowInvalid` is a ValueError)."""


def new_session() -> Any:
    """Lance's caches for one table. The metadata cache also holds pages of small files."""
    return lance.Session(
        index_cache_size_bytes=INDEX_BYTES, metadata_cache_size_bytes=METADATA_BYTES
    )


@dataclass(slots=True)
class Table:
    """A table at a fixed version, or at whatever is the latest each time."""

    uri: str
    options: dict[str, str] | None = field(repr=False)
    """Storage options; may hold credentials."""
    indexed: tuple[str, ...]
    version: int | None = None
    broken: dict[str, str] = field(default_factory=dict)
    """Data files the last scans could not read, with the reason."""
    session: Any = field(default_factory=new_session)

    def found(self) -> Any | None:
        """Open the table; None where none was ever committed (a killed maker leaves folders only).

        Raises:
            UserError: the last manifest is torn, all manifests are gone, or it has another form.
        """
        table = self._manifest()
        if table is None and self._has_data():
            # Data comes after the first manifest: another writer may have made both just now.
            table = self._manifest()
            if table is None:
                raise Damaged(f"{self.uri} has data but no manifest: index into a new memory")
        if table is None:
            return None
        held = {
            key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()
        }
        if held.get("awareness.memory") != MARK["awareness.memory"]:
            raise UserError(f"{self.uri} has an older form: index into a new memory")
        return table

    def _manifest(self) -> Any | None:
        try:
            return self._open(self.version)
        except ValueError as error:
            if "was not found" not in str(error):
                raise self._torn(error) from None
            return None

    def opened(self, columns: pa.Schema) -> Any:
        """Open the table, or make it empty; who loses the race to make it opens the winner's."""
        if (table := self.found()) is not None:
            return table
        made = columns.with_metadata({**(columns.metadata or {}), **MARK})
        empty = lance.LanceOperation.Overwrite(made, [])
        try:
            return lance.LanceDataset.commit(
                self.uri, empty, read_version=0, max_retries=0, storage_options=self.options
            )
        except OSError as error:
            if not any(sign in str(error) for sign in ("already exists", "was not found")):
                raise
            return self.found()

    def at(self, version: int) -> "Table":
        """Return the table at a version."""
        return Table(self.uri, self.options, self.indexed, version, self.broken, self.session)

    def number(self) -> int:
        """Return the version read from now; 0 where there is no table."""
        table = self.found()
        return 0 if table is None else int(table.version)

    def batches(
        self, columns: Sequence[str], condition: str | None = None, rows: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows; fragments that cannot be read are left out and noted in `broken`."""
        if (table := self.found()) is None:
            return
        how = {"columns": list(columns), "filter": condition, "batch_size": rows}
        try:
            if rows is None:
                yield from table.scanner(**how).to_table().to_batches()
                return
        except TORN:
            # A query that is itself wrong fails here too, and is no sign of a broken file.
            table.scanner(list(columns), condition, use_scalar_index=False).explain_plan()
        for fragment in table.get_fragments():
            try:
                yield from fragment.scanner(**how, use_scalar_index=False).to_batches()
            except TORN as error:
                self._note(fragment, error)

    def rows(
        self, columns: Sequence[str], condition: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield rows as dicts."""
        for batch in self.batches(columns, condition):
            yield from batch.to_pylist()

    def merge(
        self,
        table: Any,
        rows: pa.Table,
        key: str,
        update: bool,
        delete: str | None = None,
        retries: int = CONFLICT_RETRIES,
    ) -> None:
        """Insert rows by key, in one commit; with `update` those that are there are replaced, with
        `delete` those it names and `rows` does not are removed.

        Raises:
            Conflict: `retries` is used up.
        """
        merge = table.merge_insert(key).when_not_matched_insert_all().use_index(False)
        merge = merge.when_matched_update_all() if update else merge
        merge = merge.when_not_matched_by_source_delete(delete) if delete else merge
        self.commit(lambda: merge.conflict_retries(retries).execute(rows))

    def delete(self, condition: str) -> int:
        """Delete rows in one commit; returns how many."""
        if (table := self.found()) is None:
            return 0
        done = self.commit(lambda: table.delete(condition, conflict_retries=CONFLICT_RETRIES))
        return int(done["num_deleted_rows"])

    def update(self, values: dict[str, str], condition: str) -> None:
        """Set columns (SQL expressions) of rows in one commit."""
        if (table := self.found()) is not None:
            retries = CONFLICT_RETRIES
            self.commit(lambda: table.update(values, condition, conflict_retries=retries))

    def _open(self, version: int | None) -> Any:
        return lance.dataset(
            self.uri, version=version, storage_options=self.options, session=self.session
        )

    def _has_data(self) -> bool:
        folder = local_folder(self.uri)
        return folder is not None and self.version is None and any(folder.glob("data/*"))

    def _torn(self, error: Exception) -> UserError:
        if local_folder(self.uri) is None:
            return UserError(
                f"{self.uri} cannot be opened ({_reason(error)}): "
                "look at its address, the network and the credentials"
            )
        return Damaged(
            f"{self.uri} cannot be opened ({_reason(error)}): "
            "`recover()` goes back to the last good version"
        )

    def _note(self, fragment: Any, error: Exception) -> None:
        for name in files_of(fragment):
            if name not in self.broken:
                LOG.warning("%s: %s cannot be read: %s", self.uri, name, _reason(error))
            self.broken[name] = _reason(error)

    def _find_broken(self) -> None:
        """Note the data files that cannot be read at all."""
        if (table := self.found()) is not None:
            for fragment in table.get_fragments():
                try:
                    for _ in fragment.scanner(batch_size=SCAN_ROWS).to_batches():
                        pass
                except TORN as error:
                    self._note(fragment, error)

    def commit(self, write: Callable[[], ResultT]) -> ResultT:
        """Run one write.

        Raises:
            Conflict: another process changed the same rows first.
            Damaged: a data file cannot be read; nothing was written.
        """
        try:
            return write()
        except TORN as error:
            if is_conflict(error):
                raise Conflict(str(error)) from None
            self._find_broken()
            if self.broken:
                raise Damaged(
                    f"{self.uri}: nothing was written, because {', '.join(self.broken)} cannot be "
                    "read: `repair()` drops what is broken, then index again"
                ) from None
            raise


def files_of(fragment: Any) -> list[str]:
    """Return the names of a fragment's data files."""
    return [one.path for one in fragment.data_files()]


def _reason(error: Exception) -> str:
    """Return the first words of Lance's message, without its own source places and paths."""
    return str(error).split(", /")[0].removeprefix("External error: ")[:160]
