"""OpenAI's chat completions, as far as they are needed: requests to payloads, bodies to answers.

What comes back is hostile: a body that is not one finished choice with a text is `Broken`, and
asked again. Greedy (`temperature` 0), no streaming. The stop text is not sent, since the protocol
does not say whether it came or the model just ended; `trimmed` cuts behind it instead, at the price
of the few tokens after it. `prefix` is sent as a last assistant turn if the endpoint
prefills, else not at all.

A forced answer is a last assistant turn that the endpoint neither closes nor goes on from by more
than a token, with the log-probabilities of the prompt, as vLLM gives them: `prompt_logprobs`, a
list with an object per token of the prompt (null for the first one), whose keys are ids, the token
that stands there before the likeliest ones.

An endpoint's tokenizer is not at hand: prompts are cut, and tokens estimated, by characters. Where
an endpoint reports no usage, the estimate is what counts. Limits: special tokens of a chat template
(`<|im_end|>`) in a prompt are the endpoint's to neutralise; llama.cpp and others do not.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from awareness_pipeline.config import Teacher
from awareness_pipeline.teacher.chat import FORCED, STOP, ChatAnswer, ChatRequest, Place, Token

__all__ = ["Broken", "answer_of", "error_of", "estimated_tokens", "payload_of", "trimmed"]

CHARACTERS_PER_TOKEN: Final = 4
"""Kept of a prompt per token allowed: source code has 3 to 4."""
BYTES_PER_TOKEN: Final = 2
"""For estimates of tokens, which should rather be too high: source code has 3 to 4, hashes 2."""
TOKENS_AROUND: Final = 16
"""Allowance for a chat template."""
GAP: Final = "\n[...]\n"
LEAST_LOGPROB: Final = -9999.0
"""What OpenAI's reference says for a token outside the likeliest ones; stands for -inf as well."""
TOKEN_ID: Final = re.compile(r"token_id:([0-9]{1,9})")
"""How vLLM spells tokens under `return_tokens_as_token_ids`."""
SHOWN_CHARACTERS: Final = 300
MOST_TOKENS: Final = 1_000_000_000
"""Ids and counts from here up are not believed."""


class Broken(Exception):
    """A body that is no answer: cut, not JSON, or without what an answer has."""


def payload_of(request: ChatRequest, teacher: Teacher) -> dict[str, Any]:
    """Return the body of a request."""
    prompt = _cut_middle(request.prompt, request.max_prompt_tokens * CHARACTERS_PER_TOKEN)
    turns = [("system", request.system), ("user", prompt)]
    if teacher.prefill or request.forced:
        turns.append(("assistant", request.prefix + request.forced))
    payload: dict[str, Any] = {"max_tokens": request.max_new_tokens, "temperature": 0}
    if wanted := min(request.top_logprobs, teacher.top_logprobs):
        payload |= {"logprobs": True, "top_logprobs": wanted}
    payload |= json.loads(teacher.parameters or "{}")
    if request.forced:
        payload |= _forcing(min(request.top_logprobs, teacher.prompt_logprobs))
    payload |= {
        "model": teacher.model,
        "messages": [{"role": role, "content": text} for role, text in turns if text],
        "stream": False,
    }
    return {name: value for name, value in payload.items() if value is not None}


def _forcing(alternatives: int) -> dict[str, Any]:
    """Return vLLM's fields (`ChatCompletionRequest`) for scoring a prompt. Raises ValueError where
    the endpoint gives no alternatives."""
    if alternatives < 1:
        raise ValueError("a forced answer needs the log-probabilities of the prompt")
    unused = dict.fromkeys(("logprobs", "top_logprobs", "max_completion_tokens"))
    return {
        **unused,
        "max_tokens": 1,
        "prompt_logprobs": alternatives,
        "continue_final_message": True,
        "add_generation_prompt": False,
    }


