"""On-disk formats shared with the pipeline: the rows that cross the process boundary.

The pipeline writes requests, documents, snapshots and items as JSON lines; the entry points of this
package (`python -m awareness_model.<name>`) read them and write answers and reports beside them.
Standard library only, so that reading a schema never loads torch. A row is a frozen dataclass; its
JSON form is the dict of its fields. Limits: one line per row, UTF-8, no versioned migrations: a
change of meaning is a new field or a new name.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from awareness_model.config import TrainingConfig

LAYOUTS = ("kv", "latent")
"""Memory layouts: `kv`, the decoder's own keys and values; `latent`, encoder states."""

FILES_BEFORE = "These files are in the repository:\n\n"
TASK_BEFORE = "The task:\n"
"""What a teacher reads before files and before the task; a file is its path, a line break, its text
and an empty line."""

CONDITIONS = ("own", "other", "none", "text")
"""What the decoder may read in an evaluation: the repository's memory, another repository's memory,
no memory, the same documents as text in the context."""

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Ask the local model to write. The answer starts inside `prefix`, which is not repeated."""

    id: str
    system: str
    prompt: str
    prefix: str
    """Text the assistant's answer is forced to begin with, such as `<task>`."""
    stop: str
    """Generation ends where this text appears; it is not part of the answer."""
    max_prompt_tokens: int
    max_new_tokens: int
    top_k: int = 0
    """Alternatives wanted per token of the answer."""


@dataclass(frozen=True, slots=True)
class GenerateAnswer:
    """What the model wrote, without prefix and stop text.

    Where alternatives were wanted, `topk_ids[t]` and `topk_logprobs[t]` describe the distribution
    that chose `token_ids[t]`, likeliest first; those of the stop text are among them.
    """

    id: str
    text: str
    finish_reason: str
    """`stop`: the stop text came (or the end of sequence, where none was asked for); `end`: the
    model ended without it; `length`: the budget ran out."""
    prompt_tokens: int
    completion_tokens: int
    token_ids: tuple[int, ...] = ()
    topk_ids: tuple[tuple[int, ...], ...] = ()
    topk_logprobs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One text file of a repository snapshot."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class DistilRequest:
    """Ask the teacher to answer with the repository in its context.

    `files` come most relevant first; the teacher packs as many whole files as fit in
    `max_context_tokens`. With `response` set, the teacher is forced along it (and scores it)
    instead of writing its own answer. `raw` prompts are continued as they stand (code completion);
    others go through the model's chat template. `student_file` stands in the student's prompt.
    """

    id: str
    prompt: str
    files: tuple[SourceFile, ...]
    response: str | None
    raw: bool
    max_context_tokens: int
    max_new_tokens: int
    top_k: int
    student_file: SourceFile | None = None


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A file the teacher saw, with the number of its tokens."""

    path: str
    tokens: int


@dataclass(frozen=True, slots=True)
class DistilAnswer:
    """A teacher trace; T response tokens, k alternatives each.

    `topk_ids[t]` and `topk_logprobs[t]` describe the distribution that predicts `response_ids[t]`
    (already shifted); `tail_mass[t]` is the probability outside the k alternatives.
    `finish_reason`: `stop` or `length` of the own answer; `forced` along a given response; `given`,
    a response that no teacher has scored; `no_context` where no file (or not even the prompt) fits,
    and then nothing was asked; an endpoint's own word where it refused.

    Without alternatives (all three lists empty) the answer is text only: `response_ids` are the
    student tokenizer's, whatever the teacher's are.
    """

    id: str
    student_prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    response_text: str
    topk_ids: tuple[tuple[int, ...], ...]
    topk_logprobs: tuple[tuple[float, ...], ...]
    tail_mass: tuple[float, ...]
    manifest: tuple[ManifestEntry, ...]
    finish_reason: str
    teacher_tokens: int
    tokenizer_fingerprint: str


@dataclass(frozen=True, slots=True)
class AlignRequest:
    """Put an endpoint's answer into the student's tokens: T tokens as far as the endpoint named
    them, each with its alternatives.

    A token has an id (-1: not told) and its bytes in hex (empty: not told). The tokens may begin
    before `response` and end behind it: those that spell it are looked for from the end.
    """

    id: str
    prompt: str
    raw: bool
    student_file: SourceFile | None
    response: str
    finish_reason: str
    token_ids: tuple[int, ...]
    token_bytes: tuple[str, ...]
    topk_ids: tuple[tuple[int, ...], ...]
    topk_bytes: tuple[tuple[str, ...], ...]
    topk_logprobs: tuple[tuple[float, ...], ...]
    written_tokens: int
    """As the endpoint counts them; 0 for a text that was given to it."""
    teacher_tokens: int
    manifest: tuple[ManifestEntry, ...]


TRACE_COLUMNS: dict[str, str] = {
    "trace_id": "string",
    "repo_id": "int64",
    "sha": "string",
    "parent_sha": "string",
    "kind": "string",
    "style": "string",
    "target": "string",
    "prompt": "string",
    "student_path": "string",
    "student_prompt_ids": "list<int32>",
    "response_ids": "list<int32>",
    "response_text": "string",
    "top_k": "int32",
    "topk_ids": "list<list<int32>>",
    "topk_logprobs": "list<list<float>>",
    "tail_mass": "list<float>",
    "manifest_paths": "list<string>",
    "manifest_tokens": "list<int32>",
    "manifest_reasons": "list<string>",
    "gold_paths": "list<string>",
    "hops": "int32",
    "chain": "string",
    "step": "int32",
    "language": "string",
    "repository_bytes": "int64",
    "finish_reason": "string",
    "tokenizer_fingerprint": "string",
}
"""Columns of a teacher-trace Parquet file, in order, as pyarrow type names.

