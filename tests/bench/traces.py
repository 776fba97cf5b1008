"""The bench of trace files: bytes per 1,000 traces by column, and what reading them costs.

Real traces are measured where there are some (`--traces`, by default the demo's), each kind apart
and written again by the pipeline's own writer; beside them synthetic ones of the shapes in `SHAPES`
with k = 32 alternatives. Read are 2,048 synthetic answers of 96 tokens: the small columns of all,
16 shuffled rows as a training step takes them, and everything as a stream. Run by `make bench`.

Limits: synthetic log-probabilities are sorted draws and ids follow Zipf's law; a real model repeats
itself in other ways. The page cache is warm.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from awareness_model.schema import TRACE_COLUMNS, write_atomic
from awareness_model.traces import Traces
from awareness_pipeline.teacher.traces import write_traces

COMMAND = "python -m tests.bench.traces"
VOCABULARY, TOP_K = 49_152, 32
BATCH, BATCHES, ANSWERS = 16, 40, 2_048
MOST_ROWS = 4_096
"""Real traces of a kind that are measured."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a trace is."""

    prompt: int
    """Tokens; `answer` too."""
    answer: int
    top_k: int
    manifest: int
    """Files that the teacher saw."""


SHAPES = {
    "teacher's answer": Shape(200, 96, TOP_K, 12),
    "true diff": Shape(200, 192, TOP_K, 12),
    "span": Shape(64, 6, TOP_K, 1),
    "teacher's answer, text only": Shape(200, 96, 0, 12),
}


def make_row(number: int, shape: Shape, draw: np.random.Generator) -> dict[str, Any]:
    """Return a synthetic trace."""
    ids = np.minimum(draw.zipf(1.3, shape.prompt + shape.answer), VOCABULARY - 1).tolist()
    alternatives = np.minimum(draw.zipf(1.2, (shape.answer, shape.top_k)), VOCABULARY - 1)
    logits = -np.sort(-draw.normal(0.0, 3.0, (shape.answer, 4 * TOP_K)).astype(np.float32), axis=1)
    logprobs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    kept = logprobs[:, : shape.top_k]
    words = [f"{draw.integers(10**9):x}" for _ in range(shape.answer)]
    paths = [f"package/module_{draw.integers(500)}.py" for _ in range(shape.manifest)]
    return {
        "trace_id": draw.bytes(16).hex(),
        "repo_id": number // 8,
        "sha": draw.bytes(20).hex(),
        "parent_sha": draw.bytes(20).hex(),
        "kind": "instruction",
        "style": "issue",
        "target": "teacher",
        "prompt": " ".join(words[:30]),
        "student_path": "",
        "student_prompt_ids": ids[: shape.prompt],
        "response_ids": ids[shape.prompt :],
        "response_text": " ".join(words)[: 4 * shape.answer],
        "top_k": shape.top_k,
        "topk_ids": alternatives.tolist() if shape.top_k else [],
        "topk_logprobs": kept.tolist() if shape.top_k else [],
        "tail_mass": (1.0 - np.exp(kept).sum(1)).tolist() if shape.top_k else [],
        "manifest_paths": paths,
        "manifest_tokens": [int(one) for one in draw.integers(20, 900, shape.manifest)],
        "manifest_reasons": ["folder"] * shape.manifest,
        "gold_paths": paths[:2],
        "hops": 1,
        "chain": "",
        "step": 0,
        "language": "Python",
        "repository_bytes": 100_000,
        "finish_reason": "stop",
        "tokenizer_fingerprint": "0" * 32,
    }


