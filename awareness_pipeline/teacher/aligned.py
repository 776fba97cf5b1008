"""Answers of an endpoint in the student's tokens: rows for `python -m awareness_model.align`.

That process has the student's tokenizer and decides what is kept of the alternatives; here the
answer is only written down. Its answers outlive a kill. Limits: a token told as text that is not
whole UTF-8 (U+FFFD stands in it) counts as one whose bytes are not told.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from awareness_model.schema import (
    AlignRequest,
    DistilAnswer,
    DistilRequest,
    ManifestEntry,
    digest,
    read_rows,
    to_json,
    write_rows,
)
from awareness_pipeline.launch import run_model
from awareness_pipeline.teacher.chat import FORCED, ChatAnswer, Token

__all__ = ["align_request", "given_request", "run_align"]

NOT_WHOLE: Final = "\ufffd"
GIVEN: Final = "given"


def align_request(
    request: DistilRequest, answer: ChatAnswer, manifest: tuple[ManifestEntry, ...]
) -> AlignRequest:
    """Return what an endpoint answered, to be put into the student's tokens."""
    forced = answer.finish_reason == FORCED
    places = answer.places
    return AlignRequest(
        id=request.id,
        prompt=request.prompt,
        raw=request.raw,
        student_file=request.student_file,
        response=answer.text,
        finish_reason=answer.finish_reason,
        token_ids=tuple(_number(one.chosen) for one in places),
        token_bytes=tuple(_raw(one.chosen) for one in places),
        topk_ids=tuple(tuple(map(_number, one.top)) for one in places),
        topk_bytes=tuple(tuple(map(_raw, one.top)) for one in places),
        topk_logprobs=tuple(tuple(token.logprob for token in one.top) for one in places),
        written_tokens=0 if forced else answer.completion_tokens,
        teacher_tokens=answer.prompt_tokens + answer.completion_tokens,
        manifest=manifest,
    )


def given_request(
    request: DistilRequest, text: str, manifest: tuple[ManifestEntry, ...]
) -> AlignRequest:
    """Return a true text that no teacher scores, for the student to learn as text."""
    return align_request(request, ChatAnswer(text, GIVEN, 0, 0), manifest)


def run_align(
    requests: Iterable[AlignRequest], student: str, scratch: Path, label: str
) -> dict[str, DistilAnswer]:
    """Return the rows of answers, by the ids of their requests.

    Args:
        student: the model whose tokenizer is the student's: folder or hub id.

    Raises:
        UserError: its tokenizer cannot be loaded.
        RuntimeError: the process failed.
    """
    # What was aligned before a kill is taken up where it is the same answer.
    named = {_name(row): row for row in requests}
    if not named:
        return {}
    asked, answers = scratch / "align.jsonl", scratch / "aligned.jsonl"
    write_rows(asked, [replace(row, id=name) for name, row in named.items()])
    args = ["--model", student, "--requests", str(asked), "--answers", str(answers)]
    run_model("align", args, label, scratch / "align.log")
    rows = (row for row in read_rows(DistilAnswer, answers) if row.id in named)
    return {named[row.id].id: replace(row, id=named[row.id].id) for row in rows}


def _name(row: AlignRequest) -> str:
    return digest(to_json(row))


def _number(token: Token) -> int:
    return -1 if token.id is None else token.id


def _raw(token: Token) -> str:
    raw = token.raw
    if raw is None and token.id is None:
        raw = token.text.encode()
    return "" if raw is None or NOT_WHOLE.encode() in raw else raw.hex()
