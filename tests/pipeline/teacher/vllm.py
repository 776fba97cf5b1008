"""What vLLM answers, over a tokenizer of bytes: own answers with their alternatives, by token ids
where `return_tokens_as_token_ids` asks for them, and the log-probabilities of a prompt.

Field names as in vLLM's `chat_completion/protocol.py` and `logprobs.py`: `prompt_logprobs` is null
for the first token, then an object by token id, the token that stands there first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from awareness_model.base import plain_ids
from tests.pipeline.teacher.scripted import completion, turn

Write = Callable[[Mapping[str, Any]], str]

LIKELY, SECOND = math.log(0.5), math.log(0.25)


def vllm(
    tokenizer: Any,
    write: Write = lambda payload: "do it",
    *,
    shift: int = 0,
    scores: bool = True,
) -> Callable[[Mapping[str, Any]], Any]:
    """Return an endpoint's answers.

    Args:
        write: the answer to a payload.
        shift: added to every id, as another vocabulary would.
        scores: give the log-probabilities of prompts.
    """

    def answer(payload: Mapping[str, Any]) -> Any:
        if payload.get("prompt_logprobs"):
            body = completion("!", "length", prompt_tokens=9, completion_tokens=1)
            ids = plain_ids(tokenizer, "assistant\n" + turn(payload))
            rows = [_row(tokenizer, one + shift, payload["prompt_logprobs"]) for one in ids]
            return body | {"prompt_logprobs": [None, *rows] if scores else None}
        text = write(payload)
        ids = [*plain_ids(tokenizer, text), tokenizer.eos_token_id]
        body = completion(text, prompt_tokens=9, completion_tokens=len(ids))
        if payload.get("logprobs"):
            by_id = bool(payload.get("return_tokens_as_token_ids"))
            content = [_entry(tokenizer, one, shift, by_id) for one in ids]
            body["choices"][0]["logprobs"] = {"content": content}
        return body

    return answer


def alternatives(tokenizer: Any, number: int) -> Sequence[tuple[int, float]]:
    """Return the tokens that this teacher finds likeliest at a place, whose own token is first."""
    other = plain_ids(tokenizer, "Q")[0]
    return [(number, LIKELY), (other, SECOND)]


def _row(tokenizer: Any, number: int, most: int) -> dict[str, Any]:
    likely = alternatives(tokenizer, number)[:most]
    return {
        str(one): {"logprob": value, "rank": place + 1, "decoded_token": "?"}
        for place, (one, value) in enumerate(likely)
    }


def _entry(tokenizer: Any, number: int, shift: int, by_id: bool) -> dict[str, Any]:
    told = [
        _token(tokenizer, one, shift, by_id) | {"logprob": value}
        for one, value in alternatives(tokenizer, number)
    ]
    return told[0] | {"top_logprobs": told}


def _token(tokenizer: Any, number: int, shift: int, by_id: bool) -> dict[str, Any]:
    text = f"token_id:{number + shift}" if by_id else tokenizer.decode([number])
    return {"token": text, "bytes": list(text.encode())}
