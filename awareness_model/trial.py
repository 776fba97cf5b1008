"""A small world to train in, made on the spot: `awareness train --debug` needs no data.

Nine files of three made-up repositories, each with one function that returns a number; a tiny
random model; a trace per file that asks for the number. Everything a training reads is real in form
(store, trace files, model folder) and noise in content. Limits: latent memory; text-only traces.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from awareness_model.base import load_model, plain_ids, tokenizer_fingerprint
from awareness_model.config import EncoderConfig, MemoryConfig, TrainingConfig
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.memory.store import LatentMemoryStore
from awareness_model.schema import TRACE_COLUMNS, SnapshotRow, TrainJob, content_hash
from awareness_model.tiny import save_tiny

FILES = 9
REPOSITORIES = 3
TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "list<int32>": pa.list_(pa.int32()),
    "list<list<int32>>": pa.list_(pa.list_(pa.int32())),
    "list<list<float>>": pa.list_(pa.list_(pa.float32())),
    "list<float>": pa.list_(pa.float32()),
    "list<string>": pa.list_(pa.string()),
}
EMPTY: dict[str, Any] = {"string": "", "int64": 0, "int32": 0}


def make_job(folder: Path, training: TrainingConfig, family: str = "qwen3") -> TrainJob:
    """Make model, store and traces below `folder`, and return the job that trains on them."""
    model = str(save_tiny(folder / "model", family))
    texts = {number: f"def f{number}():\n    return {number * 37}\n" for number in range(FILES)}
    config = EncoderConfig(model, "cpu")
    encoder = ContextEncoder.from_model(*load_model(model), config)
    made = encoder.encode(list(texts.values()), "latent")
    rows = [
        SnapshotRow(_repository(n), _tree(n), f"f{n}.py", content_hash(text.encode()))
        for n, text in texts.items()
    ]
    store = LatentMemoryStore(MemoryConfig(str(folder / "store")))
    documents = {row.content_hash: chunks for row, chunks in zip(rows, made, strict=True)}
    store.upsert(documents, "latent", encoder_fingerprint(config, "latent"))
    store.put_snapshot(rows)
    schema = pa.schema([(name, TYPES[kind]) for name, kind in TRACE_COLUMNS.items()])
    traces = [_trace(number, encoder.tokenizer) for number in texts]
    path = folder / "traces.parquet"
    pq.write_table(pa.Table.from_pylist(traces, schema=schema), path)
    return TrainJob(model, "cpu", str(folder / "store"), (str(path),), training)


def _trace(number: int, tokenizer: Any) -> dict[str, Any]:
    """Return a trace that asks what a file's function returns."""
    row = {name: EMPTY.get(kind, []) for name, kind in TRACE_COLUMNS.items()}
    answer = str(number * 37)
    return row | {
        "trace_id": f"t{number}",
        "repo_id": _repository(number),
        "parent_sha": _tree(number),
        "kind": "instruction",
        "student_prompt_ids": plain_ids(tokenizer, f"f{number}() == "),
        "response_ids": plain_ids(tokenizer, answer),
        "response_text": answer,
        "gold_paths": [f"f{number}.py"],
        "language": "Python",
        "repository_bytes": 1_000,
        "tokenizer_fingerprint": tokenizer_fingerprint(tokenizer),
    }


def _repository(number: int) -> int:
    return number % REPOSITORIES


def _tree(number: int) -> str:
    return f"tree{_repository(number)}"
