"""distil: the teacher answers with files in its context: `python -m awareness_model.distil`.

The teacher is the same frozen model with files in its prompt (context distillation); the student's
prompt is the task, with the one file that the task names. Reads `DistilRequest` lines, appends
`DistilAnswer` lines with the teacher's top-k log-probabilities and tail mass at every response
token; a rerun answers only what is missing. A request with a `response` is scored along it (teacher
forcing); the others are answered greedily, and the distribution that chose a token is the one
stored with it.

Packing: files in the order given, whole, each that still fits. Limits: no file is cut, so a file
larger than the window is never seen; a request whose teacher would see no file is answered with
`no_context` and no tokens.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model.config import UserError, default_device, default_model
from awareness_model.schema import (
    FILES_BEFORE,
    TASK_BEFORE,
    DistilAnswer,
    DistilRequest,
    ManifestEntry,
    read_rows,
)

if TYPE_CHECKING:
    from awareness_model.batch import Written

LABEL = "distil"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request with teacher's and student's prompts as ids."""

    id: str
    request: DistilRequest
    teacher: tuple[int, ...]
    """Empty where the teacher would see no file."""
    student: tuple[int, ...]
    response: tuple[int, ...]
    """Ids of a given response; empty for an answer of the teacher's own."""
    manifest: tuple[ManifestEntry, ...]


def distil(
    model: Any,
    tokenizer: Any,
    requests: Sequence[DistilRequest],
    answers: Path,
    batch_size: int = 4,
    skip: Collection[str] = (),
) -> None:
    """Append an answer to `answers` for every request that has none yet and is not to be skipped.

    Raises:
        ValueError: the requests differ in `top_k`, which is one for a file of traces.
    """
    from awareness_model.base import tokenizer_fingerprint
    from awareness_model.batch import answer_batches, in_batches

    if len({request.top_k for request in requests}) > 1:
        raise ValueError("requests of one file must ask for the same top_k")
    prepared = [_prepare(tokenizer, request) for request in requests]
    mark = tokenizer_fingerprint(tokenizer)
    batches = [
        batch
        for kind in (False, True)
        for batch in in_batches(
            (one for one in prepared if bool(one.response) is kind),
            lambda one: (len(one.teacher) + len(one.response), one.id),
            batch_size,
        )
    ]

    def work(batch: Sequence[_Prepared]) -> list[DistilAnswer]:
        return _answer(model, tokenizer, batch, mark)

    answer_batches(batches, answers, DistilAnswer, work, LABEL, skip)


def pack(
    files: Sequence[tuple[str, list[int]]], room: int
) -> tuple[list[int], tuple[ManifestEntry, ...]]:
    """Return the ids of the files that fit into `room` tokens, and which they are.

    Args:
        files: (path, ids of the file with its heading), most relevant first.
    """
    ids: list[int] = []
    manifest = []
    for path, tokens in files:
        if len(ids) + len(tokens) <= room:
            ids.extend(tokens)
            manifest.append(ManifestEntry(path, len(tokens)))
    return ids, tuple(manifest)


def _prepare(tokenizer: Any, request: DistilRequest) -> _Prepared:
    from awareness_model.base import chat_ids, plain_ids
    from awareness_model.student import student_ids

    prompt = plain_ids(tokenizer, request.prompt)
    files = [
        (file.path, plain_ids(tokenizer, f"{file.path}\n{file.text.rstrip()}\n\n"))
        for file in request.files
    ]

    def teacher(context: list[int]) -> list[int]:
        if request.raw:
            return [*context, *prompt]
        before, task = (plain_ids(tokenizer, text) for text in (FILES_BEFORE, TASK_BEFORE))
        return chat_ids(tokenizer, "", [*before, *context, *task, *prompt])

    response = plain_ids(tokenizer, request.response or "")
    room = request.max_context_tokens - len(teacher([]))
    context, manifest = pack(files, room)
    return _Prepared(
        id=request.id,
        request=request,
        teacher=tuple(teacher(context)) if manifest else (),
        student=tuple(
            student_ids(tokenizer, request.prompt, request.student_file, raw=request.raw)
        ),
        response=tuple(response),
        manifest=manifest,
    )


def _answer(
    model: Any, tokenizer: Any, batch: Sequence[_Prepared], fingerprint: str
) -> list[DistilAnswer]:
    """Answer a batch, either all of it forced or none of it."""
    seen = [one for one in batch if one.teacher]
    rows: dict[str, Written] = {}
    if seen and seen[0].response:
        rows = _forced(model, seen)
    elif seen:
        rows = _free(model, tokenizer, seen)
    return [_row(tokenizer, one, rows.get(one.id), fingerprint) for one in batch]


def _forced(model: Any, batch: Sequence[_Prepared]) -> "dict[str, Written]":
    from awareness_model.batch import Written, score

    found = score(
        model,
        [one.teacher for one in batch],
        [one.response for one in batch],
        batch[0].request.top_k,
    )
    return {
        one.id: Written(one.response, "forced", alternatives)
        for one, alternatives in zip(batch, found, strict=True)
    }


def _free(model: Any, tokenizer: Any, batch: Sequence[_Prepared]) -> "dict[str, Written]":
    from awareness_model.batch import end_ids, greedy

    rows = greedy(
        model,
        [one.teacher for one in batch],
        [one.request.max_new_tokens for one in batch],
        end_ids(model, tokenizer),
        top_k=batch[0].request.top_k,
    )
    return {one.id: row for one, row in zip(batch, rows, strict=True)}


def _row(tokenizer: Any, one: _Prepared, row: "Written | None", fingerprint: str) -> DistilAnswer:
    """Return the answer's row; without one, the row that says why."""
    given = one.request.response
    ids = row.ids if row else ()
    reason = row.finish_reason if row else "no_context"
    return DistilAnswer(
        id=one.id,
        student_prompt_ids=one.student,
        response_ids=ids,
        response_text=given if row and given else tokenizer.decode(ids, skip_special_tokens=True),
        topk_ids=row.alternatives.ids if row else (),
        topk_logprobs=row.alternatives.logprobs if row else (),
        tail_mass=row.alternatives.tail_mass if row else (),
        manifest=one.manifest,
        finish_reason="stop" if reason == "end" else reason,
        teacher_tokens=len(one.teacher) + len(ids),
        tokenizer_fingerprint=fingerprint,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Answer a file of requests. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.distil")
    parser.add_argument("--model", default=default_model(), help="folder or hub id")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--requests", type=Path, required=True, help="DistilRequest lines")
    parser.add_argument("--answers", type=Path, required=True, help="DistilAnswer lines")
    parser.add_argument("--skip", type=Path, help="file of ids that need no answer")
    parser.add_argument("--batch-size", type=int, default=4)
    args = parser.parse_args(argv)
    from awareness_model.base import load_model
    from awareness_model.batch import read_ids

    try:
        requests = list(read_rows(DistilRequest, args.requests))
        model, tokenizer = load_model(args.model, args.device)
        skip = read_ids(args.skip)
        distil(model, tokenizer, requests, args.answers, args.batch_size, skip)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
