"""Who answers: the model on this machine, or an endpoint. One call for both.

`ask` takes a batch of chat requests and returns their answers in order. What the cache holds is
never asked again; what is asked is kept before anything is made of it, so a killed run goes on
where it was. `files.py` puts requests that bring files through it.

The identity of a teacher is its name and revision (a digest for a local model), never its address.
Limits: one teacher at a time; a stage's requests are held in memory.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from awareness_model.config import model_identity
from awareness_model.schema import GenerateAnswer, GenerateRequest
from awareness_pipeline.clock import REAL_CLOCK, Clock
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.teacher.books import Books, books_of
from awareness_pipeline.teacher.cache import key_of
from awareness_pipeline.teacher.chat import (
    LENGTH,
    STOP,
    ChatAnswer,
    ChatRequest,
    Place,
    Token,
    answer_from,
)
from awareness_pipeline.teacher.client import Asked, ask_endpoint
from awareness_pipeline.teacher.local import LocalModel, ask_model, local_key
from awareness_pipeline.teacher.protocol import payload_of, trimmed

__all__ = ["Batch", "ask", "local_model", "teacher_identity", "teacher_shape"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of a batch of chat requests."""

    answers: tuple[ChatAnswer | None, ...]
    """In the order of the requests; None where none was wanted, or none came."""
    unanswered: Mapping[int, str] = field(default_factory=dict)
    """Why a wanted answer did not come, by its place: `pending`, or `failed: ` and how."""
    stopped: str = ""
    """One line, if the batch ended before its end: why, and how to go on."""
    down: bool = False
    """It ended because the endpoint does not answer."""

    def require_up(self) -> None:
        """Raise UserError with the line if the endpoint went away; call it once all is written."""
        if self.down:
            raise UserError(self.stopped)


def teacher_identity(settings: Settings) -> str:
    """Return what names the teacher in fingerprints, rows and the ledger.

    Raises:
        UserError: the local model is not there.
    """
    teacher = settings.teacher
    if not teacher.url:
        return model_identity(settings.model)
    return f"{teacher.model}@{teacher.revision}" if teacher.revision else teacher.model


def teacher_shape(settings: Settings) -> dict[str, str | bool]:
    """Return all that makes a teacher's answers what they are: its part of a fingerprint.

    Raises:
        UserError: the local model is not there.
    """
    teacher, named = settings.teacher, {"model": teacher_identity(settings)}
    if not teacher.url:
        return {**named}
    return {**named, "parameters": teacher.parameters, "prefill": teacher.prefill}


def ask(
    settings: Settings,
    stage: str,
    requests: Sequence[ChatRequest],
    scratch: Path,
    *,
    label: str,
    wanted: Collection[int] | None = None,
    clock: Clock = REAL_CLOCK,
    transport: httpx.BaseTransport | None = None,
) -> Batch:
    """Return the answers to a batch of chat requests, in order.

    Args:
        stage: who asks, as the ledger names it.
        requests: all requests of a unit, wanted now or not: the local model's batches are formed
            over them.
        scratch: folder for work in hand that a killed run leaves to the next.
        label: what the progress bar says.
        wanted: places in `requests`; all by default.

    Raises:
        UserError: something that only the user can mend; the answers until then are kept.
        RuntimeError: the local model's process failed.
    """
    places = range(len(requests)) if wanted is None else sorted(wanted)
    books = books_of(settings, stage, teacher_identity(settings), paid=bool(settings.teacher.url))
    if settings.teacher.url:
        found = _ask_endpoint(settings, requests, places, books, label, clock, transport)
    else:
        found = _ask_local(settings, requests, places, scratch, books, label)
    if found.stopped and not found.down:
        log.warning("%s: %s", label, found.stopped)
    return found


