"""Trace files as a stream: what is refused, what is read, and how much memory that takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from awareness_model import traces as reading
from awareness_model.config import UserError
from awareness_model.schema import TRACE_COLUMNS
from awareness_model.traces import Traces, arrow_type
from tests.model.small_world import SCHEMA, trace, write_traces

MEBI = 1 << 20


@pytest.fixture
def folder(tmp_path):
    """Two files of 10 and 7 traces, in row groups of 4."""
    for name, numbers in (("a", range(10)), ("b", range(10, 17))):
        rows = [trace(n, 1 + n % 3, answer=2 + n % 4, k=n % 4) for n in numbers]
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=4)
    return tmp_path


def opened(folder, **settings):
    return Traces(sorted(folder.glob("*.parquet"), reverse=True), **settings)


def expected(number):
    row = trace(number, 1 + number % 3, answer=2 + number % 4, k=number % 4)
    return {name: row[name] for name in reading.TAKEN}


def test_rows_come_in_the_order_asked_whatever_file_and_group_they_are_in(folder):
    traces = opened(folder)
    assert len(traces) == 17
    asked = [16, 0, 9, 10, 3, 4, 9]
    for found, number in zip(traces.take(asked), asked, strict=True):
        wanted = expected(number)
        assert found["topk_logprobs"] == [pytest.approx(row) for row in wanted["topk_logprobs"]]
        assert found["tail_mass"] == pytest.approx(wanted["tail_mass"])
        for name in ("trace_id", "top_k", "student_prompt_ids", "response_ids", "topk_ids"):
            assert found[name] == wanted[name]
    for row in (-1, 17):
        with pytest.raises(IndexError):
            traces.take([row])


def test_the_index_has_lengths_in_place_of_tokens(folder):
    rows = [row for part in opened(folder).index() for row in part]
    assert [row["answer_tokens"] for row in rows] == [2 + n % 4 for n in range(17)]
    assert {row["prompt_tokens"] for row in rows} == {6}
    assert [row["repo_id"] for row in rows] == [1 + n % 3 for n in range(17)]
    assert rows[0]["gold_paths"] == ["a.py"]
    assert set(rows[0]) == {*reading.INDEX, *reading.LENGTHS}


def test_everything_streams_in_order_and_in_parts(folder):
    parts = list(opened(folder).iterate(3))
    assert max(len(part) for part in parts) == 3
    assert parts[0].schema.names == list(TRACE_COLUMNS)
    assert [one for part in parts for one in part.column("trace_id").to_pylist()] == [
        f"t{n}" for n in range(17)
    ]


def test_row_groups_that_were_not_used_for_longest_are_let_go(folder, monkeypatch):
    read = []
    whole = pq.ParquetFile.read_row_group

    def counting(self, number, **settings):
        read.append(number)
        return whole(self, number, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    roomy = opened(folder)
    for _ in range(2):
        roomy.take([0, 1, 5])
    assert read == [0, 1]
    read.clear()
    narrow = opened(folder, cache_bytes=1)
    for row in (0, 1, 5, 0):
        narrow.take([row])
    assert read == [0, 1, 0]
    assert 0 < narrow.cached_bytes < roomy.cached_bytes
    read.clear()
    two = opened(folder, cache_bytes=roomy.cached_bytes)
    for row in (0, 4, 0, 8, 0):  # The first group is used last before the third comes.
        two.take([row])
    assert read == [0, 1, 2]


def test_the_digest_follows_what_is_taught_and_not_how_it_is_stored(folder, tmp_path):
    rows = list(range(17))
    first = opened(folder).digest(rows)
    assert first != opened(folder).digest(rows[1:])
    assert first != opened(folder).digest([])
    table = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])
    other = tmp_path / "other"
    other.mkdir()
    pq.write_table(table, other / "all.parquet", row_group_size=100, compression="none")
    assert opened(other).digest(rows) == first
    place = table.schema.get_field_index("response_ids")
    longer = [
        ids if n else [*ids[:-1], ids[-1] + 1] for n, ids in enumerate(table[place].to_pylist())
    ]
    changed = table.set_column(place, "response_ids", pa.array(longer, pa.list_(pa.int32())))
    pq.write_table(changed, other / "all.parquet")
    assert opened(other).digest(rows) != first


def test_the_digest_tells_how_lists_are_cut(tmp_path):
    """[[1, 2], [3]] and [[1], [2, 3]] hold the same numbers."""
    usual = {"topk_logprobs": [[-1.0], [-1.0]], "tail_mass": [0.1, 0.1]}
    digests = set()
    for name, ids in (("a", [[1, 2], [3]]), ("b", [[1], [2, 3]])):
        path = write_traces(tmp_path / f"{name}.parquet", [trace(0, topk_ids=ids, **usual)])
        digests.add(Traces([path]).digest([0]))
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop_columns(["gold_paths"]), "gold_paths is missing"),
        (lambda table: table.append_column("price", table["step"]), "price is not known"),
        (
            lambda table: table.set_column(1, "repo_id", table["repo_id"].cast(pa.int32())),
            "repo_id is int32, not int64",
        ),
        (
            lambda table: table.set_column(0, "trace_id", pa.array([None], pa.string())),
            "traces without trace_id",
        ),
    ],
)
def test_a_file_with_other_columns_is_named_with_what_differs(tmp_path, change, said):
    table = pa.Table.from_pylist([trace(0)], schema=SCHEMA)
    pq.write_table(change(table), tmp_path / "odd.parquet")
    with pytest.raises(UserError, match=said) as raised:
        Traces([tmp_path / "odd.parquet"]).take([0])
    assert "odd.parquet" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_columns_may_stand_in_any_order(tmp_path):
    table = pa.Table.from_pylist([trace(4)], schema=SCHEMA)
    pq.write_table(table.select(table.schema.names[::-1]), tmp_path / "t.parquet")
    traces = Traces([tmp_path / "t.parquet"])
    assert traces.take([0])[0]["trace_id"] == "t4"
    assert next(traces.iterate(1)).schema.names == list(TRACE_COLUMNS)


def test_no_file_a_missing_a_torn_and_a_damaged_one_get_one_line_that_names_them(tmp_path):
    with pytest.raises(UserError, match="run distil first"):
        Traces([])
    rows = [trace(n, k=3) for n in range(40)]
    whole = write_traces(tmp_path / "whole.parquet", rows).read_bytes()
    (tmp_path / "torn.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.parquet").write_bytes(b"")
    for name in ("torn", "empty", "gone"):
        with pytest.raises(UserError, match=rf"{name}\.parquet is no whole file") as raised:
            Traces([tmp_path / "whole.parquet", tmp_path / f"{name}.parquet"])
        assert "\n" not in str(raised.value)
    # Damaged inside, where the footer does not show it.
    broken = bytearray(whole)
    data = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    broken[4:data] = bytes(data - 4)
    (tmp_path / "broken.parquet").write_bytes(broken)
    traces = Traces([tmp_path / "broken.parquet"])
    for read in (lambda: traces.take([0]), lambda: list(traces.iterate(8))):
        with pytest.raises(UserError, match=r"broken\.parquet is no whole file"):
            read()


def test_type_names_of_the_schema_are_arrow_types():
    for kind in set(TRACE_COLUMNS.values()):
        assert str(arrow_type(kind)).replace("item: ", "") == kind


def many(path, count):
    """Write `count` traces of 16 tokens and 8 alternatives, 32 a row group."""
    draw = np.random.default_rng(0)
    part = 1_000
    usual = pa.Table.from_pylist([trace(n, answer=16, k=1) for n in range(part)], schema=SCHEMA)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for _ in range(count // part):
            ids = draw.integers(0, 49_152, part * 16 * 8, dtype=np.int32)
            table = usual
            for name, values in (("topk_ids", ids), ("topk_logprobs", -ids.astype(np.float32))):
                inner = pa.ListArray.from_arrays(
                    np.arange(part * 16 + 1, dtype=np.int32) * 8, pa.array(values)
                )
                outer = pa.ListArray.from_arrays(np.arange(part + 1, dtype=np.int32) * 16, inner)
                place = SCHEMA.get_field_index(name)
                table = table.set_column(place, SCHEMA.field(name), outer)
            writer.write_table(table, row_group_size=32)
    return path


READ_EVERYTHING = """
import json, sys, tracemalloc
import pyarrow as pa
from pathlib import Path
from awareness_model.traces import Traces

tracemalloc.start()
traces = Traces([Path(sys.argv[1])], cache_bytes=1 << 20)
rows = sum(len(part) for part in traces.index())
assert rows == sum(len(part) for part in traces.iterate(64)) == len(traces)
for start in range(40):
    traces.take(range(start, rows, rows // 16))
traces.digest(range(rows))
print(json.dumps([rows, pa.default_memory_pool().max_memory(), tracemalloc.get_traced_memory()[1]]))
"""


def peaks(path):
    """Return the rows of a file, and the most bytes that Arrow and Python held while a process read
    all of it every way."""
    command = [sys.executable, "-c", READ_EVERYTHING, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_memory_stays_flat_in_the_number_of_traces(tmp_path):
    few, arrow_few, python_few = peaks(many(tmp_path / "few.parquet", 2_000))
    rows, arrow, python = peaks(many(tmp_path / "many.parquet", 20_000))
    assert (few, rows) == (2_000, 20_000)
    assert (tmp_path / "many.parquet").stat().st_size > 10 * MEBI
    assert arrow < 8 * MEBI
    assert arrow < arrow_few + MEBI
    assert python < python_few + MEBI
