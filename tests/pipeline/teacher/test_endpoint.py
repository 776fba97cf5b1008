"""One exchange: what is an answer, what passes, what only the user can mend; and the key's way."""

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from awareness_pipeline.clock import REAL_CLOCK
from awareness_pipeline.config import Teacher, UserError
from awareness_pipeline.teacher import endpoint as module
from awareness_pipeline.teacher.endpoint import Endpoint, Outcome
from tests.pipeline.teacher import scripted
from tests.pipeline.teacher.clock import FakeTime
from tests.pipeline.teacher.scripted import Fault, Script, serve

KEY = "sk-topsecret"
PAYLOAD = {"messages": [{"role": "user", "content": "why"}]}


def exchange(url: str, **settings: Any) -> Outcome:
    """Ask an endpoint once."""
    endpoint = Endpoint(Teacher(url=url, model="m", key=KEY, **settings), FakeTime().clock)
    try:
        return endpoint.ask(PAYLOAD)
    finally:
        endpoint.close()


def played(fault: Fault, **settings: Any) -> Outcome:
    """Ask an endpoint that plays a fault."""
    with serve(Script(faults=[fault])) as served:
        return exchange(served.url, **settings)


def answering(handler: Callable[[httpx.Request], httpx.Response]) -> Outcome:
    teacher = Teacher(url="https://teacher.example/v1", model="m", key=KEY)
    endpoint = Endpoint(teacher, FakeTime().clock, httpx.MockTransport(handler))
    return endpoint.ask(PAYLOAD)


def test_an_answer_comes_back_whole() -> None:
    with serve() as served:
        outcome = exchange(served.url)
        assert served.script.headers[0]["authorization"] == f"Bearer {KEY}"
    assert outcome.answer
    assert outcome.answer.text.startswith("answer ")


@pytest.mark.parametrize(
    ("fault", "wait_s", "everyone"),
    [
        (scripted.status(429, retry_after="7"), 7.0, True),
        (scripted.status(429), None, True),
        (scripted.status(503, retry_after="2"), 2.0, True),
        (scripted.status(503), None, True),
        (scripted.status(500), None, False),
        (scripted.status(502), None, False),
        (scripted.status(408), None, False),
        (scripted.status(409), None, False),
        (scripted.drop, None, False),
        (scripted.cut, None, False),
        (scripted.says(b"{'not': json}"), None, False),
        (scripted.says(b'{"choices": []}'), None, False),
        (scripted.says(b'{"choices": [{}, {}]}'), None, False),
        (scripted.says(b'{"choices": [{"message": {}}]}'), None, False),
        (scripted.says(b'{"id": "x"}'), None, False),
    ],
)
def test_what_may_pass_is_asked_again(fault: Fault, wait_s: float | None, everyone: bool) -> None:
    outcome = played(fault)
    assert outcome.again
    assert (outcome.answer, outcome.refusal, outcome.mend) == (None, None, "")
    assert (outcome.wait_s, outcome.everyone) == (wait_s, everyone)


def test_nobody_there_is_asked_again() -> None:
    with serve() as served:
        url = served.url
    assert exchange(url).again.startswith("no connection: ")


def test_a_huge_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_ANSWER", 1 << 20)
    outcome = played(scripted.says(b" " * (3 << 20)))
    assert outcome.again == "an answer larger than 1,048,576 bytes"


def test_a_body_that_trickles_is_not_waited_for() -> None:
    """Each byte comes in time; the whole does not."""
    with serve(Script(faults=[scripted.trickle])) as served:
        endpoint = Endpoint(Teacher(url=served.url, model="m", timeout_s=0.2), REAL_CLOCK)
        outcome = endpoint.ask(PAYLOAD)
        endpoint.close()
    assert outcome.again == "an answer slower than 0.2 s"


