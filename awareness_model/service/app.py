"""The service: `/v1/models`, `/v1/chat/completions`, a page at `/` and the JSON behind it.

One model, several memories by name; the first is used where a request names none. Answers are
computed one at a time (`turns`), each noted in its memory's recent history and kept for the page
(the last `SHOWN`, in this process only). Errors have OpenAI's form; a fault of ours tells nothing
of its inside to the client and goes to the log.
"""

import asyncio
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from awareness_model import home
from awareness_model.config import UserError
from awareness_model.listing import documents, scopes
from awareness_model.loaded import Loaded
from awareness_model.memory.live import LiveMemory
from awareness_model.reading import Answer, answer
from awareness_model.service import forms
from awareness_model.service.following import Told, following
from awareness_model.service.forms import ChatRequest, Limits
from awareness_model.service.guard import admit, json_body
from awareness_model.service.page import HEADERS, PAGE
from awareness_model.service.refusal import Wrong
from awareness_model.service.turns import Turn, Turns

LOG = logging.getLogger(__name__)
SHOWN = 20
"""Answers that the page can show."""
GONE = 499
"""Status for a client that left; nobody reads it."""


@dataclass(slots=True)
class Service:
    """What requests share."""

    name: str
    """The model's, as clients name it."""
    model: Loaded
    memories: Mapping[str, LiveMemory]
    token: str | None = None
    limits: Limits = field(default_factory=Limits)
    history: bool = True
    """Answers are noted in recent history."""
    told: Told | None = None
    """Given what changed in a served folder; None: folders are not followed."""
    begun: int = field(default_factory=lambda: int(time.time()))
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))


Handler = Callable[[Service, Turns, Request], Coroutine[Any, Any, Response]]


def application(service: Service) -> Starlette:
    """Return the application of a service."""
    turns = Turns(service.limits.waiting)

    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        async def handle(request: Request) -> Response:
            try:
                admit(request, service.token)
                return await handler(service, turns, request)
            except Wrong as wrong:
                return _error(str(wrong), wrong.code, wrong.status)
            except UserError as refused:
                return _error(" ".join(str(refused).split()), "invalid_value", 400)
            except ClientDisconnect:
                return Response(status_code=GONE)

        return Route(path, handle, methods=[method])

    async def page(request: Request) -> Response:
        return HTMLResponse(PAGE, headers=HEADERS)

    async def fault(request: Request, error: Exception) -> Response:
        LOG.error("%s failed", request.url.path, exc_info=error)
        return _error("the service failed: its log has the reason", "internal_error", 500)

    async def nothing(request: Request, error: Exception) -> Response:
        return _error(f"nothing at {request.method} {request.url.path}", "not_found", 404)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        with following(service.memories, turns.between, service.told):
            yield
        turns.close()

    return Starlette(
        routes=[
            Route("/", page),
            route("/v1/models", _models),
            route("/v1/chat/completions", _chat, "POST"),
            route("/api/memories", _memories),
            route("/api/answers", _answers),
        ],
        exception_handlers={404: nothing, 405: nothing, 500: fault},
        lifespan=life,
    )


def _error(message: str, code: str, status: int) -> JSONResponse:
    headers = {429: {"retry-after": "2"}, 401: {"www-authenticate": "Bearer"}}.get(status)
    return JSONResponse(forms.error(message, code, status), status, headers)


async def _models(service: Service, turns: Turns, request: Request) -> Response:
    one = {"id": service.name, "object": "model", "created": service.begun, "owned_by": "awareness"}
    return JSONResponse({"object": "list", "data": [one]})


async def _memories(service: Service, turns: Turns, request: Request) -> Response:
    def look() -> list[dict[str, Any]]:
        return [
            {"name": name, "documents": documents(one.store), "scopes": scopes(one.store)}
            for name, one in service.memories.items()
        ]

    return JSONResponse(await asyncio.to_thread(look))


async def _answers(service: Service, turns: Turns, request: Request) -> Response:
    return JSONResponse(list(service.recent)[::-1])


async def _chat(service: Service, turns: Turns, request: Request) -> Response:
    asked = forms.chat_request(await json_body(request, service.limits.body_bytes), service.limits)
    if asked.model != service.name:
        raise Wrong(f"no model {asked.model!r} here: {service.name!r}", "model_not_found", 404)
    name = asked.memory or next(iter(service.memories))
    if name not in service.memories:
        known = ", ".join(service.memories)
        raise Wrong(f"no memory {name!r} here: choose one of {known}", "memory_not_found", 404)
    turn = turns.start(_work(service, name, asked))
    first = await _first(turn, request)
    if asked.stream:
        lines = _stream(service, name, asked, turn, first)
        return StreamingResponse(lines, media_type="text/event-stream")
    while isinstance(first, str):
        first = await _first(turn, request)
    made = _head(service)
    return JSONResponse(forms.completion(*made, first, _read(name, asked, first)))


def _work(
    service: Service, name: str, chat: ChatRequest
) -> Callable[[Callable[[str], None], Callable[[], bool]], Answer]:
    """Return what the model's thread does for a request."""
    memory, question = service.memories[name], chat.asked.messages[-1].text

    def work(hear: Callable[[str], None], is_cancelled: Callable[[], bool]) -> Answer:
        found = answer(chat.asked, service.model, memory, hear, is_cancelled)
        if found.finish_reason != "cancelled":
            told = _read(name, chat, found)
            service.recent.append({"question": question, "answer": found.text, **told})
            if service.history:
                home.note_chat(memory, question, found.text)
        return found

    return work


async def _first(turn: Turn, request: Request) -> Any:
    """Return the next item of a turn; a client that leaves meanwhile cancels it.

    Raises:
        ClientDisconnect: the client left.
    """
    item = asyncio.create_task(turn.queue.get())
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({item, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not item.done():
            raise ClientDisconnect
        return _raised(item.result())
    finally:
        if not item.done():
            turn.cancel()
        for task in (item, gone):
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _raised(item: Any) -> Any:
    if isinstance(item, Exception):
        raise item
    return item


async def _stream(
    service: Service, name: str, chat: ChatRequest, turn: Turn, item: Any
) -> AsyncIterator[str]:
    """Yield server-sent events; a client that leaves ends the generator, and that the turn."""
    head = _head(service)
    try:
        yield _event(forms.chunk(*head, {"role": "assistant", "content": ""}))
        while isinstance(item, str):
            yield _event(forms.chunk(*head, {"content": item}))
            item = await turn.queue.get()
        if isinstance(item, Exception):
            LOG.error("a stream failed", exc_info=item)
            yield _event(forms.error("the service failed", "internal_error", 500))
            return
        last = forms.chunk(*head, {}, item.finish_reason)
        yield _event({**last, "awareness": _read(name, chat, item)})
        if chat.usage_too:
            yield _event({**last, "choices": [], "usage": forms.usage(item)})
        yield "data: [DONE]\n\n"
    finally:
        turn.cancel()


def _event(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _head(service: Service) -> tuple[str, int, str]:
    return f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), service.name


def _read(name: str, chat: ChatRequest, found: Answer) -> dict[str, Any]:
    return forms.read_of(name, chat.asked.scope, found)
