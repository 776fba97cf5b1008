"""Upkeep of a table: small files merged, deleted rows dropped, indices brought up to date.

Every commit leaves a file of its own, and rows that no index knows: a scan reads those in full.
Upkeep runs after a write once `SMALL_FRAGMENTS` have gathered. A file is full at `FRAGMENT_BYTES`
and is then left alone until a tenth of its rows is deleted, so that a row is rewritten about once.
Limits: the write that triggers it waits for it (bench: `tests/bench/memory.py`).
"""

from collections.abc import Sequence
from typing import Any

import lance

from awareness_model.memory.conflicts import Conflict
from awareness_model.memory.tables import SCAN_ROWS, Table, files_of

SMALL_FRAGMENTS = 64
"""Upkeep begins at this many; until then each costs a scan about 0.1 ms."""
FRAGMENT_BYTES = 256 << 20
FRAGMENT_ROWS = 8192


def keep_up(table: Table, always: bool = False) -> bool:
    """Merge small files and bring the indices up to date, where there are many or `always` (then
    every deleted row leaves its file too). Another's commit may preempt it: then it is left to the
    next. Tells whether it was done."""
    if (held := table.found()) is None:
        return False
    fragments = held.get_fragments()
    target = _target_rows(fragments)
    if not always and sum(one.physical_rows < target for one in fragments) < SMALL_FRAGMENTS:
        return False
    try:
        table.commit(lambda: _compact(held, target, 0.0 if always else 0.1))
        table.commit(lambda: _index(table))
    except Conflict:
        return False
    return True


def drop_broken(table: Table) -> int:
    """Commit a version without the fragments that scans could not read; returns how many went."""
    if (held := table.found()) is None:
        return 0
    parts = held.get_fragments()
    gone = [one.fragment_id for one in parts if set(files_of(one)) & set(table.broken)]
    if gone:
        change = lance.LanceOperation.Delete([], gone, "true")
        options = table.options
        lance.LanceDataset.commit(
            table.uri, change, read_version=held.version, storage_options=options
        )
    table.broken.clear()
    return len(gone)


def _index(table: Table) -> None:
    if (held := table.found()) is None:
        return
    there = {column for index in held.describe_indices() for column in index.field_names}
    for column in table.indexed:
        if column not in there:
            held.create_scalar_index(column, "BTREE")
    held.optimize.optimize_indices()


def _target_rows(fragments: Sequence[Any]) -> int:
    """Return rows per fragment, so that one holds about `FRAGMENT_BYTES`: rows are not rewritten
    again and again once their fragment is full."""
    sizes = [one.file_size_bytes or 0 for part in fragments for one in part.data_files()]
    rows = sum(one.physical_rows for one in fragments) or 1
    return max(16, min(FRAGMENT_ROWS, FRAGMENT_BYTES * rows // max(1, sum(sizes))))


def _compact(table: Any, rows: int, deleted: float) -> None:
    """Merge fragments of fewer rows, and rewrite those with more than a share deleted."""
    table.optimize.compact_files(
        target_rows_per_fragment=rows,
        materialize_deletions_threshold=deleted,
        batch_size=SCAN_ROWS,
        num_threads=1,
    )
