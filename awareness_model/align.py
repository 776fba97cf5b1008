"""align: an endpoint's answers become the student's tokens: `python -m awareness_model.align`.

Reads `AlignRequest` lines, appends `DistilAnswer` lines; a rerun answers only what is missing. No
model is loaded, only the student's tokenizer. An answer keeps its alternatives where the teacher's
tokens are provably the student's, token by token, in one of two ways:

- by ids: the student's bytes of the ids that the endpoint names spell the answer, and agree with
  the bytes that it tells;
- by bytes: the answer, tokenised by the student, has the tokens that the endpoint tells the bytes
  of, and as many as it counts (llama.cpp joins tokens that are no UTF-8 alone).

All else is text only: a tokenizer mismatch is never trained on as a distribution. Alternatives that
the student cannot write are left to the tail; each place keeps as many as the poorest has.

Limits: tokenizers whose vocabulary is not byte-level give text only. Where the endpoint tells ids
alone, alternatives are believed to be in the same vocabulary as the tokens that were checked.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model.config import UserError, default_model
from awareness_model.schema import AlignRequest, DistilAnswer, read_rows

if TYPE_CHECKING:
    from awareness_model.spelling import Spelling

LABEL = "align"
BATCH = 64

Likely = list[tuple[int, float]]
"""Ids of the student with their log-probabilities, likeliest first."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    """An answer in the student's ids, with k alternatives at each place."""

    ids: tuple[int, ...]
    likely: list[Likely]


def align(tokenizer: Any, requests: Sequence[AlignRequest], answers: Path) -> None:
    """Append an answer to `answers` for every request that has none yet."""
    from awareness_model.base import tokenizer_fingerprint
    from awareness_model.batch import answer_batches
    from awareness_model.spelling import Spelling

    spelling, mark = Spelling(tokenizer), tokenizer_fingerprint(tokenizer)
    batches = [requests[start : start + BATCH] for start in range(0, len(requests), BATCH)]

    def work(batch: Sequence[AlignRequest]) -> list[DistilAnswer]:
        return [_row(tokenizer, spelling, one, mark) for one in batch]

    answer_batches(batches, answers, DistilAnswer, work, LABEL)


def _row(
    tokenizer: Any, spelling: "Spelling", request: AlignRequest, fingerprint: str
) -> DistilAnswer:
    from awareness_model.base import plain_ids
    from awareness_model.student import student_ids

    ids = tuple(plain_ids(tokenizer, request.response))
    tokens = _by_ids(spelling, request) or _by_bytes(spelling, request, ids) or _Tokens(ids, [])
    width = min((len(one) for one in tokens.likely), default=0)
    kept = [one[:width] for one in tokens.likely] if width else []
    file, raw = request.student_file, request.raw
    return DistilAnswer(
        id=request.id,
        student_prompt_ids=tuple(student_ids(tokenizer, request.prompt, file, raw=raw)),
        response_ids=tokens.ids if width else ids,
        response_text=request.response,
        topk_ids=tuple(tuple(number for number, _ in one) for one in kept),
        topk_logprobs=tuple(tuple(round(value, 6) for _, value in one) for one in kept),
        tail_mass=tuple(_tail(one) for one in kept),
        manifest=request.manifest,
        finish_reason=request.finish_reason,
        teacher_tokens=request.teacher_tokens,
        tokenizer_fingerprint=fingerprint,
    )


def _by_ids(spelling: "Spelling", request: AlignRequest) -> _Tokens | None:
    """Return the tokens by the ids that the endpoint names; None where they are not ours."""
    end = len(request.token_ids)
    while end and spelling.is_special(request.token_ids[end - 1]):
        end -= 1
    told = zip(request.token_ids[:end], request.token_bytes[:end], strict=True)
    start = _spelled([_agreed(spelling, *one) for one in told], request.response)
    if start is None:
        return None
    likely = []
    for place in range(start, end):
        rows = list(zip(request.topk_ids[place], request.topk_bytes[place], strict=True))
        known = [(one, raw) for one, raw in rows if spelling.bytes_of(one) is not None]
        if any(_agreed(spelling, one, raw) is None for one, raw in known):
            return None
        ours = {one for one, _ in known}
        likely.append(_likely(request, place, [one if one in ours else -1 for one, _ in rows]))
    return _Tokens(request.token_ids[start:end], likely)


def _by_bytes(spelling: "Spelling", request: AlignRequest, ids: tuple[int, ...]) -> _Tokens | None:
    """Return the student's own tokens where the endpoint's have the same bytes one by one."""
    if abs(len(request.token_bytes) - request.written_tokens) > 1 and request.written_tokens:
        return None
    pieces = [bytes.fromhex(raw) for raw in request.token_bytes]
    end = len(pieces)
    while end and _is_end(spelling, pieces[end - 1]):
        end -= 1
    start = _spelled(pieces[:end], request.response)
    if start is None or [spelling.bytes_of(one) for one in ids] != pieces[start:end]:
        return None
    likely = []
    for place in range(start, end):
        named = (spelling.id_of(bytes.fromhex(raw)) for raw in request.topk_bytes[place])
        likely.append(_likely(request, place, [-1 if one is None else one for one in named]))
    return _Tokens(ids, likely)


def _agreed(spelling: "Spelling", number: int, told: str) -> bytes | None:
    """Return an id's bytes; None where it has none, or the endpoint tells others."""
    own = spelling.bytes_of(number)
    return own if not told or own == bytes.fromhex(told) else None


def _is_end(spelling: "Spelling", piece: bytes) -> bool:
    number = spelling.id_of(piece)
    return not piece or (number is not None and spelling.is_special(number))


def _spelled(pieces: Sequence[bytes | None], text: str) -> int | None:
    """Return where the last pieces begin that spell a text together; None if none do."""
    wanted = text.encode()
    place, left = len(pieces), len(wanted)
    while left > 0 and place:
        place -= 1
        piece = pieces[place]
        if not piece or not wanted.endswith(piece, 0, left):
            return None
        left -= len(piece)
    return place if wanted and not left else None


def _likely(request: AlignRequest, place: int, ids: Sequence[int]) -> Likely:
    """Return a place's alternatives that have an id, likeliest first, each once."""
    found: dict[int, float] = {}
    for number, value in zip(ids, request.topk_logprobs[place], strict=True):
        if number >= 0:
            found[number] = max(value, found.get(number, -math.inf))
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))


def _tail(likely: Likely) -> float:
    return round(min(max(1 - sum(math.exp(value) for _, value in likely), 0.0), 1.0), 6)


def main(argv: Sequence[str] | None = None) -> int:
    """Align a file of answers. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.align")
    parser.add_argument("--model", default=default_model(), help="the student: folder or hub id")
    parser.add_argument("--requests", type=Path, required=True, help="AlignRequest lines")
    parser.add_argument("--answers", type=Path, required=True, help="DistilAnswer lines")
    args = parser.parse_args(argv)
    from awareness_model.base import load_tokenizer

    try:
        requests = list(read_rows(AlignRequest, args.requests))
        align(load_tokenizer(args.model), requests, args.answers)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
