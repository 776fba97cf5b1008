"""Digests that are equal when two runs left the same outputs, as DESIGN.md §3 means it.

    catalog                     rows by id, without times of crawling and local paths
    records                     `result` of every unit and partition, never `run`
    files named in a record     their bytes, read anew: a damaged file shows even at its old size
    Lance tables                rows sorted by their own digests, without the time of writing:
                                fragments and versions don't count

Covers one version; the catalog is shared by all versions below a root. Limits: bare clones count by
their record alone, since git may pack the same objects differently; every file is read, so this is
minutes per terabyte.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from awareness_model.schema import digest
from awareness_pipeline.artifacts import read_record
from awareness_pipeline.bucket import lance_options, opened
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Paths
from awareness_pipeline.flow import FLOW

BLOCK = 1 << 20
LANCE_ROWS = 256
"""Rows of a Lance table held at a time; a row of memory may be megabytes."""
MEMORY = "memory_shards"
WRITTEN = "written"
"""The column of a memory's tables that tells when a row was written."""


def digests(paths: Paths, version: str) -> dict[str, Any]:
    """Return `{"version", "digest", "catalog", "artifacts": {noun: {"digest", "records"}}}`.

    Raises:
        UserError: a record is damaged.
        FileNotFoundError: a file that a record names is gone.
    """
    artifacts = {step.artifact: _artifact(paths, step.artifact, version) for step in FLOW}
    catalog = _catalog(paths)
    whole = [f"catalog {catalog}", *(f"{noun} {one['digest']}" for noun, one in artifacts.items())]
    return {
        "version": version,
        "digest": digest(*whole),
        "catalog": catalog,
        "artifacts": artifacts,
    }


def _artifact(paths: Paths, noun: str, version: str) -> dict[str, Any]:
    folder = paths.artifact(noun) / version
    parts = []
    for path in sorted(folder.glob("*/*record.json")):
        if record := read_record(path):
            parts.append(f"{path.relative_to(folder)} {record.digest}")
            parts += [f"{name} {file_digest(path.parent / name)}" for name in sorted(record.files)]
    records = len(parts)
    parts += [f"{table.relative_to(folder)} {lance_digest(table)}" for table in _tables(folder)]
    if paths.store and noun == MEMORY:
        parts += [
            f"{name} {lance_digest(table)}" for name, table in _tables_in_bucket(paths, version)
        ]
    return {"digest": digest(*parts), "records": records}


def _catalog(paths: Paths) -> str:
    with Catalog(paths.database_url) as catalog:
        rows = [{**row, "local_path": ""} for row in catalog.rows()]
    return digest(*(repr(sorted(row.items())) for row in rows))


def file_digest(path: Path) -> str:
    """Return the blake2b-128 of a file's bytes."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def _tables(folder: Path) -> Iterator[Path]:
    """Yield the Lance tables below a folder; a table is a folder that holds versions."""
    for path in sorted(folder.rglob("_versions")):
        if path.is_dir() and any(path.iterdir()):
            yield path.parent


def _tables_in_bucket(paths: Paths, version: str) -> Iterator[tuple[str, str]]:
    """Yield name, as `_tables` has it, and URL of the Lance tables of a version's memory."""
    home = f"{MEMORY}/{version}"
    names = opened(paths.store).sizes(home)
    found = {name.partition("/_versions/")[0] for name in names if "/_versions/" in name}
    for name in sorted(found):
        yield name, f"{paths.store}/{home}/{name}"


def lance_digest(table: Path | str) -> str:
    """Return a digest of a Lance table's rows and column names; their order does not matter, nor
    when they were written."""
    import lance

    found = lance.dataset(str(table), storage_options=lance_options(str(table)))
    columns = sorted({*found.schema.names} - {WRITTEN})
    rows: list[bytes] = []
    for batch in found.to_batches(columns=columns, batch_size=LANCE_ROWS):
        rows += _row_digests(batch.to_pydict(), columns)
    state = blake2b(repr(columns).encode(), digest_size=16)
    for row in sorted(rows):
        state.update(row)
    return state.hexdigest()


def _row_digests(values: dict[str, list[Any]], columns: Iterable[str]) -> Iterator[bytes]:
    for row in zip(*(values[name] for name in columns), strict=True):
        state = blake2b(digest_size=16)
        for value in row:
            # Payloads are bytes and large; everything else has a short, stable text.
            data = value if isinstance(value, bytes) else repr(value).encode()
            state.update(len(data).to_bytes(8, "little") + data)
        yield state.digest()
