"""Teacher traces read as a stream: of any number of Parquet files only what is asked for is held.

A trace's row number counts over all files, sorted by path. Opening reads the footers and compares
them with `schema.TRACE_COLUMNS` (names and types; the order of columns is free). `index` gives the
small columns once; `take` reads the token columns of single rows by row group, the last groups kept
up to a number of bytes; `iterate` gives everything in order.

Held in memory: a few numbers per row group, and the cache. So the writer's row groups set the cost
of a random read: 32 rows are good (`tests/bench/traces.py`). Limits: a file's footer is read again
each time the file is opened; nulls inside lists are not looked for.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from awareness_model.config import UserError
from awareness_model.schema import TRACE_COLUMNS, digest

CACHE_BYTES: Final = 64 << 20
BATCH_ROWS: Final = 256
LENGTHS: Final = {"prompt_tokens": "student_prompt_ids", "answer_tokens": "response_ids"}
INDEX: Final = (
    "repo_id",
    "parent_sha",
    "kind",
    "gold_paths",
    "language",
    "repository_bytes",
    "tokenizer_fingerprint",
)
SEEN: Final = ("student_prompt_ids", "response_ids", "topk_ids", "topk_logprobs", "tail_mass")
"""What a student is taught from."""
TAKEN: Final = ("trace_id", "top_k", *SEEN)


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group of a file."""

    path: Path
    number: int
    start: int
    """Row number of its first trace."""