def estimated_tokens(payload: Mapping[str, Any]) -> tuple[int, int]:
    """Return about how many tokens a prompt has, rather too many than too few, and the most that
    its answer may have."""
    texts = (turn["content"] for turn in payload["messages"])
    limits = (payload.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return (
        sum(_tokens(text) for text in texts) + TOKENS_AROUND,
        max((limit for limit in limits if type(limit) is int), default=0),
    )


def answer_of(body: bytes, payload: Mapping[str, Any]) -> ChatAnswer:
    """Read the body of a successful answer to a payload, its text as the endpoint gave it.

    Raises:
        Broken: it is none.
    """
    found = _json(body)
    choices = _member(found, "choices", list)
    if len(choices) != 1:
        raise Broken(f"{len(choices)} choices where one was asked for")
    message = _member(choices[0], "message", dict)
    reason = _member(choices[0], "finish_reason", str)
    said = message.get("content") or ""
    if not isinstance(said, str):
        raise Broken("a message that is no text")
    places = _places(choices[0]) if payload.get("logprobs") else ()
    if payload.get("prompt_logprobs"):
        places = _prompt_places(found, payload)
    usage = found.get("usage")
    told = usage if isinstance(usage, dict) else {}
    return ChatAnswer(
        text=_whole(said),
        finish_reason=_whole(reason),
        prompt_tokens=_count(told.get("prompt_tokens"), estimated_tokens(payload)[0]),
        completion_tokens=_count(told.get("completion_tokens"), _tokens(said)),
        top_k=min((len(place.top) for place in places), default=0),
        places=places,
    )


def trimmed(answer: ChatAnswer, request: ChatRequest, teacher: Teacher) -> ChatAnswer:
    """Return an answer with its text from the prefix to the stop text, as `ChatAnswer` promises.

    An endpoint that prefills was given the prefix; some repeat it in the answer, some do not.
    """
    if request.forced:
        given = "" if answer.detail else request.forced
        return replace(answer, text=given, finish_reason=FORCED if given else answer.finish_reason)
    begun, text = "", answer.text
    if request.prefix and text.lstrip().startswith(request.prefix):
        begun, text = request.prefix, text.lstrip().removeprefix(request.prefix)
    elif teacher.prefill and not answer.detail:
        begun = request.prefix
    before, found, _ = text.partition(request.stop) if request.stop else (text, "", "")
    reason = STOP if found else answer.finish_reason
    return replace(answer, text=begun + before + found, finish_reason=reason)


def error_of(body: bytes, hide: str = "") -> str:
    """Return what an error's body says, as one short line; empty where it says nothing.

    Args:
        hide: a key that must not show, should the endpoint repeat it.
    """
    try:
        found = _json(body)
    except Broken:
        found = {"error": body[: 4 * SHOWN_CHARACTERS].decode(errors="replace")}
    error = found.get("error", found) if isinstance(found, dict) else found
    parts = [error]
    if isinstance(error, dict):
        parts = [error.get(name) for name in ("code", "type", "message", "detail")]
    line = " ".join(str(part) for part in parts if isinstance(part, str))
    line = line.replace(hide, "***") if hide else line
    shown = "".join(one if one.isprintable() else " " for one in line)
    return " ".join(shown.split())[:SHOWN_CHARACTERS]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Broken("a body that is not JSON") from None


def _member(found: Any, name: str, kind: type) -> Any:
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, kind):
        raise Broken(f"an answer without {name}")
    return value


def _count(told: Any, guess: int) -> int:
    return told if type(told) is int and 0 <= told < MOST_TOKENS else guess


def _places(choice: dict[str, Any]) -> tuple[Place, ...]:
    """Return the places of an answer; none where the endpoint gives no log-probabilities."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return ()
    return tuple(
        Place(_token(one), tuple(map(_token, _member(one, "top_logprobs", list))))
        for one in content
    )


def _prompt_places(found: dict[str, Any], payload: Mapping[str, Any]) -> tuple[Place, ...]:
    """Return the last places of a prompt, as many as its last turn can have: a token is a byte at
    least. None where the endpoint gives none."""
    rows = found.get("prompt_logprobs")
    if not isinstance(rows, list):
        return ()
    most = len(payload["messages"][-1]["content"].encode(errors="surrogatepass"))
    return tuple(_prompt_place(row, payload["prompt_logprobs"]) for row in rows[1:][-most:])


def _prompt_place(row: Any, alternatives: int) -> Place:
    if not isinstance(row, dict) or not row:
        raise Broken("a place of the prompt without a token")
    tokens = [_prompt_token(number, told) for number, told in row.items()]
    likely = sorted(tokens, key=lambda one: -one.logprob)
    return Place(tokens[0], tuple(likely[:alternatives]))


def _prompt_token(number: str, told: Any) -> Token:
    if not re.fullmatch(r"[0-9]{1,9}", number) or not isinstance(told, dict):
        raise Broken("a token of the prompt that is none")
    text = told.get("decoded_token")
    return Token(
        logprob=_logprob(told.get("logprob")),
        text=_whole(text) if isinstance(text, str) else "",
        id=int(number),
    )


def _token(found: Any) -> Token:
    text = _whole(_member(found, "token", str))
    number, raw = found.get("id"), found.get("bytes")
    if named := re.fullmatch(TOKEN_ID, text):
        # The bytes that vLLM tells then are those of this spelling.
        number, text, raw = int(named[1]), "", None
    return Token(
        logprob=_logprob(found.get("logprob")),
        text=text,
        id=number if type(number) is int and 0 <= number < MOST_TOKENS else None,
        raw=_bytes(raw),
    )


def _logprob(value: Any) -> float:
    if type(value) not in (int, float) or math.isnan(value):
        raise Broken("a log-probability that is no number")
    return float(min(max(value, LEAST_LOGPROB), 0.0))


def _bytes(raw: Any) -> bytes | None:
    if not isinstance(raw, list):
        return None
    if not all(type(one) is int and 0 <= one < 256 for one in raw):
        raise Broken("bytes that are none")
    return bytes(raw)


def _whole(text: str) -> str:
    """Return a text that can be written as UTF-8: JSON may hold halves of characters."""
    return text.encode(errors="surrogatepass").decode(errors="replace")


def _tokens(text: str) -> int:
    return -(-len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN)


def _cut_middle(text: str, room: int) -> str:
    """Return a text if it fits into `room` characters, else its head and tail with a gap."""
    if len(text) <= room:
        return text
    tail = max(room - len(GAP), 0) // 2
    return text[: max(room - len(GAP), 0) - tail] + GAP + text[len(text) - tail :]
