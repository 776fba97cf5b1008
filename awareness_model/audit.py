"""audit: true texts behind own and others' readings: `python -m awareness_model.audit`.

Reads `AuditRequest` lines, scores each text behind each of its readings, and appends `AuditAnswer`
lines; a rerun scores only what is missing. Then it writes a report (`differences.measures`) and
beside it one row per text, `<report>.items.jsonl`. A prompt goes through the model's chat template;
files stand before it as the teacher reads them (`distil`). Of the files, every reading of a text
gets the same number of tokens, from the front.

Readings of one text that are the same, token by token, are scored once: their difference is 0.
Limits: texts are forced, not written; one that needs files and has a reading without any is dropped
as `no_context`; requests and answers are held in memory.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model.config import UserError, default_device, default_model
from awareness_model.schema import (
    FILES_BEFORE,
    TASK_BEFORE,
    AuditAnswer,
    AuditRequest,
    Reading,
    read_rows,
    write_atomic,
)

if TYPE_CHECKING:
    from awareness_model.differences import Scored

LABEL = "audit"
OWN = "own"
NO_CONTEXT = "no_context"


@dataclass(frozen=True, slots=True)
class _Row:
    """A text behind one reading, as ids."""

    id: str
    prompt: tuple[int, ...]
    text: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as rows: one for each reading that differs from those before it."""

    request: AuditRequest
    rows: tuple[_Row, ...]
    """Empty where a reading has no file to read."""
    row_of: dict[str, str]
    """Id of the row that scores a reading, by its name."""


def audit(
    model: Any,
    tokenizer: Any,
    requests: Sequence[AuditRequest],
    answers: Path,
    batch_size: int = 8,
) -> "tuple[list[Scored], dict[str, int]]":
    """Append every answer that `answers` lacks; return all texts scored, and drops by reason."""
    from awareness_model.batch import answer_batches, in_batches

    asked = [_ask(tokenizer, request) for request in requests]
    rows = [row for one in asked for row in one.rows]
    batches = in_batches(rows, lambda row: (len(row.prompt) + len(row.text), row.id), batch_size)
    answer_batches(batches, answers, AuditAnswer, lambda batch: _score(model, batch), LABEL)
    known = {row.id: row for row in read_rows(AuditAnswer, answers)} if rows else {}
    dropped = Counter(NO_CONTEXT for one in asked if not one.rows)
    return [_scored(one, known) for one in asked if one.rows], dict(dropped)


def _ask(tokenizer: Any, request: AuditRequest) -> _Asked:
    from awareness_model.base import plain_ids

    text = tuple(plain_ids(tokenizer, request.text)[: request.max_text_tokens])
    contexts = [_context(tokenizer, reading) for reading in request.readings]
    limit = min(request.max_context_tokens, *map(len, contexts))
    if request.max_context_tokens and not limit:
        return _Asked(request, (), {})
    rows: dict[tuple[int, ...], _Row] = {}
    row_of = {}
    for reading, context in zip(request.readings, contexts, strict=True):
        prompt = tuple(_prompt(tokenizer, reading, context[:limit], request.max_prompt_tokens))
        row = rows.setdefault(prompt, _Row(f"{request.id}:{reading.name}", prompt, text))
        row_of[reading.name] = row.id
    return _Asked(request, tuple(rows.values()), row_of)


def _context(tokenizer: Any, reading: Reading) -> list[int]:
    """Return the ids of a reading's files, one after the other."""
    from awareness_model.base import plain_ids

    texts = (f"{file.path}\n{file.text.rstrip()}\n\n" for file in reading.files)
    return [id for text in texts for id in plain_ids(tokenizer, text)]


def _prompt(tokenizer: Any, reading: Reading, context: list[int], most: int) -> list[int]:
    """Return the ids of a chat prompt: the files, if there are any, and the reading's prompt."""
    from awareness_model.base import chat_ids, plain_ids
    from awareness_model.generate import GAP, cut_middle

    prompt = cut_middle(plain_ids(tokenizer, reading.prompt), most, plain_ids(tokenizer, GAP))
    if not context:
        return chat_ids(tokenizer, "", prompt)
    before, task = (plain_ids(tokenizer, text) for text in (FILES_BEFORE, TASK_BEFORE))
    return chat_ids(tokenizer, "", [*before, *context, *task, *prompt])


def _score(model: Any, batch: Sequence[_Row]) -> list[AuditAnswer]:
    from awareness_model.batch import nats

    found = nats(model, [row.prompt for row in batch], [row.text for row in batch])
    return [
        AuditAnswer(row.id, round(value, 6), len(row.text), len(row.prompt))
        for row, value in zip(batch, found, strict=True)
    ]


def _scored(one: _Asked, answers: dict[str, AuditAnswer]) -> "Scored":
    from awareness_model.differences import Scored

    request, own = one.request, one.row_of[OWN]
    return Scored(
        kind=request.kind,
        group=request.group,
        repo_id=request.repo_id,
        sha=request.sha,
        tokens=answers[own].tokens,
        nats={name: answers[row].nats for name, row in one.row_of.items()},
        alike=frozenset(name for name, row in one.row_of.items() if row == own) - {OWN},
    )


def _line(row: "Scored") -> str:
    shown = {
        "kind": row.kind,
        "group": row.group,
        "repo_id": row.repo_id,
        "sha": row.sha,
        "tokens": row.tokens,
        "nats": dict(row.nats),
        "alike": sorted(row.alike),
    }
    return json.dumps(shown) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Score a file of requests. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.audit")
    parser.add_argument("--model", default=default_model(), help="folder or hub id")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--requests", type=Path, required=True, help="AuditRequest lines")
    parser.add_argument("--answers", type=Path, required=True, help="AuditAnswer lines")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--report", type=Path, required=True, help="JSON, written last")
    args = parser.parse_args(argv)
    from awareness_model.base import load_model
    from awareness_model.differences import measures

    try:
        requests = list(read_rows(AuditRequest, args.requests))
        model, tokenizer = load_model(args.model, args.device)
        rows, dropped = audit(model, tokenizer, requests, args.answers, args.batch_size)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = {"measures": measures(rows, args.seed), "dropped": dropped}
    items = "".join(map(_line, rows))
    write_atomic(args.report.with_suffix(".items.jsonl"), items.encode())
    write_atomic(args.report, (json.dumps(report, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
