"""Served folders are followed: what is edited while the service runs is in the next answer."""

import logging
import threading
from queue import Queue

import pytest
from starlette.testclient import TestClient

from awareness_model.config import UserError
from awareness_model.memory.live import Changes, LiveMemory
from awareness_model.service import following as module
from awareness_model.service.app import Service, application
from tests.model.agent_world import FILES, filled, tiny_model
from tests.model.memory.live_world import put

WAIT = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def service(tmp_path, model):
    memory = filled(tmp_path / "shop", model)
    return Service("tiny", model, {"shop": memory}, history=False)


@pytest.fixture
def told(service):
    queue = Queue()
    service.told = lambda name, done: queue.put((name, done))
    return queue


def client_of(service):
    return TestClient(application(service), base_url="http://localhost")


def read(client, **more):
    """The documents that an answer read, with their spans' ends."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Which?"}], "max_tokens": 2}
    reply = client.post("/v1/chat/completions", json={**body, "documents": 16, **more}).json()
    return {one["path"] for one in reply["awareness"]["documents"]}


def test_the_next_answer_sees_an_edit_a_new_file_and_a_removal(service, told):
    memory = service.memories["shop"]
    with client_of(service) as client:
        assert read(client) == set(FILES)
        before = memory.store.documents("src/auth.py")
        put(memory.root, "src/auth.py", "SESSION_TIMEOUT = 1\n")
        assert told.get(timeout=WAIT)[1].encoded == ("src/auth.py",)
        assert memory.store.documents("src/auth.py") != before
        put(memory.root, "src/new.py", "NEW = 1\n")
        assert told.get(timeout=WAIT)[1].encoded == ("src/new.py",)
        assert read(client) == {*FILES, "src/new.py"}
        (memory.root / "src/cart.py").unlink()
        assert told.get(timeout=WAIT)[1].removed == ("src/cart.py",)
        assert read(client) == {*FILES, "src/new.py"} - {"src/cart.py"}
    assert not [one for one in threading.enumerate() if one.name == "watch"]


def test_what_changed_before_the_watch_began_is_seen(service, told):
    put(service.memories["shop"].root, "early.py", "EARLY = 1\n")
    with client_of(service):
        assert told.get(timeout=WAIT)[1].encoded == ("early.py",)


def test_encoding_is_done_between_answers_in_their_thread(service, told, monkeypatch):
    memory, names = service.memories["shop"], []
    usual = memory.encoder.encode

    class Noting:
        layout, fingerprint = memory.encoder.layout, memory.encoder.fingerprint

        def encode(self, texts, paths):
            names.append((threading.current_thread().name, len(texts)))
            return usual(texts, paths)

    memory.encoder = Noting()
    monkeypatch.setattr(module, "STEP", 2)
    with client_of(service):
        for number in range(5):
            put(memory.root, f"src/n{number}.py", f"N = {number}\n")
        encoded = set()
        while len(encoded) < 5:
            encoded |= set(told.get(timeout=WAIT)[1].encoded)
    assert {name.rsplit("_", 1)[0] for name, _ in names} == {"model"}


def test_steps_are_bounded_and_one_waits_at_a_time(service, monkeypatch):
    memory = service.memories["shop"]
    waiting, taken = [], []
    monkeypatch.setattr(module, "STEP", 2)
    monkeypatch.setattr(module, "MOST_NOTED", 4)
    monkeypatch.setattr(LiveMemory, "update", lambda self, *p: taken.append(p) or Changes())
    monkeypatch.setattr(LiveMemory, "index", lambda self: taken.append("all") or Changes())
    noted = module._Noted(service.memories, waiting.append, lambda name, done: None)
    noted._note({"shop": {"a", "b", "c"}})
    noted._note({"shop": {"c"}})
    assert len(waiting) == 1
    while waiting:
        waiting.pop(0)()
    assert taken == [("a", "b"), ("c",)]
    noted._note({"shop": {str(number) for number in range(5)}})
    noted._note({"shop": {"z"}})
    while waiting:
        waiting.pop(0)()
    assert taken[2:] == ["all"]
    noted.end()
    noted._note({"shop": {"a"}})
    assert waiting == []
    assert memory.encoded == 3


def test_a_change_that_cannot_be_taken_in_is_said_and_the_next_one_is(
    service, told, monkeypatch, caplog
):
    memory = service.memories["shop"]
    usual, tried = memory.update, threading.Event()

    def update(self, *paths):
        if any(path.endswith("bad.py") for path in paths):
            tried.set()
            raise UserError("the store is another model's")
        return usual(*paths)

    monkeypatch.setattr(LiveMemory, "update", update)
    with client_of(service) as client, caplog.at_level(logging.ERROR):
        put(memory.root, "first.py", "X = 1\n")  # Once it is told of, the watch has begun.
        assert told.get(timeout=WAIT)[1].encoded == ("first.py",)
        put(memory.root, "bad.py", "X = 2\n")
        assert tried.wait(WAIT)
        put(memory.root, "good.py", "Y = 1\n")
        assert told.get(timeout=WAIT)[1].encoded == ("good.py",)
        assert "good.py" in read(client)
    assert "shop: changes were not taken in: the store is another model's" in caplog.text


def test_a_system_that_refuses_to_watch_leaves_the_service_running(
    service, told, monkeypatch, caplog
):
    def refuse(*roots, **settings):
        raise OSError(28, "OS file watch limit reached")
        yield

    monkeypatch.setattr("awareness_model.memory.watching.watch", refuse)
    with client_of(service) as client:
        assert read(client) == set(FILES)
    assert "changes are not followed: the system refuses to watch" in caplog.text


def test_without_watching_nothing_is_followed(service):
    memory = service.memories["shop"]
    with client_of(service) as client:
        assert not [one for one in threading.enumerate() if one.name == "watch"]
        put(memory.root, "late.py", "LATE = 1\n")
        assert read(client) == set(FILES)
