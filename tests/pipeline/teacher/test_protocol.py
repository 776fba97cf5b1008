"""Requests become payloads, and only whole answers are read."""

import json
from typing import Any

import pytest

from awareness_pipeline.config import Teacher
from awareness_pipeline.teacher.chat import (
    ChatAnswer,
    ChatRequest,
    Place,
    Token,
    answer_from,
    answer_text,
)
from awareness_pipeline.teacher.protocol import (
    Broken,
    answer_of,
    error_of,
    estimated_tokens,
    payload_of,
    trimmed,
)
from tests.pipeline.teacher.scripted import completion

TEACHER = Teacher(url="http://x/v1", model="m")
REQUEST = ChatRequest("be brief", "why", 100, 20, prefix="<t>", stop="</t>", top_logprobs=3)
PAYLOAD = payload_of(REQUEST, TEACHER)
SAID = completion("<t>because</t>", prompt_tokens=12, completion_tokens=5)


def body(**changes: Any) -> bytes:
    """A good answer, its one choice changed."""
    return json.dumps({**SAID, "choices": [{**SAID["choices"][0], **changes}]}).encode()


def logprobs(*entries: Any) -> bytes:
    return body(logprobs={"content": list(entries)})


def entry(token: str = "a", logprob: Any = -0.5, **more: Any) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "top_logprobs": [], **more}


def test_a_payload_holds_all_of_the_request() -> None:
    assert payload_of(REQUEST, TEACHER) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "why"},
        ],
        "max_tokens": 20,
        "temperature": 0,
        "stream": False,
        "logprobs": True,
        "top_logprobs": 3,
    }


def test_no_more_alternatives_are_asked_for_than_the_endpoint_gives() -> None:
    assert payload_of(REQUEST, Teacher(top_logprobs=2))["top_logprobs"] == 2
    assert "logprobs" not in payload_of(REQUEST, Teacher(top_logprobs=0))


def test_an_endpoint_that_prefills_is_given_the_beginning() -> None:
    turns = payload_of(REQUEST, Teacher(prefill=True))["messages"]
    assert turns[-1] == {"role": "assistant", "content": "<t>"}


FORCED = ChatRequest("be brief", "why", 100, 20, prefix="x = ", top_logprobs=3, forced="é 1")


def test_a_forced_answer_is_the_open_last_turn() -> None:
    """Whatever the parameters say of its length."""
    able = Teacher(model="m", prompt_logprobs=2, parameters='{"max_tokens": 900, "seed": 1}')
    assert payload_of(FORCED, able) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "why"},
            {"role": "assistant", "content": "x = é 1"},
        ],
        "max_tokens": 1,
        "temperature": 0,
        "stream": False,
        "seed": 1,
        "prompt_logprobs": 2,
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    with pytest.raises(ValueError, match="log-probabilities of the prompt"):
        payload_of(FORCED, TEACHER)


def scored(*rows: Any) -> bytes:
    """vLLM's answer to a forced one."""
    return json.dumps(completion("!", "length") | {"prompt_logprobs": list(rows)}).encode()


def told(logprob: float, rank: int, text: str = "") -> dict[str, Any]:
    return {"logprob": logprob, "rank": rank, "decoded_token": text}


def test_the_places_of_a_forced_answer_are_the_last_ones_of_the_prompt() -> None:
    able = Teacher(model="m", prompt_logprobs=2)
    payload = payload_of(FORCED, able)
    many = [{str(number): told(-1.0, 1)} for number in range(100, 120)]
    last = {"7": told(-4.5, 9, "1"), "8": told(-0.5, 1, "é"), "9": told(-1.0, 2)}
    answer = trimmed(answer_of(scored(None, *many, last), payload), FORCED, able)
    assert (answer.text, answer.finish_reason, answer.top_k) == ("é 1", "forced", 1)
    assert len(answer.places) == len("x = é 1".encode()), "a token is a byte at least"
    assert answer.places[-1] == Place(
        Token(-4.5, "1", 7), (Token(-0.5, "é", 8), Token(-1.0, "", 9))
    )


def test_an_endpoint_that_scores_nothing_gives_no_places() -> None:
    payload = payload_of(FORCED, Teacher(model="m", prompt_logprobs=2))
    for body in (scored(), json.dumps(completion("!", "length")).encode()):
        assert answer_of(body, payload).places == ()


@pytest.mark.parametrize("row", [{}, 7, {"x": told(-1.0, 1)}, {"7": 3}, {"7": {"logprob": "low"}}])
def test_a_place_that_is_none_is_broken(row: Any) -> None:
    payload = payload_of(FORCED, Teacher(model="m", prompt_logprobs=2))
    with pytest.raises(Broken):
        answer_of(scored(None, row), payload)


def test_a_forced_answer_that_was_refused_has_no_text() -> None:
    refused = ChatAnswer("", "too_long", 0, 0, detail="400: too long")
    found = trimmed(refused, FORCED, Teacher(prompt_logprobs=2))
    assert (found.text, found.finish_reason) == ("", "too_long")


def test_parameters_add_and_remove_fields() -> None:
    teacher = Teacher(parameters='{"seed": 7, "temperature": null, "max_tokens": 5}')
    found = payload_of(REQUEST, teacher)
    assert (found["seed"], found["max_tokens"]) == (7, 5)
    assert "temperature" not in found


def test_a_long_prompt_loses_its_middle() -> None:
    long = ChatRequest("", "head" + "x" * 2_000 + "tail", 100, 20)
    (said,) = payload_of(long, TEACHER)["messages"]
    assert len(said["content"]) == 400
    assert said["content"].startswith("head")
    assert said["content"].endswith("tail")
    assert "\n[...]\n" in said["content"]
    assert estimated_tokens(payload_of(long, TEACHER))[0] < 300