- `parent_sha`: the tree that decides the answer, and that a memory must hold.
- `kind`: `instruction` (a task prompt), `reconstruction` (a span whose text another file decides)
  or `state` (such a span over successive trees: one `chain`, `step` 0, 1, …).
- `target`: `teacher`, its own answer; `commit`, forced along the true diff; `span`, forced along
  the true text of a reconstruction or state.
- `student_path`: a file whose text stands in the student's prompt; empty for none.
- `top_k`: alternatives of every response token; 0 is text only, then `topk_ids`, `topk_logprobs`
  and `tail_mass` are empty and `response_ids` are the student tokenizer's ids of the text.
- `manifest_reasons`: `touched`, `imported`, `folder`, `rest` or `gold`, as long as
  `manifest_paths`.
- `hops`: gold files beyond those that the diff touches; 0 for a span.
- `language`: main language of the tree, or of the file asked about; `repository_bytes`: bytes of
  text that were read of the tree.
"""


@dataclass(frozen=True, slots=True)
class EncodeDocument:
    """A document to encode once, named by what it holds: `content_hash` of its bytes."""

    content_hash: str
    text: str


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """Which tree holds which document: the only way readers reach memory records."""

    repo_id: int
    sha: str
    path: str
    content_hash: str
    scope: str = "repository"
    acl: str = "public"


@dataclass(frozen=True, slots=True)
class EncodeReport:
    """What one encode run leaves: counts by layout, and the digest of what was asked."""

    documents: int
    encoded: dict[str, int]
    """Documents encoded in this run, by layout: 0 when all were there already."""
    records: dict[str, int]
    """Memory records the asked documents hold, by layout."""
    tokens: dict[str, int]
    bytes: dict[str, int]
    digest: str
    """blake2b over the sorted record ids of the asked documents."""
    by_document: dict[str, int]
    """Memory records of each asked document, all layouts together, by content hash."""


@dataclass(frozen=True, slots=True)
class TrainJob:
    """A training to run: where its inputs are, and its settings (`output_dir` among them)."""

    model: str
    device: str
    store: str
    traces: tuple[str, ...]
    """Parquet files of teacher traces."""
    training: TrainingConfig


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a finished training leaves beside the reader."""

    steps: int
    samples: int
    """Traces it could learn from."""
    dropped: dict[str, int]
    """Traces it could not, by reason."""
    digest: str
    """Digest of the trained weights."""
    inputs: str
    """Digest of settings, base model and trace files: the same job finds itself done."""


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """One question whose answer stands in another file of the same repository."""

    item_id: str
    repo_id: int
    sha: str
    kind: str
    """`remote`: a name defined in another file, where it is used; `needle`: a constant's value."""
    language: str
    path: str
    prompt: str
    answer: str
    gold: tuple[str, ...]
    """Paths of the documents that decide the answer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is scored behind: a prompt, with files before it or without."""

    name: str
    """`own`, `same` (of another commit of the repository) or `other` (of another repository)."""
    prompt: str
    files: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """Ask how likely a text is behind each of its readings; `own` is one of them.

    With files, every reading gets as many tokens of them as the one that has fewest, at most
    `max_context_tokens`, so that only what is read differs and not how much.
    """

    id: str
    kind: str
    """`prompt`: the readings differ in the prompt; `context`: in the files."""
    group: str
    """What is compared within a kind: the style of the prompts, or a trace's target."""
    repo_id: int
    sha: str
    text: str
    readings: tuple[Reading, ...]
    max_text_tokens: int
    """The text's first tokens are scored."""
    max_prompt_tokens: int
    """A longer prompt is cut in its middle."""
    max_context_tokens: int


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """What one reading makes of a text."""

    id: str
    """`<request id>:<reading>`."""
    nats: float
    """−log likelihood of the text, all its scored tokens together."""
    tokens: int
    """Tokens of the text that were scored."""
    read: int
    """Tokens before it."""


