"""Questions to the teacher, and the traces that its answers make.

`instruction`: a task over the files of the tree before a commit; the teacher writes the answer
(target `teacher`) or is forced along the true diff (`commit`). `reconstruction` and `state`: a span
of code that another file decides, along which the teacher is forced with that file in its context
(`span`); a `state` question is asked of successive trees. The student never sees the repository,
only the one file that a task names, if it names one.

A trace file is Parquet with the columns of `awareness_model.schema.TRACE_COLUMNS`; the same traces
give the same bytes. Limits: an answer is one text; nothing is asked twice with other samplings.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from awareness_model.schema import TRACE_COLUMNS, DistilAnswer, DistilRequest, SourceFile, digest
from awareness_pipeline.config import Distil
from awareness_pipeline.teacher.packing import offered

__all__ = ["COMMIT", "INSTRUCTION", "RECONSTRUCTION", "SPAN", "STATE", "TEACHER"]
__all__ += ["Lesson", "Trace", "lesson_of", "row_of", "why_unusable", "write_traces"]

INSTRUCTION: Final = "instruction"
RECONSTRUCTION: Final = "reconstruction"
STATE: Final = "state"
TEACHER: Final = "teacher"
COMMIT: Final = "commit"
SPAN: Final = "span"
GOLD: Final = "gold"
"""Why a file is in the context of a span: it decides it."""
ANSWERED: Final = ("stop", "length", "forced", "given")
ROWS_AT_ONCE: Final = 32
"""Rows of a group, which a reader of shuffled rows reads whole. Measured with k = 32 and 88 tokens:
16 rows out of 1,024 in 9.7 ms; 14.8 with 64 rows, 29 with 256."""
SPLIT: Final = ("topk_logprobs.list.element.list.element", "tail_mass.list.element")
"""Columns of floats that hardly repeat. Their bytes apart, and a dictionary for all others, make
14.7 KB a trace of 21.4."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a trace is about, before it is answered."""

    repo_id: int
    sha: str
    parent_sha: str
    """The tree that decides the answer and that a memory must hold."""
    kind: str
    style: str
    """Style of the task; empty for a span."""
    target: str
    prompt: str
    response: str | None
    """The true diff or span; None: the teacher writes."""
    gold_paths: tuple[str, ...]
    hops: int = 0
    chain: str = ""
    step: int = 0
    language: str = ""
    repository_bytes: int = 0
    student: SourceFile | None = None
    """The file that stands in the student's prompt. It stays a gold document: what a memory holds
    of it says the same."""

    @property
    def trace_id(self) -> str:
        """Return the digest of all fields."""
        return digest(*(f"{item.name}={getattr(self, item.name)!r}" for item in fields(self)))


@dataclass(frozen=True, slots=True)
class Lesson:
    """A trace to be, and the question that the teacher is asked for it."""

    trace: Trace
    request: DistilRequest
    reasons: Mapping[str, str]
    """Why each file is offered, by path."""


def lesson_of(
    trace: Trace, files: Iterable[tuple[SourceFile, str]], settings: Distil, model: str
) -> Lesson:
    """Return the question of a trace; its id names the model, the limits and every file.

    Args:
        files: what the teacher may see, most relevant first, each with the reason.
        model: what names the teacher.
    """
    seen = offered(files, settings.max_context_tokens)
    limits = (settings.max_context_tokens, settings.max_new_tokens, settings.top_k)
    texts = (text for file, _ in seen for text in (file.path, file.text))
    request = DistilRequest(
        id=digest(model, trace.trace_id, *map(str, limits), *texts),
        prompt=trace.prompt,
        files=tuple(file for file, _ in seen),
        response=trace.response,
        raw=trace.target == SPAN,
        max_context_tokens=settings.max_context_tokens,
        max_new_tokens=settings.max_new_tokens,
        top_k=settings.top_k,
        student_file=trace.student,
    )
    return Lesson(trace, request, {file.path: reason for file, reason in seen})


def why_unusable(answer: DistilAnswer) -> str:
    """Return why an answer makes no trace; empty if it does."""
    if answer.finish_reason not in ANSWERED:
        return answer.finish_reason
    return "" if answer.response_ids else "empty_answer"


def row_of(lesson: Lesson, answer: DistilAnswer) -> dict[str, Any]:
    """Return a trace as a row of a trace file."""
    trace = lesson.trace
    return {
        "trace_id": trace.trace_id,
        "repo_id": trace.repo_id,
        "sha": trace.sha,
        "parent_sha": trace.parent_sha,
        "kind": trace.kind,
        "style": trace.style,
        "target": trace.target,
        "prompt": trace.prompt,
        "student_path": trace.student.path if trace.student else "",
        "student_prompt_ids": answer.student_prompt_ids,
        "response_ids": answer.response_ids,
        "response_text": answer.response_text,
        "top_k": min(map(len, answer.topk_ids), default=0),
        "topk_ids": answer.topk_ids,
        "topk_logprobs": answer.topk_logprobs,
        "tail_mass": answer.tail_mass,
        "manifest_paths": [entry.path for entry in answer.manifest],
        "manifest_tokens": [entry.tokens for entry in answer.manifest],
        "manifest_reasons": [lesson.reasons[entry.path] for entry in answer.manifest],
        "gold_paths": trace.gold_paths,
        "hops": trace.hops,
        "chain": trace.chain,
        "step": trace.step,
        "language": trace.language,
        "repository_bytes": trace.repository_bytes,
        "finish_reason": answer.finish_reason,
        "tokenizer_fingerprint": answer.tokenizer_fingerprint,
    }


def write_traces(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a trace file group by group, and return its number of rows. The caller makes it atomic
    and durable."""
    schema = pa.schema([(name, _arrow_type(kind)) for name, kind in TRACE_COLUMNS.items()])
    count = 0
    leaves = [_leaf(name, kind) for name, kind in TRACE_COLUMNS.items()]
    shape: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": [one for one in leaves if one not in SPLIT],
        "column_encoding": dict.fromkeys(SPLIT, "BYTE_STREAM_SPLIT"),
    }
    with pq.ParquetWriter(path, schema, **shape) as file:
        for group in _groups(rows):
            file.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _leaf(name: str, kind: str) -> str:
    """Return where Parquet keeps a column's values."""
    return name + ".list.element" * kind.count("list<")


def _arrow_type(name: str) -> Any:
    """Return the pyarrow type of `int64`, `list<int32>`, `list<list<float>>` and the like."""
    if name.startswith("list<"):
        return pa.list_(_arrow_type(name[len("list<") : -1]))
    return {"string": pa.string(), "int64": pa.int64(), "int32": pa.int32(), "float": pa.float32()}[
        name
    ]
