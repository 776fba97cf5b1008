"""Made-up outputs of the later stages: the smallest that their checks accept, changed at will."""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from awareness_model.schema import TRACE_COLUMNS, SnapshotRow, write_rows
from awareness_pipeline.artifacts import Counts, Place, Record, place
from awareness_pipeline.config import Settings
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.units import Outcome, Unit, close, finish_unit

KEY, SHARD, TREE = "1", "001", "a" * 40
PROMPT = TaskPrompt(
    repo_id=1,
    repo="owner/one",
    sha="b" * 40,
    parent_sha=TREE,
    style="imperative",
    prompt="Return the limit from the settings module.",
    accepted=True,
    reject_reason="",
    finish_reason="stop",
    model="m",
    prompt_fingerprint="p",
    prompt_tokens=1,
    completion_tokens=1,
    leak=0.0,
    grounding=1.0,
    copy_overlap=0.0,
    words=6,
    english=1.0,
    self_contained=1.0,
    judge=None,
)
TRACE: dict[str, Any] = {
    "trace_id": "t1",
    "repo_id": 1,
    "sha": "b" * 40,
    "parent_sha": TREE,
    "kind": "instruction",
    "style": "imperative",
    "target": "teacher",
    "prompt": "p",
    "student_path": "",
    "student_prompt_ids": [1, 2],
    "response_ids": [3, 4],
    "response_text": "x",
    "top_k": 2,
    "topk_ids": [[3, 5], [4, 6]],
    "topk_logprobs": [[-0.1, -3.0], [0.0, -9.0]],
    "tail_mass": [0.05, 0.0],
    "manifest_paths": ["limits.py"],
    "manifest_tokens": [9],
    "manifest_reasons": ["touched"],
    "gold_paths": ["limits.py"],
    "hops": 0,
    "chain": "",
    "step": 0,
    "language": "Python",
    "repository_bytes": 1_000,
    "finish_reason": "stop",
    "tokenizer_fingerprint": "f",
}
ROW = SnapshotRow(1, TREE, "limits.py", "c" * 64)
WEIGHTS = {"layer.alpha": [0.0, 0.25], "layer.wq": [1.0, -2.0]}
LAYOUT = {
    "nll": {"own": 1.0, "other": 2.5, "none": 2.9, "text": 0.7},
    "S": 1.5,
    "S_ci": [1.0, 2.0],
    "R": 0.8,
}


def finish(
    here: Place, key: str, files: tuple[str, ...] = (), extra: Mapping[str, Any] | None = None
) -> Record:
    """Write the records of a unit and of its partition; return the partition's."""
    told = extra or {}
    finish_unit(here, Unit(key, {}), Outcome(Counts(1, 1), files, told))
    return close(here, [Unit(key, {})], fresh=1, extra=told)


def put_prompt(settings: Settings, **changes: Any) -> None:
    here = place(settings, "task_prompts", SHARD, {})
    row = replace(PROMPT, **changes)
    write_rows(here.folder / f"{KEY}.jsonl", [row])
    finish(here, KEY, (f"{KEY}.jsonl",), {"by_style": {row.style: 1} if row.accepted else {}})


def put_trace(settings: Settings, **changes: Any) -> None:
    here = place(settings, "teacher_traces", SHARD, {})
    here.folder.mkdir(parents=True)
    table = pa.Table.from_pylist([{name: TRACE[name] for name in TRACE_COLUMNS} | changes])
    pq.write_table(table, here.folder / f"{KEY}.parquet")
    finish(here, KEY, (f"{KEY}.parquet",))


def put_memory(
    settings: Settings, *, layouts: tuple[str, ...] = ("kv", "latent"), row: SnapshotRow = ROW
) -> None:
    """Write a shard that wants `ROW`, and a store that holds `row` in `layouts`."""
    here = place(settings, "memory_shards", SHARD, {})
    write_rows(here.folder / f"{KEY}.jsonl", [ROW])
    finish(here, KEY, (f"{KEY}.jsonl",))
    store = here.folder.parent / "store"
    tree = {name: [getattr(row, name)] for name in ("repo_id", "sha", "path", "content_hash")}
    records = {"content_hash": [row.content_hash] * len(layouts), "layout": list(layouts)}
    lance.write_dataset(pa.table(tree), store / "snapshots.lance")
    lance.write_dataset(pa.table(records), store / "records.lance")


def put_checkpoint(
    settings: Settings,
    *,
    weights: Mapping[str, list[float]] = WEIGHTS,
    losses: tuple[float, ...] = (2.0, 1.5),
    kind: str = "F32",
    stale: tuple[str, ...] = (),
) -> Record:
    here = place(settings, "gca_checkpoint", "all", {})
    (here.folder / "checkpoint").mkdir(parents=True)
    (here.folder / "checkpoint" / "gca.safetensors").write_bytes(safetensors(weights, kind))
    rows = [{"step": step, "loss": loss} for step, loss in enumerate(losses, start=1)]
    (here.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"steps": 2, "stale": list(stale)}
    return finish(here, "checkpoint", ("checkpoint/gca.safetensors", "metrics.jsonl"), told)


def safetensors(weights: Mapping[str, list[float]], kind: str) -> bytes:
    header, content = {}, b""
    for name, values in weights.items():
        numbers = np.array(values, np.float32)
        data = numbers.tobytes()
        if kind == "BF16":
            data = (numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        places = [len(content), len(content) + len(data)]
        header[name] = {"dtype": kind, "shape": [len(values)], "data_offsets": places}
        content += data
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + content


def put_evaluation(settings: Settings, layouts: Mapping[str, Mapping[str, Any]]) -> Record:
    return finish(place(settings, "evaluation", "all", {}), "evaluation", extra=dict(layouts))
