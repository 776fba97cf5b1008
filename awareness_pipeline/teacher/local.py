"""Asks the model on this machine: requests and answers are files, the model is a child process.

The child gets all requests of a unit, so that batches and with them the floats do not depend on
which answers are there already, and a list of those to skip. It appends answers to a file that
outlives a kill; they go into the cache as soon as this process sees them, and a batch that the
cache answers whole starts no child.

A budget admits requests in order by what they can take at most, and again by what is left then,
until nothing more fits. Limits: each such round starts the child anew; answers reach the cache when
the child ends, or at the next run.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from awareness_model.schema import (
    DistilAnswer,
    DistilRequest,
    GenerateAnswer,
    GenerateRequest,
    from_json,
    to_json,
    write_atomic,
    write_rows,
)
from awareness_pipeline.config import UserError
from awareness_pipeline.launch import run_model
from awareness_pipeline.teacher.books import PENDING, Books
from awareness_pipeline.teacher.cache import key_of

__all__ = ["Given", "LocalModel", "ask_model", "local_key"]

LocalRequest = GenerateRequest | DistilRequest
AnswerT = TypeVar("AnswerT", GenerateAnswer, DistilAnswer)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Which model answers, and where it runs."""

    name: str
    """Folder or hub id."""
    identity: str
    """What names it in cache keys, wherever it lies."""
    device: str = "cpu"


@dataclass(slots=True)
class Given(Generic[AnswerT]):
    """What came of a batch, by request id."""

    answers: dict[str, AnswerT] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    """Why there is no answer: `pending`."""
    stopped: str = ""
    """One line, if the batch ended before its end: why, and how to go on."""
    down: bool = False
    """It ended because an endpoint does not answer."""

    def require_up(self) -> None:
        """Raise UserError with the line if the endpoint went away; call it once all is written."""
        if self.down:
            raise UserError(self.stopped)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch's requests with their cache keys, and its files."""

    entry: str
    model: LocalModel
    requests: Sequence[LocalRequest]
    keys: Mapping[str, str]
    scratch: Path
    books: Books

    @property
    def answers(self) -> Path:
        """Return the file that the child appends to."""
        return self.scratch / "answers.jsonl"


def ask_model(
    entry: str,
    model: LocalModel,
    requests: Iterable[LocalRequest],
    kind: type[AnswerT],
    scratch: Path,
    books: Books,
    *,
    wanted: Collection[str],
    label: str,
) -> "Given[AnswerT]":
    """Return the answers to the requests whose ids are `wanted`.

    Args:
        entry: `generate` or `distil`.
        requests: all requests that batches are formed of, wanted now or not.
        kind: the row of an answer.
        scratch: folder for requests, answers and the child's log.

    Raises:
        UserError: the model cannot be loaded; the message says what to do.
        RuntimeError: the child failed; the message holds the end of its log.
    """
    rows = list(requests)
    keys = {row.id: local_key(entry, model, row) for row in rows}
    batch = _Batch(entry, model, rows, keys, scratch, books)
    _take_in(batch, kind, seconds=0.0)
    given = Given(_kept(batch, kind, wanted))
    if given.answers:
        books.ledger.add(replace(books.nothing, cached=len(given.answers)))
    while missing := [row for row in rows if row.id in wanted and row.id not in given.answers]:
        admitted = _admitted(books, missing)
        if not admitted:
            given.unanswered = dict.fromkeys((row.id for row in missing), PENDING)
            given.stopped = books.purse.line(len(missing))
            break
        given.answers |= _answered(batch, kind, admitted, label)
    return given


def local_key(entry: str, model: LocalModel, row: LocalRequest) -> str:
    """Return the cache key of a request: its id says nothing that the rest does not."""
    return key_of(model.identity, "", {"entry": entry, **asdict(row), "id": ""})


def _kept(batch: _Batch, kind: type[AnswerT], wanted: Iterable[str]) -> dict[str, AnswerT]:
    """Return what the cache answers."""
    found = {}
    for name in wanted:
        text = batch.books.cache.get(batch.keys[name])
        answer = None if text is None else _row(kind, text)
        if answer:
            found[name] = replace(answer, id=name)
    return found


def _admitted(books: Books, missing: Iterable[LocalRequest]) -> list[str]:
    """Return the ids of the first requests that fit into the purse, at their largest."""
    admitted: list[tuple[str, tuple[int, int]]] = []
    for row in missing:
        most = _most_tokens(row)
        if not books.purse.fits(*most):
            break
        books.purse.hold(*most)
        admitted.append((row.id, most))
    for _, most in admitted:
        books.purse.release(*most)
    return [name for name, _ in admitted]


def _answered(
    batch: _Batch, kind: type[AnswerT], admitted: Collection[str], label: str
) -> dict[str, AnswerT]:
    """Start the child for the requests admitted; return their answers."""
    began = time.monotonic()
    asked, skip = batch.scratch / "requests.jsonl", batch.scratch / "skip.txt"
    others = sorted({row.id for row in batch.requests} - set(admitted))
    write_rows(asked, batch.requests)
    write_atomic(skip, "".join(f"{one}\n" for one in others).encode())
    args = ["--model", batch.model.name, "--device", batch.model.device, "--requests", str(asked)]
    args += ["--answers", str(batch.answers), "--skip", str(skip)]
    run_model(batch.entry, args, label, batch.scratch / f"{batch.entry}.log")
    found = _take_in(batch, kind, seconds=time.monotonic() - began)
    return {one: found[one] for one in admitted}


def _take_in(batch: _Batch, kind: type[AnswerT], seconds: float) -> dict[str, AnswerT]:
    """Copy new answers from the child's file into cache and ledger; return all there are."""
    found = _written(batch, kind)
    new = [row for row in found.values() if batch.books.cache.get(batch.keys[row.id]) is None]
    spent = replace(batch.books.nothing, tries=len(new), seconds=seconds)
    for row in new:
        batch.books.cache.put(batch.keys[row.id], to_json(row))
        spent += batch.books.pay(*_tokens(row))
    if new:
        batch.books.ledger.add(spent)
    return found


def _written(batch: _Batch, kind: type[AnswerT]) -> dict[str, AnswerT]:
    """Return the answers in the child's file by id; a line torn by a kill is none."""
    data = batch.answers.read_bytes() if batch.answers.is_file() else b""
    whole, _, _ = data.rpartition(b"\n")
    rows = [from_json(kind, line.decode()) for line in whole.split(b"\n") if line]
    return {row.id: row for row in rows if row.id in batch.keys}


def _row(kind: type[AnswerT], text: str) -> AnswerT | None:
    """Read a row from the cache; None where it is no such row."""
    try:
        return from_json(kind, text)
    except ValueError:
        return None


def _most_tokens(row: LocalRequest) -> tuple[int, int]:
    """Return the most tokens that a request and its answer can have."""
    if isinstance(row, GenerateRequest):
        return row.max_prompt_tokens, row.max_new_tokens
    given = len((row.response or "").encode())
    return row.max_context_tokens, max(row.max_new_tokens, given)


def _tokens(answer: Any) -> tuple[int, int]:
    if isinstance(answer, GenerateAnswer):
        return answer.prompt_tokens, answer.completion_tokens
    written = len(answer.response_ids)
    return answer.teacher_tokens - written, written
