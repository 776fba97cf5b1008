"""What must hold of memory shards: that trees lead to memory, and traces to trees."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from awareness_model.schema import SnapshotRow, content_hash, read_rows
from awareness_pipeline.artifacts import Record, upstream_records
from awareness_pipeline.bucket import lance_options
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.checks.check import Check, Problems, per_unit

EMPTY = content_hash(b"")
"""A document without text has no memory record."""

IN_LIST = 500
"""Values per query, as the store itself asks."""


def stored(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Every document of a tree is in the store's snapshots under its path, and has memory records
    in each layout asked for."""
    store = settings.paths.memory(settings.version)

    def of_unit(folder: Path, record: Record) -> Problems:
        rows = _rows(folder, record)
        if not rows:
            return
        trees = _scan(
            f"{store}/snapshots.lance", ("sha", "path", "content_hash"), f"repo_id = {record.key}"
        )
        for row in rows:
            if (row.sha, row.path, row.content_hash) not in trees:
                yield f"{row.sha[:12]}:{row.path} is not in the store's snapshots"
        names = sorted({row.content_hash for row in rows} - {EMPTY})
        held = set(_encoded(f"{store}/records.lance", names))
        for layout in settings.encode.layouts:
            if lost := [name for name in names if (name, layout) not in held]:
                yield f"{len(lost)} documents have no {layout} memory, such as {lost[0][:12]}"

    yield from per_unit("memory_shards", of_unit)(settings, partitions)


def gold_reachable(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Every document that decides a trace's answer is in the tree that the trace starts from. One
    that is longer than a file may be, or beyond its repository's budget, is missed here."""
    trees = {
        (row.repo_id, row.sha, row.path)
        for folder, record in upstream_records(settings, "memory_shards", partitions)
        for row in _rows(folder, record)
    }

    def of_unit(folder: Path, record: Record) -> Problems:
        columns = ["trace_id", "repo_id", "parent_sha", "gold_paths"]
        for name in record.files:
            for row in pq.read_table(folder / name, columns=columns).to_pylist():
                for path in row["gold_paths"]:
                    if (row["repo_id"], row["parent_sha"], path) not in trees:
                        yield f"{row['trace_id']}: {path} is not in memory"

    yield from per_unit("teacher_traces", of_unit)(settings, partitions)


def _rows(folder: Path, record: Record) -> list[SnapshotRow]:
    return [row for name in record.files for row in read_rows(SnapshotRow, folder / name)]


def _encoded(table: str, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield (content hash, layout) of the records of documents."""
    for start in range(0, len(names), IN_LIST):
        among = ", ".join(f"'{name}'" for name in names[start : start + IN_LIST])
        yield from _scan(table, ("content_hash", "layout"), f"content_hash IN ({among})")


def _scan(table: str, columns: Sequence[str], condition: str) -> set[tuple[str, ...]]:
    import lance  # half a second that only these checks need

    held = lance.dataset(table, storage_options=lance_options(table))
    found = held.to_table(columns=list(columns), filter=condition).to_pylist()
    return {tuple(row[name] for name in columns) for row in found}


CHECKS = (
    Check("memory_shards", "documents_stored", stored),
    Check("memory_shards", "gold_reachable", gold_reachable, dg.AssetCheckSeverity.WARN),
)