def test_an_endpoint_that_says_nothing_is_not_waited_for() -> None:
    with serve(Script(delay_s=0.5)) as served:
        assert exchange(served.url, timeout_s=0.1).again == "ReadTimeout"


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (400, {"error": {"code": "context_length_exceeded"}}, "too_long"),
        (400, {"error": {"message": "This model's maximum context length is 2048"}}, "too_long"),
        (400, {"error": {"type": "exceed_context_size_error"}}, "too_long"),
        (413, {"error": {"message": "prompt is too long: 9 > 8"}}, "too_long"),
        (400, {"error": {"code": "content_filter"}}, "content_filter"),
        (400, {"error": {"message": "unknown field"}}, "refused"),
        (422, {"detail": "unprocessable"}, "refused"),
    ],
)
def test_a_refused_request_says_why(status: int, said: Any, reason: str) -> None:
    outcome = played(scripted.status(status, said))
    assert outcome.refusal
    assert outcome.refusal.finish_reason == reason
    assert outcome.refusal.detail.startswith(f"{status}: ")


@pytest.mark.parametrize(
    ("status", "said", "line"),
    [
        (401, {"error": {"message": f"Incorrect key {KEY}"}}, "set AWARENESS_TEACHER_KEY"),
        (403, {}, "set AWARENESS_TEACHER_KEY"),
        (402, {"error": "no money"}, "nothing left (402: no money)"),
        (429, {"error": {"code": "insufficient_quota"}}, "nothing left (429: insufficient_quota)"),
        (404, {"error": {"message": "model `m` not found"}}, "AWARENESS_TEACHER_MODEL"),
        (405, {}, "does not take chat requests at /v1/chat/completions"),
        (301, {}, "redirects"),
    ],
)
def test_what_only_the_user_can_mend_is_one_line(status: int, said: Any, line: str) -> None:
    outcome = played(scripted.status(status, said))
    assert line in outcome.mend
    assert KEY not in str(outcome)
    assert "\n" not in outcome.mend


def test_redirects_within_the_origin_are_followed() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/chat/completions":
            return httpx.Response(307, headers={"location": "/v2/chat/completions"})
        return httpx.Response(200, json=scripted.echo(json.loads(request.content)))

    assert answering(handler).answer


@pytest.mark.parametrize(
    "place",
    [
        "https://elsewhere.example/v1/chat/completions",
        "http://teacher.example/v1/chat/completions",
        "https://teacher.example:8443/v1/chat/completions",
        "//elsewhere.example/x",
        "https://[",
    ],
)
def test_a_redirect_elsewhere_is_refused_and_the_key_stays(place: str) -> None:
    hosts = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append((request.url.scheme, request.url.host, request.url.port))
        return httpx.Response(307, headers={"location": place})

    outcome = answering(handler)
    assert "redirects" in outcome.mend
    assert hosts == [("https", "teacher.example", None)]


def test_circles_of_redirects_end() -> None:
    outcome = answering(lambda _: httpx.Response(308, headers={"location": "/v1/again"}))
    assert "circles" in outcome.mend


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"url": "teacher.example/v1"}, "must be an API's root"),
        ({"url": "ftp://teacher.example"}, "must be an API's root"),
        ({"url": "https://user:word@teacher.example"}, "must be an API's root"),
        ({"url": "https://teacher.example/v1?key=1"}, "must be an API's root"),
        ({"url": "https://teacher.example:port/v1"}, "must be an API's root"),
        ({"model": ""}, "set AWARENESS_TEACHER_MODEL"),
        ({"key": "sk-\u00e9"}, "holds a character that no key has"),
        ({"key": "sk\nsecret"}, "holds a character that no key has"),
    ],
)
def test_settings_that_cannot_be_right_are_the_users_error(
    settings: dict[str, str], line: str
) -> None:
    teacher = Teacher(**{"url": "https://teacher.example/v1", "model": "m", **settings})
    with pytest.raises(UserError, match=line) as caught:
        Endpoint(teacher, FakeTime().clock)
    assert "sk" not in str(caught.value)
    assert "word" not in str(caught.value)


def test_the_key_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    teacher = Teacher(url="https://teacher.example/v1", model="m", key=KEY)
    assert KEY not in repr(teacher)
    with caplog.at_level(logging.DEBUG):
        outcomes = [
            played(scripted.status(code, {"error": {"message": f"your key is {KEY}"}}))
            for code in (400, 401, 404, 500)
        ]
    assert KEY not in caplog.text
    assert KEY not in str(outcomes)
