"""A question to the teacher and its answer: the same rows whoever answers.

A request is one system text and one user text, answered greedily. `prefix` is how the answer must
begin and `stop` the text it ends with, tags for the most part; an answer's text holds both as far
as they came, so whoever asked reads the tags from the text alone, whichever backend it came from.

Limits: one turn; one answer per request; texts only, no tools and no images.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

__all__ = [
    "FORCED",
    "LENGTH",
    "REFUSED",
    "STOP",
    "TOO_LONG",
    "ChatAnswer",
    "ChatRequest",
    "Place",
    "Token",
]
__all__ += ["answer_from", "answer_text"]

STOP: Final = "stop"
LENGTH: Final = "length"
FORCED: Final = "forced"
REFUSED: Final = "refused"
TOO_LONG: Final = "too_long"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Ask the teacher to write."""

    system: str
    prompt: str
    max_prompt_tokens: int
    """A longer prompt loses its middle: by tokens locally, by characters for an endpoint."""
    max_new_tokens: int
    prefix: str = ""
    """How the answer begins: forced locally and by an endpoint that prefills, else hoped for."""
    stop: str = ""
    """Nothing after this text is kept."""
    top_logprobs: int = 0
    """Alternatives wanted per token of the answer."""
    forced: str = ""
    """An answer (behind `prefix`) that is given and only scored, by an endpoint that gives the
    log-probabilities of a prompt. White space around it is the endpoint's to keep or drop."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as far as the backend names it: the local model by id, endpoints mostly by text."""

    logprob: float
    """Natural logarithm; endpoints say -9999 for what they call impossible."""
    text: str = ""
    id: int | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """One token of an answer with its likeliest alternatives."""

    chosen: Token
    top: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What the teacher wrote."""

    text: str
    """The whole turn, from a forced `prefix` up to `stop` where it came."""
    finish_reason: str
    """`stop`: the stop text came or the model ended by itself; `length`: the limit came; as the
    endpoint says otherwise (`content_filter` …); `forced`: the text was given. Without a text:
    `too_long`, the prompt does not fit the endpoint's window; `refused`, see `detail`."""
    prompt_tokens: int
    completion_tokens: int
    top_k: int = 0
    """Alternatives that every place has at least: what the endpoint allowed of those wanted."""
    places: tuple[Place, ...] = ()
    """One per token, unless the endpoint joins tokens that are no text alone (llama.cpp does). Of a
    forced answer: the last ones of the prompt, some of which may come before it."""
    detail: str = ""
    """Why the endpoint refuses, in its own words."""


def answer_text(answer: ChatAnswer) -> str:
    """Return an answer as JSON, tokens as `[logprob, text, id, hex of bytes]`."""
    places = [[_packed(one) for one in (place.chosen, *place.top)] for place in answer.places]
    row = asdict(replace(answer, places=())) | {"places": places}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def answer_from(text: str) -> ChatAnswer | None:
    """Read what `answer_text` gave; None where it is something else."""
    try:
        row = json.loads(text)
        rows = row.pop("places")
        places = tuple(Place(_token(one), tuple(map(_token, top))) for one, *top in rows)
        return ChatAnswer(**row, places=places)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _packed(token: Token) -> list[Any]:
    return [token.logprob, token.text, token.id, token.raw.hex() if token.raw else None]


def _token(row: list[Any]) -> Token:
    logprob, text, number, raw = row
    return Token(logprob, text, number, bytes.fromhex(raw) if raw else None)