def content_hash(data: bytes) -> str:
    """Return the blake2b-256 hex digest that names a document."""
    return blake2b(data, digest_size=32).hexdigest()


def digest(*parts: str) -> str:
    """Return a blake2b-128 hex digest of strings, order and boundaries included."""
    state = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    return state.hexdigest()


def to_json(row: Any) -> str:
    """Return a row (dataclass instance) as one line of JSON, keys in field order."""
    return json.dumps(dataclasses.asdict(row), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[RowT], line: str) -> RowT:
    """Read one JSON line as a row of `kind`. Raises ValueError naming what is missing or new."""
    found = json.loads(line)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(found, dict) or (extra := set(found) - known):
        raise ValueError(f"not a {kind.__name__}: unexpected {sorted(extra) if found else found!r}")
    try:
        row = kind(**found)
    except TypeError as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from None
    return _nested(row)


def _nested(row: RowT) -> RowT:
    """Lists become tuples, and dicts inside become the rows that their field promises."""
    inner: dict[str, Any] = {
        "files": SourceFile,
        "manifest": ManifestEntry,
        "readings": Reading,
        "student_file": SourceFile,
    }
    for field in fields(row):  # type: ignore[arg-type]
        value, kind = getattr(row, field.name), inner.get(field.name)
        if isinstance(value, list):
            rows = tuple(
                _nested(kind(**item)) if kind else tuple(item) if isinstance(item, list) else item
                for item in value
            )
            object.__setattr__(row, field.name, rows)
        elif kind and isinstance(value, dict):
            object.__setattr__(row, field.name, kind(**value))
    return row


def write_atomic(path: Path, data: bytes) -> None:
    """Write aside, fsync, rename: readers see the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON lines, atomically."""
    write_atomic(path, "".join(to_json(row) + "\n" for row in rows).encode())


def read_rows(kind: type[RowT], path: Path) -> Iterator[RowT]:
    """Read JSON lines as rows of `kind`. Raises ValueError naming the file and line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield from_json(kind, line.decode())
            except ValueError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from None