def test_estimates_are_rather_too_high() -> None:
    code = ChatRequest("", "def total(rate):\n    return rate * 2\n", 100, 20)
    assert estimated_tokens(payload_of(code, TEACHER)) > (16 + 11, 20)
    longer = Teacher(parameters='{"max_tokens": null, "max_completion_tokens": 900}')
    assert estimated_tokens(payload_of(code, longer))[1] == 900


def test_an_answer_is_read_with_what_it_cost() -> None:
    found = answer_of(body(), PAYLOAD)
    assert found == ChatAnswer("<t>because</t>", "stop", 12, 5)


@pytest.mark.parametrize(
    ("said", "finish", "text", "reason"),
    [
        ("<t>because</t>", "stop", "<t>because</t>", "stop"),
        (" \n<t>because</t> and so on", "length", "<t>because</t>", "stop"),
        ("<t>because", "length", "<t>because", "length"),
        ("<t>because", "stop", "<t>because", "stop"),
        ("Well: <t>because</t>", "stop", "Well: <t>because</t>", "stop"),
        (None, "content_filter", "", "content_filter"),
    ],
)
def test_an_answer_is_kept_up_to_its_stop_text(
    said: str | None, finish: str, text: str, reason: str
) -> None:
    answer = answer_of(body(message={"content": said}, finish_reason=finish), PAYLOAD)
    found = trimmed(answer, REQUEST, TEACHER)
    assert (found.text, found.finish_reason) == (text, reason)


def test_a_stop_text_within_the_beginning_ends_nothing() -> None:
    request = ChatRequest("", "why", 100, 20, prefix="<task>", stop="task")
    answer = answer_of(body(message={"content": "<task>a task is"}), PAYLOAD)
    assert trimmed(answer, request, TEACHER).text == "<task>a task"


@pytest.mark.parametrize("said", ["because</t>", "<t>because</t>"])
def test_a_forced_beginning_is_part_of_the_answer_once(said: str) -> None:
    answer = answer_of(body(message={"content": said}), PAYLOAD)
    assert trimmed(answer, REQUEST, Teacher(prefill=True)).text == "<t>because</t>"


def test_what_an_endpoint_does_not_count_is_estimated() -> None:
    for usage in (None, {}, {"prompt_tokens": "12"}, {"prompt_tokens": -1}, [1], {"x": 10**400}):
        found = answer_of(json.dumps({**SAID, "usage": usage}).encode(), PAYLOAD)
        assert found.prompt_tokens == estimated_tokens(PAYLOAD)[0]
        assert found.completion_tokens == 7, "two bytes a token"


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{"message": {"content": "x"}}]}',
        b"[" * 100_000,
        b'{"error": {"message": "overloaded"}}',
        b'data: {"choices": []}\n\n',
        json.dumps({**SAID, "choices": SAID["choices"] * 2}).encode(),
        body(finish_reason=None),
        body(message=None),
        body(message={"content": [{"type": "text"}]}),
        logprobs({}),
        logprobs(entry(logprob="low")),
        logprobs(entry(logprob=float("nan"))),
        logprobs({"token": "a", "logprob": -1.0}),
        logprobs(entry(bytes=[300])),
    ],
)
def test_what_is_no_whole_answer_is_broken(broken: bytes) -> None:
    with pytest.raises(Broken):
        answer_of(broken, PAYLOAD)


def test_log_probabilities_are_read_in_every_spelling() -> None:
    told = logprobs(
        entry("a", -0.5, bytes=[97], id=5, top_logprobs=[entry("a", -0.5), entry("b", -1)]),
        entry(
            "token_id:42",
            float("-inf"),
            bytes=list(b"token_id:42"),
            top_logprobs=[entry("token_id:42", 1e-7)],
        ),
    )
    found = answer_of(told, PAYLOAD)
    assert found.top_k == 1
    assert found.places == (
        Place(Token(-0.5, "a", 5, b"a"), (Token(-0.5, "a"), Token(-1.0, "b"))),
        Place(Token(-9999.0, "", 42), (Token(0.0, "", 42),)),
    )
    assert answer_of(told, {**PAYLOAD, "logprobs": False}).places == ()


def test_an_endpoint_without_log_probabilities_gives_none() -> None:
    assert answer_of(body(logprobs=None), PAYLOAD).top_k == 0


def test_halves_of_characters_do_not_reach_a_file() -> None:
    told = json.dumps(completion("half \ud83d whole \U0001f600")).encode()
    text = answer_of(told, PAYLOAD).text
    assert text.encode().decode() == text
    assert text.endswith("whole \U0001f600")


def test_answers_go_through_the_cache_unchanged() -> None:
    place = Place(Token(-0.125, "é", 3, b"\xc3"), (Token(-0.125, "é", None, None),) * 2)
    answer = ChatAnswer("ünï\ncode", "length", 3, 4, 2, (place,), "detail")
    assert answer_from(answer_text(answer)) == answer
    for other in ("", "null", "{}", '{"places": 3}', '{"places": [], "x": 1}', "[]"):
        assert answer_from(other) is None


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (b'{"error": {"code": "c", "type": "t", "message": "too\\nlong"}}', "c t too long"),
        (b'{"error": "model not found"}', "model not found"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b"<html>\x1b[31mBad\x07 gateway", "<html> [31mBad gateway"),
        (b'{"error": {"message": "key sk-secret is wrong"}}', "key *** is wrong"),
        (b"", ""),
        (b"[1, 2]", ""),
    ],
)
def test_an_error_is_one_short_line_without_the_key(told: bytes, line: str) -> None:
    assert error_of(told, hide="sk-secret") == line
    assert len(error_of(b'"' + b"long " * 900 + b'"')) <= 300