class Traces:
    """The traces of some files.

    Raises:
        UserError: there is no file, or one is missing, torn or holds other columns. Reading raises
            it too, for a file that is damaged further in or has gone since.
    """

    def __init__(self, paths: Sequence[Path], cache_bytes: int = CACHE_BYTES) -> None:
        if not paths:
            raise UserError("no trace files were given: run distil first")
        self._paths = sorted(paths)
        self._groups: list[_Group] = []
        self._rows = 0
        for path in self._paths:
            self._open(path)
        self._starts = [group.start for group in self._groups]
        self._cache: OrderedDict[int, pa.Table] = OrderedDict()
        self._cache_bytes = cache_bytes

    def __len__(self) -> int:
        return self._rows

    @property
    def cached_bytes(self) -> int:
        """Return the bytes that the kept row groups hold."""
        return sum(table.nbytes for table in self._cache.values())

    def index(self) -> Iterator[list[dict[str, Any]]]:
        """Yield every trace in order, some at a time: the columns of `INDEX`, `prompt_tokens` and
        `answer_tokens`."""
        for batch in self.iterate(BATCH_ROWS, (*INDEX, *LENGTHS.values())):
            columns = {name: batch.column(name) for name in INDEX}
            lengths = {name: pc.list_value_length(batch.column(of)) for name, of in LENGTHS.items()}
            yield pa.table({**columns, **lengths}).to_pylist()

    def iterate(
        self, batch_rows: int, columns: Sequence[str] = tuple(TRACE_COLUMNS)
    ) -> Iterator[pa.RecordBatch]:
        """Yield all traces in order, at most `batch_rows` at a time, never of two files."""
        for path in self._paths:
            with _named(path), _file(path) as file:
                for batch in file.iter_batches(batch_rows, columns=list(columns)):
                    _refuse_nulls(path, batch)
                    yield batch.select(list(columns))

    def take(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the columns of `TAKEN` of some traces, in the order asked.

        Raises:
            IndexError: there is no such row.
        """
        wanted: dict[int, list[int]] = {}
        for row in rows:
            if not 0 <= row < self._rows:
                raise IndexError(f"row {row} of {self._rows} traces")
            wanted.setdefault(bisect_right(self._starts, row) - 1, []).append(row)
        found: dict[int, dict[str, Any]] = {}
        for group, members in sorted(wanted.items()):
            places = [row - self._starts[group] for row in members]
            part = self._group(group).take(pa.array(places, pa.int64()))
            columns = [_values(part[name].combine_chunks()) for name in TAKEN]
            for row, *values in zip(members, *columns, strict=True):
                found[row] = dict(zip(TAKEN, values, strict=True))
        return [found[row] for row in rows]

    def digest(self, rows: Sequence[int]) -> str:
        """Return a digest of the columns of `SEEN` of some traces, given in rising order. Files and
        row groups do not enter: only what is taught, and its order."""
        states: dict[tuple[str, int], Any] = {}
        start = chosen = 0
        for batch in self.iterate(BATCH_ROWS, SEEN):
            places = []
            while chosen < len(rows) and rows[chosen] < start + len(batch):
                places.append(rows[chosen] - start)
                chosen += 1
            start += len(batch)
            part = batch.take(pa.array(places, pa.int64()))
            for name in SEEN:
                _absorb(states, name, part.column(name))
        return digest(*(f"{key} {state.hexdigest()}" for key, state in sorted(states.items())))

    def _open(self, path: Path) -> None:
        with _named(path), _file(path) as file:
            _check_columns(path, file.schema_arrow)
            for number in range(file.metadata.num_row_groups):
                self._groups.append(_Group(path, number, self._rows))
                self._rows += file.metadata.row_group(number).num_rows

    def _group(self, place: int) -> pa.Table:
        """Return the columns of `TAKEN` of a row group; the longest unused ones are let go."""
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        group = self._groups[place]
        with _named(group.path), _file(group.path) as file:
            table = file.read_row_group(group.number, columns=list(TAKEN))
        _refuse_nulls(group.path, table)
        self._cache[place] = table
        while len(self._cache) > 1 and self.cached_bytes > self._cache_bytes:
            self._cache.popitem(last=False)
        return table


def _file(path: Path) -> pq.ParquetFile:
    """Open a file. Arrow reads ahead unless it is told not to, and keeps all of it to the end."""
    return pq.ParquetFile(path, pre_buffer=False)


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type that a name of `TRACE_COLUMNS` stands for."""
    if name.startswith("list<"):
        return pa.list_(arrow_type(name.removeprefix("list<").removesuffix(">")))
    return pa.type_for_alias(name)


def _values(column: pa.Array) -> list[Any]:
    """Return a column as Python values; `to_pylist` takes ten times as long over nested lists."""
    if not pa.types.is_list(column.type):
        return list(column.to_numpy(zero_copy_only=False).tolist())
    values = _values(column.flatten())
    ends = pc.list_value_length(column).to_numpy().cumsum().tolist()
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _check_columns(path: Path, schema: pa.Schema) -> None:
    """Refuse a file whose columns are not those of a trace, naming what differs."""
    found = {field.name: field.type for field in schema}
    wrong = [f"{name} is missing" for name in TRACE_COLUMNS if name not in found]
    wrong += [f"{name} is not known" for name in found if name not in TRACE_COLUMNS]
    wrong += [
        f"{name} is {found[name]}, not {kind}"
        for name, kind in TRACE_COLUMNS.items()
        if name in found and found[name] != arrow_type(kind)
    ]
    if wrong:
        raise UserError(
            f"{path} is no file of teacher traces as this version writes them "
            f"({'; '.join(wrong)}): run distil again"
        )


def _refuse_nulls(path: Path, part: pa.RecordBatch | pa.Table) -> None:
    empty = [name for name in part.schema.names if part.column(name).null_count]
    if empty:
        raise UserError(f"{path} has traces without {', '.join(empty)}: run distil again")


def _absorb(states: dict[tuple[str, int], Any], name: str, column: pa.Array) -> None:
    """Add a column to digests of its own: one of its values, and one of the lengths of each level
    of lists, so that how the rows were cut into batches does not show."""
    level = 0
    while pa.types.is_list(column.type):
        _state(states, name, level).update(pc.list_value_length(column).to_numpy().tobytes())
        column, level = column.flatten(), level + 1
    _state(states, name, level).update(column.to_numpy(zero_copy_only=False).tobytes())


def _state(states: dict[tuple[str, int], Any], name: str, level: int) -> Any:
    return states.setdefault((name, level), blake2b(digest_size=16))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a file that cannot be read into one line that names it."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = str(error).partition("\n")[0]
        raise UserError(
            f"{path} is no whole file of teacher traces ({said}): run distil again"
        ) from None
