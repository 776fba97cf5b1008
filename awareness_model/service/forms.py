"""OpenAI's chat completions as data: a request checked field by field, replies and errors in form.

Ours beside theirs: `memory` (a served memory's name), `scope`, `file` and `documents` in a request;
`awareness` in a reply, with what was read. Fields that would change the answer and are not covered
(tools, `n` above 1, `logprobs`, `response_format`) are refused; others (`user`, …) are passed over.
Temperature is 0 unless asked for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from awareness_model.citing import by_document
from awareness_model.conversation import ROLES, Message
from awareness_model.reading import Answer, Asked, Room
from awareness_model.service.refusal import Wrong
from awareness_model.writing import Style

MOST_MESSAGES = 64
MOST_STOPS = 4
NOT_COVERED = ("tools", "functions", "tool_choice", "logprobs", "top_logprobs", "response_format",
               "audio", "modalities", "logit_bias")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask."""

    max_tokens: int = 1024
    body_bytes: int = 1 << 20
    waiting: int = 8
    """Requests that may wait for their turn."""
    documents: int = 16


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request."""

    model: str
    memory: str
    asked: Asked
    stream: bool
    usage_too: bool
    """A stream ends with the counts of tokens."""


def chat_request(body: Any, limits: Limits) -> ChatRequest:
    """Check a request's body.

    Raises:
        Wrong: a field is missing, of another kind, too large or not covered.
    """
    if not isinstance(body, dict):
        raise Wrong("the body is a JSON object", "invalid_json")
    for name in NOT_COVERED:
        if body.get(name):
            raise Wrong(f"{name} is not covered here: leave it out", "unsupported_parameter")
    if _number(body, "n", 1, 1, 1) != 1:
        raise Wrong("n is 1 here", "unsupported_parameter")
    usual = Room()
    room = Room(int(_number(body, "documents", usual.documents, 1, limits.documents)))
    options = body.get("stream_options") or {}
    return ChatRequest(
        _text(body, "model"),
        _text(body, "memory"),
        Asked(
            _messages(body.get("messages")),
            _text(body, "scope") or "**",
            _text(body, "file") or None,
            style=_style(body, limits),
            room=room,
        ),
        _flag(body, "stream"),
        _flag(options if isinstance(options, dict) else {}, "include_usage"),
    )


def _style(body: Mapping[str, Any], limits: Limits) -> Style:
    named = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
    stop = body.get("stop") or []
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(one, str) for one in stops):
        raise Wrong("stop is a text or a list of texts")
    if len(stops) > MOST_STOPS:
        raise Wrong(f"stop has at most {MOST_STOPS} texts")
    seed = body.get("seed")
    return Style(
        int(_number(body, named, min(256, limits.max_tokens), 1, limits.max_tokens)),
        float(_number(body, "temperature", 0, 0, 2)),
        float(_number(body, "top_p", 1, 1e-6, 1)),
        tuple(stops),
        None if seed is None else int(_number(body, "seed", 0, -(2**63), 2**63 - 1)),
    )


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise Wrong("messages is a list of at least one message")
    if len(given) > MOST_MESSAGES:
        raise Wrong(f"messages has {len(given)} entries, at most {MOST_MESSAGES} are read")
    messages = tuple(_message(one) for one in given)
    if messages[-1].role != "user" or not messages[-1].text.strip():
        raise Wrong("the last message is the user's, with a text")
    return messages


def _message(given: Any) -> Message:
    if not isinstance(given, dict):
        raise Wrong("a message is an object with role and content")
    role = "system" if given.get("role") == "developer" else given.get("role")
    if role not in ROLES:
        raise Wrong(f"a role is one of {', '.join(ROLES)}")
    content = given.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [
        one.get("text") for one in parts if isinstance(one, dict) and one.get("type") == "text"
    ]
    if len(texts) != len(parts) or not all(isinstance(one, str) for one in texts):
        raise Wrong("a message's content is text", "unsupported_content")
    return Message(role, "".join(map(str, texts)))


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str) or len(value) > 4096:
        raise Wrong(f"{name} is a text of at most 4096 characters")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name) or False
    if not isinstance(value, bool):
        raise Wrong(f"{name} is true or false")
    return value


def _number(body: Mapping[str, Any], name: str, usual: float, least: float, most: float) -> float:
    value = body.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"{name} is a number")
    if not least <= value <= most:
        raise Wrong(f"{name} is between {least} and {most} here, not {value}")
    return value


def error(message: str, code: str, status: int) -> dict[str, Any]:
    """Return OpenAI's form of an error."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def completion(name: str, made: int, model: str, found: Answer, told: Any) -> dict[str, Any]:
    """Return a whole reply.

    Args:
        made: seconds since 1970.
        told: what was read (`read_of`).
    """
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": found.text, "refusal": None},
        "finish_reason": found.finish_reason,
        "logprobs": None,
    }
    head = {"id": name, "object": "chat.completion", "created": made, "model": model}
    return {**head, "choices": [choice], "usage": usage(found), "awareness": told}


def chunk(
    name: str, made: int, model: str, delta: Mapping[str, str], reason: str | None = None
) -> dict[str, Any]:
    """Return one part of a streamed reply."""
    choice = {"index": 0, "delta": dict(delta), "finish_reason": reason, "logprobs": None}
    head = {"id": name, "object": "chat.completion.chunk", "created": made, "model": model}
    return {**head, "choices": [choice]}


def usage(found: Answer) -> dict[str, int]:
    """Return the counts of tokens; those of memory are not in the prompt."""
    total = found.prompt_tokens + found.completion_tokens
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": total,
    }


def read_of(memory: str, scope: str, found: Answer) -> dict[str, Any]:
    """Return what an answer rests on."""
    return {
        "memory": memory,
        "scope": scope,
        "measure": "attention",
        "on_memory": found.on_memory,
        "memory_tokens": found.memory_tokens,
        "documents": [
            {"path": path, "mass": mass} for path, mass in by_document(found.cited).items()
        ],
        "cited": [asdict(one) for one in found.cited],
    }