def measured(path: Path) -> dict[str, Any]:
    """Return the bytes per 1,000 traces of a file, whole and by column, with its shape."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        meta, table = file.metadata, file.read(columns=["student_prompt_ids", "response_ids"])
        columns: Counter[str] = Counter()
        for group in range(meta.num_row_groups):
            for place in range(meta.num_columns):
                column = meta.row_group(group).column(place)
                columns[column.path_in_schema.split(".")[0]] += column.total_compressed_size
    rows = meta.num_rows
    largest = {name: round(1_000 * size / rows) for name, size in columns.most_common(6)}
    rest = sum(columns.values()) - sum(size for _, size in columns.most_common(6))
    return {
        "traces": rows,
        "prompt_tokens": round(mean_length(table["student_prompt_ids"]), 1),
        "answer_tokens": round(mean_length(table["response_ids"]), 1),
        "bytes_per_1000": round(1_000 * path.stat().st_size / rows),
        "columns": {
            **largest,
            "other columns": round(1_000 * rest / rows),
            "footer": round(1_000 * (path.stat().st_size - sum(columns.values())) / rows),
        },
    }


def mean_length(column: pa.ChunkedArray) -> float:
    """Return the mean length of the lists of a column."""
    return sum(len(part.flatten()) for part in column.chunks) / max(len(column), 1)


def real_groups(paths: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """Return the first traces of each kind and target."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for batch in Traces(paths).iterate(64):
        for row in batch.to_pylist():
            text_only = "" if row["top_k"] else ", text only"
            group = found[f"{row['kind']}, target {row['target']}{text_only}"]
            if len(group) < MOST_ROWS:
                group.append(row)
    return dict(sorted(found.items()))


def sizes(paths: Sequence[Path], scratch: Path) -> Iterator[dict[str, Any]]:
    """Yield what each kind of trace takes: real ones, then synthetic ones."""
    path = scratch / "sized.parquet"
    for name, rows in (real_groups(paths) if paths else {}).items():
        write_traces(path, rows)
        yield {"source": "real", "kind": name, **measured(path)}
    for name, shape in SHAPES.items():
        draw = np.random.default_rng(0)
        write_traces(path, (make_row(number, shape, draw) for number in range(1_000)))
        yield {"source": "synthetic", "kind": name, "top_k": shape.top_k, **measured(path)}


def reading(scratch: Path) -> dict[str, Any]:
    """Return what reading synthetic answers costs."""
    draw, shuffle = np.random.default_rng(1), random.Random(1)
    path = scratch / "read.parquet"
    shape = SHAPES["teacher's answer"]
    write_traces(path, (make_row(number, shape, draw) for number in range(ANSWERS)))
    before = pa.total_allocated_bytes()
    traces = Traces([path], cache_bytes=0)
    began = time.perf_counter()
    indexed = sum(len(part) for part in traces.index())
    index = time.perf_counter() - began
    spent: list[float] = []
    busy = time.process_time()
    for _ in range(BATCHES):
        rows = shuffle.sample(range(len(traces)), BATCH)
        began = time.perf_counter()
        traces.take(rows)
        spent.append(time.perf_counter() - began)
    busy = time.process_time() - busy
    began, most = time.perf_counter(), 0
    for batch in traces.iterate(64):
        most = max(most, pa.total_allocated_bytes() - before)
        assert batch.num_columns == len(TRACE_COLUMNS)
    stream = time.perf_counter() - began
    with pq.ParquetFile(path) as file:
        groups = file.metadata.num_row_groups
    return {
        "traces": indexed,
        "file_bytes": path.stat().st_size,
        "rows_per_group": round(indexed / groups),
        "index_rows_per_s": round(indexed / index),
        "shuffled_batch_rows": BATCH,
        "shuffled_batch_ms": round(1_000 * statistics.median(spent), 2),
        "shuffled_batch_cpu_ms": round(1_000 * busy / BATCHES, 2),
        "stream_rows_per_s": round(indexed / stream),
        "stream_most_bytes_held": most,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/traces.json"))
    parser.add_argument("--traces", type=Path, default=Path("data/teacher_traces"))
    args = parser.parse_args(argv)
    paths = sorted(args.traces.rglob("*.parquet"))
    with tempfile.TemporaryDirectory() as folder:
        sized = list(sizes(paths, Path(folder)))
        found = {"command": COMMAND, "sizes": sized, "reading": reading(Path(folder))}
    write_atomic(args.results, (json.dumps(found, indent=1) + "\n").encode())
    for row in sized:
        print(
            f"{row['source']:>10}  {row['kind']:<40}{row['bytes_per_1000'] / 1e6:8.2f} MB / 1,000"
        )
    print("  ".join(f"{name} {value}" for name, value in found["reading"].items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