def _ask_endpoint(
    settings: Settings,
    requests: Sequence[ChatRequest],
    places: Iterable[int],
    books: Books,
    label: str,
    clock: Clock,
    transport: httpx.BaseTransport | None,
) -> Batch:
    teacher = settings.teacher
    payloads = {place: payload_of(requests[place], teacher) for place in places}
    keys = {place: key_of(teacher.model, teacher.revision, one) for place, one in payloads.items()}
    kept = {key: answer for key in set(keys.values()) if (answer := _kept(books, key))}
    if kept:
        books.ledger.add(replace(books.nothing, cached=len(kept)))
    missing = {key: payloads[place] for place, key in keys.items() if key not in kept}
    asked = Asked()
    if missing:
        asked = ask_endpoint(
            teacher, missing, books, clock, label=label, evident=bool(kept), transport=transport
        )
    answers = kept | asked.answers
    return Batch(
        answers=tuple(
            trimmed(answers[key], request, teacher)
            if (key := keys.get(place)) and key in answers
            else None
            for place, request in enumerate(requests)
        ),
        unanswered={
            place: asked.unanswered[key] for place, key in keys.items() if key in asked.unanswered
        },
        stopped=asked.stopped,
        down=asked.down,
    )


def _kept(books: Books, key: str) -> ChatAnswer | None:
    text = books.cache.get(key)
    return None if text is None else answer_from(text)


def local_model(settings: Settings) -> LocalModel:
    """Return the model on this machine. Raises UserError if it is not there."""
    return LocalModel(settings.model, model_identity(settings.model), settings.device)


def _ask_local(
    settings: Settings,
    requests: Sequence[ChatRequest],
    places: Iterable[int],
    scratch: Path,
    books: Books,
    label: str,
) -> Batch:
    model = local_model(settings)
    rows = [_local_request(model, request) for request in requests]
    wanted = {rows[place].id: place for place in places}
    given = ask_model(
        "generate",
        model,
        {row.id: row for row in rows}.values(),
        GenerateAnswer,
        scratch,
        books,
        wanted=wanted.keys(),
        label=label,
    )
    pairs = zip(requests, rows, strict=True)
    answers = [
        _chat_answer(request, given.answers[row.id]) if row.id in given.answers else None
        for request, row in pairs
    ]
    unanswered = {
        place: given.unanswered[row.id]
        for place, row in enumerate(rows)
        if row.id in given.unanswered
    }
    return Batch(tuple(answers), unanswered, given.stopped)


def _local_request(model: LocalModel, request: ChatRequest) -> GenerateRequest:
    if request.forced:
        raise ValueError("the local model is forced by the entry point `distil` alone")
    row = GenerateRequest(
        id="",
        system=request.system,
        prompt=request.prompt,
        prefix=request.prefix,
        stop=request.stop,
        max_prompt_tokens=request.max_prompt_tokens,
        max_new_tokens=request.max_new_tokens,
        top_k=request.top_logprobs,
    )
    return replace(row, id=local_key("generate", model, row))


def _chat_answer(request: ChatRequest, answer: GenerateAnswer) -> ChatAnswer:
    """Return a local answer as one of the protocol: with prefix and stop text."""
    closed = request.stop if answer.finish_reason == STOP else ""
    return ChatAnswer(
        text=request.prefix + answer.text + closed,
        finish_reason=LENGTH if answer.finish_reason == LENGTH else STOP,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        top_k=min((len(ids) for ids in answer.topk_ids), default=0),
        places=tuple(
            # Greedy: what was chosen is the likeliest.
            Place(Token(logprobs[0], id=chosen), _tokens(ids, logprobs))
            for chosen, ids, logprobs in zip(
                answer.token_ids, answer.topk_ids, answer.topk_logprobs, strict=True
            )
        ),
    )


def _tokens(ids: Iterable[int], logprobs: Iterable[float]) -> tuple[Token, ...]:
    pairs = zip(ids, logprobs, strict=True)
    return tuple(Token(logprob, id=number) for number, logprob in pairs)
