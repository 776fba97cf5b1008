"""The endpoint: OpenAI's forms, who may ask, one answer at a time, and the page's data."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import openai
import pytest
import uvicorn
from starlette.testclient import TestClient

from awareness_model import home, serve
from awareness_model.base import save_tiny
from awareness_model.config import UserError
from awareness_model.service import app, guard
from awareness_model.service.app import Service, application
from awareness_model.service.forms import Limits
from awareness_model.service.page import HEADERS, PAGE
from tests.model.agent_world import FILES, filled, tiny_model
from tests.model.memory.live_world import put

HELLO = [{"role": "user", "content": "What is SESSION_TIMEOUT?"}]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def service(tmp_path, model):
    memories = {"shop": filled(tmp_path / "shop", model)}
    return Service("tiny", model, memories, limits=Limits(max_tokens=64, waiting=1))


@pytest.fixture
def client(service):
    with TestClient(application(service), base_url="http://localhost") as made:
        yield made


@contextmanager
def listening(service):
    """The service on a port of loopback, as it runs for users."""
    listener = serve.bound("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(application(service), log_level="error", access_log=False, ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


def asked(**rest):
    return {"model": "tiny", "messages": HELLO, "max_tokens": 4, **rest}


def test_the_official_client_asks_lists_and_streams(service):
    with (
        listening(service) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert [one.id for one in client.models.list()] == ["tiny"]
        extra = {"memory": "shop", "scope": "src/**"}
        whole = client.chat.completions.create(
            model="tiny", messages=HELLO, max_tokens=8, extra_body=extra
        )
        told = whole.model_extra["awareness"]
        assert [one["path"] for one in told["documents"]]
        assert {one["path"] for one in told["cited"]} == {"src/auth.py", "src/cart.py"}
        assert sum(one["mass"] for one in told["cited"]) == pytest.approx(1)
        assert whole.choices[0].finish_reason == "length"
        assert whole.usage.completion_tokens == 8
        stream = client.chat.completions.create(
            model="tiny",
            messages=HELLO,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=extra,
        )
        parts = list(stream)
        text = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
        assert text == whole.choices[0].message.content
        assert parts[-1].usage.completion_tokens == 8
        ended = next(one for one in parts if one.choices and one.choices[0].finish_reason)
        assert ended.model_extra["awareness"]["documents"] == told["documents"]
        with pytest.raises(openai.NotFoundError, match="no model 'gpt-4' here"):
            client.chat.completions.create(model="gpt-4", messages=HELLO)
        with pytest.raises(openai.BadRequestError, match="matches nothing"):
            client.chat.completions.create(
                model="tiny", messages=HELLO, stream=True, extra_body={"scope": "no/**"}
            )


def test_a_conversation_with_every_kind_of_message(client):
    messages = [
        {"role": "developer", "content": "Be brief."},
        *HELLO,
        {"role": "assistant", "content": "4711"},
        {"role": "user", "content": [{"type": "text", "text": one} for one in ("And ", "X?")]},
    ]
    reply = client.post(
        "/v1/chat/completions", json=asked(messages=messages, file="docs/deploy.md")
    )
    assert reply.status_code == 200
    paths = {one["path"] for one in reply.json()["awareness"]["cited"]}
    assert paths == set(FILES) - {"docs/deploy.md"}


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"model": "other"}, 404, "no model 'other' here"),
        ({"memory": "../etc"}, 404, r"no memory '../etc' here: choose one of shop"),
        ({"scope": "/etc/**"}, 400, "leaves the memory's root"),
        ({"scope": "nope/**"}, 400, "matches nothing in this memory"),
        ({"file": "../../etc/passwd"}, 400, "is not inside"),
        ({"messages": []}, 400, "at least one message"),
        ({"messages": "hello"}, 400, "at least one message"),
        ({"messages": HELLO * 65}, 400, "at most 64"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "a role is one of"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "is text"),
        ({"messages": [{"role": "user", "content": [{}]}]}, 400, "is text"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "is text"),
        ({"messages": [{"role": "user", "content": "  "}]}, 400, "with a text"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "x"}]}, 400, "the user's"),
        ({"max_tokens": 65}, 400, "max_tokens is between 1 and 64"),
        ({"max_tokens": True}, 400, "max_tokens is a number"),
        ({"temperature": 3}, 400, "temperature is between"),
        ({"n": 2}, 400, "n is between 1 and 1"),
        ({"stop": [1]}, 400, "stop is a text"),
        ({"stop": ["a"] * 5}, 400, "at most 4"),
        ({"stream": "yes"}, 400, "stream is true or false"),
        ({"tools": [{"type": "function"}]}, 400, "tools is not covered"),
        ({"documents": 17}, 400, "documents is between 1 and 16"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_openais_form(client, change, status, says):
    reply = client.post("/v1/chat/completions", json=asked(**change))
    assert reply.status_code == status
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert says in error["message"]
    assert "\n" not in error["message"]


def test_bodies_are_bounded_and_json(client, service):
    def post(data, kind="application/json"):
        return client.post("/v1/chat/completions", content=data, headers={"content-type": kind})

    assert post(b"{").status_code == 400
    assert post(b"[" * 100_000).status_code == 400
    assert post(b"[]").json()["error"]["code"] == "invalid_json"
    assert post(json.dumps(asked()).encode(), "text/plain").status_code == 415
    assert post(b" " * (service.limits.body_bytes + 1)).status_code == 413
    assert client.get("/v1/chat/completions").status_code == 404
    assert client.get("/etc/passwd").json()["error"]["code"] == "not_found"


def test_a_token_is_needed_everywhere_but_for_the_empty_page(service):
    service.token = "a secret"
    with TestClient(application(service), base_url="http://anything") as client:
        assert client.get("/").status_code == 200
        for path in ("/v1/models", "/api/memories", "/api/answers"):
            assert client.get(path).status_code == 401
            wrong = client.get(path, headers={"authorization": "Bearer a secre"})
            assert wrong.json()["error"]["type"] == "authentication_error"
            assert client.get(path, headers={"authorization": "Bearer a secret"}).is_success
        assert client.post("/v1/chat/completions", json=asked()).status_code == 401


def test_without_a_token_only_loopback_names_are_answered(service):
    with TestClient(application(service), base_url="http://evil.example") as client:
        assert client.get("/api/memories").status_code == 403
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        assert guard.checked_host(host, None) == host
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(UserError, match="set AWARENESS_SERVE_TOKEN"):
            guard.checked_host(host, None)
        assert guard.checked_host(host, "secret") == host


def test_one_answer_at_a_time_and_a_bounded_line(service, monkeypatch):
    begun, go, running = threading.Event(), threading.Event(), []

    def slow(asked, model, memory, hear, is_cancelled):
        running.append(len(running))
        begun.set()
        assert go.wait(60)
        return usual(asked, model, memory, hear, is_cancelled)

    usual = app.answer
    monkeypatch.setattr(app, "answer", slow)
    statuses = []

    def post(client):
        statuses.append(client.post("/v1/chat/completions", json=asked()).status_code)

    with TestClient(application(service), base_url="http://localhost") as client:
        first = threading.Thread(target=post, args=(client,))
        first.start()
        assert begun.wait(60)
        others = [threading.Thread(target=post, args=(client,)) for _ in range(2)]
        for one in others:
            one.start()
        while not statuses:
            time.sleep(0.01)
        assert statuses == [429]
        assert len(running) == 1
        go.set()
        for one in (first, *others):
            one.join(60)
    assert sorted(statuses) == [200, 200, 429]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_answer(service, monkeypatch, stream):
    ended, usual = threading.Event(), app.answer
    begun = threading.Event()
    found = []

    def endless(asked, model, memory, hear, is_cancelled):
        def heard(text):
            begun.set()
            hear(text)

        asked = replace(asked, style=replace(asked.style, max_new_tokens=1500))
        found.append(usual(asked, model, memory, heard, is_cancelled))
        ended.set()
        return found[0]

    monkeypatch.setattr(app, "answer", endless)
    with listening(service) as url:
        import httpx2

        with httpx2.Client(base_url=url) as client:
            body = asked(stream=stream)
            if stream:
                with client.stream("POST", "/v1/chat/completions", json=body) as reply:
                    next(reply.iter_lines())
            else:
                with pytest.raises(httpx2.TimeoutException):
                    client.post("/v1/chat/completions", json=body, timeout=0.5)
        assert begun.wait(60)
        assert ended.wait(60)
    assert found[0].finish_reason == "cancelled"
    assert not service.recent


def test_answers_become_recent_history_unless_told_not_to(client, service):
    memory = service.memories["shop"]
    assert client.post("/v1/chat/completions", json=asked(scope="src/**")).is_success
    assert list(memory.store.documents("recent-history")) == [
        ".awareness/recent-history/00000001.md"
    ]
    service.history = False
    assert client.post("/v1/chat/completions", json=asked(scope="src/**")).is_success
    assert len(memory.store.documents("recent-history")) == 1


def test_a_fault_of_ours_tells_nothing_of_its_inside(service, monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("the inside")

    monkeypatch.setattr(app, "answer", broken)
    made = TestClient(
        application(service), base_url="http://localhost", raise_server_exceptions=False
    )
    with made as client:
        reply = client.post("/v1/chat/completions", json=asked())
        assert reply.status_code == 500
        assert reply.json()["error"]["code"] == "internal_error"
        assert "inside" not in reply.text
        assert "the inside" in caplog.text
        monkeypatch.undo()
        assert client.post("/v1/chat/completions", json=asked()).is_success


def test_the_page_is_one_file_and_its_data_say_what_was_read(client):
    page = client.get("/")
    assert page.text == PAGE
    assert page.headers["content-security-policy"] == HEADERS["content-security-policy"]
    for outside in ("http://", "https://", "src=", "@import", "url(", "innerHTML", "<link"):
        assert outside not in PAGE
    (memory,) = client.get("/api/memories").json()
    assert memory["name"] == "shop"
    assert {one["path"] for one in memory["documents"]} == set(FILES)
    assert all(one["bytes"] > 0 and one["written"] for one in memory["documents"])
    reply = client.post("/v1/chat/completions", json=asked(scope="src/**")).json()
    (last,) = client.get("/api/answers").json()
    assert last["question"] == HELLO[0]["content"]
    assert last["documents"] == reply["awareness"]["documents"]


def test_folders_are_named_and_must_be_there(tmp_path):
    (tmp_path / "one").mkdir()
    found = serve.folders([str(tmp_path / "one"), f"two={tmp_path / 'one'}"])
    assert list(found) == ["one", "two"]
    with pytest.raises(UserError, match="is not a folder"):
        serve.folders([str(tmp_path / "absent")])
    with pytest.raises(UserError, match="two memories are called 'one'"):
        serve.folders([str(tmp_path / "one")] * 2)


def test_the_program_refuses_in_one_line(tmp_path):
    env = {**os.environ, "AWARENESS_MODEL": "no/such/model/here"}
    env.pop(guard.TOKEN, None)
    for args, says in (
        ([str(tmp_path), "--host", "0.0.0.0"], "set AWARENESS_SERVE_TOKEN"),
        ([str(tmp_path / "absent")], "is not a folder"),
        ([str(tmp_path), "--port", "0", "--model", "./absent"], "absent"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "awareness_model.serve", *args],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert says in line


def test_the_program_serves_and_ends_on_ctrl_c(tmp_path):
    tiny = save_tiny(tmp_path / "tiny", "llama")
    put(tmp_path / "shop", "a.py", "A = 1\n")
    command = [sys.executable, "-m", "awareness_model.serve", "shop", "--port=0"]
    env = {**os.environ, "AWARENESS_MODEL": str(tiny), guard.TOKEN: "secret"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        try:
            assert child.stderr.readline() == "shop: 1 encoded, 0 unchanged\n"
            url = child.stderr.readline().split(" on ")[1].strip()
            with openai.OpenAI(base_url=f"{url}v1", api_key="secret") as client:
                (model,) = client.models.list()
                reply = client.chat.completions.create(model=model.id, messages=HELLO, max_tokens=2)
                assert model.id == "tiny"
                (one,) = reply.model_extra["awareness"]["documents"]
                assert one == {"path": "a.py", "mass": 1.0}
                put(tmp_path / "shop", "b.py", "B = 2\n")
                assert child.stderr.readline() == "shop: 1 encoded\n"
                reply = client.chat.completions.create(model=model.id, messages=HELLO, max_tokens=2)
                read = {one["path"] for one in reply.model_extra["awareness"]["documents"]}
                assert read == {"a.py", "b.py"}
        finally:
            child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
        assert "Traceback" not in child.stderr.read()


def test_serving_indexes_first(tmp_path, model):
    place = tmp_path / "shop"
    filled(place, model)
    (place / "src/auth.py").write_text("NEW = 1\n")
    opened = serve.memories(model, {"shop": place})
    assert opened["shop"].encoded == 1
    assert home.find_root(place) == place.resolve()
