"""What must hold of task prompts and teacher traces."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from awareness_model.schema import TRACE_COLUMNS, read_rows
from awareness_pipeline.artifacts import Record
from awareness_pipeline.defs.checks.check import Check, Problems, per_unit, reading
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.teacher.messages import leak_in

SHARES = ("leak", "grounding", "copy_overlap", "english", "self_contained")
ROWS_AT_ONCE = 256
ROUNDING = 1e-4
"""A probability summed in single precision may miss 0 or 1 by so much."""


def prompts(folder: Path, record: Record) -> Problems:
    """An accepted prompt has text and no reason to reject it, and names no address, no commit and
    no issue's number; a rejected one says why. Every commit has a prompt of each style, scores are
    shares, and as many are accepted as the record says."""
    rows = list(read_rows(TaskPrompt, folder / f"{record.key}.jsonl"))
    yield from _of_unit(rows, record)
    for row in rows:
        if row.accepted == bool(row.reject_reason):
            yield f"{row.sha[:12]}: accepted is {row.accepted}, reason {row.reject_reason!r}"
        if row.accepted and not row.prompt.strip():
            yield f"{row.sha[:12]}: accepted without text"
        if row.accepted and (leak := leak_in(row.prompt)):
            yield f"{row.sha[:12]}: names a {leak}"
        if wrong := [name for name in SHARES if not 0 <= getattr(row, name) <= 1]:
            yield f"{row.sha[:12]}: {', '.join(wrong)} is no share"


def _of_unit(rows: Sequence[TaskPrompt], record: Record) -> Problems:
    styles = Counter(row.style for row in rows)
    commits = {row.sha for row in rows}
    if uneven := sorted(style for style, number in styles.items() if number != len(commits)):
        yield f"{len(commits)} commits, but {styles[uneven[0]]} prompts of style {uneven[0]}"
    accepted = Counter(row.style for row in rows if row.accepted)
    if accepted != Counter(record.extra["by_style"]):
        yield f"accepted {dict(accepted)}, its record says {record.extra['by_style']}"


def traces(folder: Path, record: Record) -> Problems:
    """Every trace has an answer; one with alternatives has `top_k` of them, as many
    log-probabilities and a tail for every token, and one without has none of them.
    Log-probabilities are at most 0, tails are probabilities, lists about the same files are as long
    as each other, and a chain is a state's and of no other kind."""
    # Buffered, the whole file would be held.
    with pq.ParquetFile(folder / f"{record.key}.parquet", pre_buffer=False) as file:
        if file.schema_arrow.names != list(TRACE_COLUMNS):
            yield f"columns are {', '.join(file.schema_arrow.names)}"
            return
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for row in batch.to_pylist():
                for problem in (*_of_answer(row), *_of_question(row)):
                    yield f"{row['trace_id']}: {problem}"


def _of_question(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("manifest_tokens", "manifest_reasons"):
        if len(row[name]) != len(row["manifest_paths"]):
            yield f"{name} has {len(row[name])} rows for {len(row['manifest_paths'])} files"
    if not row["gold_paths"]:
        yield "nothing decides its answer"
    if bool(row["chain"]) != (row["kind"] == "state"):
        yield f"kind {row['kind']}, chain {row['chain']!r}"


def _of_answer(row: Mapping[str, Any]) -> Iterator[str]:
    length = len(row["response_ids"]) if row["top_k"] else 0
    for name in ("topk_ids", "topk_logprobs", "tail_mass"):
        if len(row[name]) != length:
            yield f"{name} has {len(row[name])} rows for {length} tokens"
    if not row["response_ids"]:
        yield "no response"
    widths = {len(ids) for ids in (*row["topk_ids"], *row["topk_logprobs"])}
    if widths - {row["top_k"]}:
        yield f"different numbers of alternatives: {sorted(widths)} where top_k is {row['top_k']}"
    if not all(_below_one(found) for found in row["topk_logprobs"]):
        yield "a log-probability is above 0 or no number"
    if not all(-ROUNDING <= tail <= 1 + ROUNDING for tail in row["tail_mass"]):
        yield "a tail is no probability"


def _below_one(logprobs: Sequence[float]) -> bool:
    return all(not math.isnan(found) and found <= ROUNDING for found in logprobs)


CHECKS = (
    Check(
        "task_prompts",
        "prompts_sound",
        per_unit("task_prompts", prompts),
        mark=reading("task_prompts"),
    ),
    Check(
        "teacher_traces",
        "traces_sound",
        per_unit("teacher_traces", traces),
        mark=reading("teacher_traces"),
    ),
)
