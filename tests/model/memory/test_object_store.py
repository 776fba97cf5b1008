"""The memory in an object store: everything it does in a folder, over S3's protocol."""

import json
import logging
import threading
from datetime import timedelta

import pytest
import torch

from awareness_model.config import UserError
from tests.model.memory.made import encoded, opened, put, row, seen
from tests.objects import KEY, SECRET, bucket


@pytest.fixture(scope="module")
def service():
    with bucket() as made:
        yield made


@pytest.fixture
def url(service, monkeypatch, request):
    """A memory of its own, found by the environment alone."""
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    return service.url(f"{request.node.name}/memory")


def test_the_users_calls_work_on_a_bucket(url, service):
    store = opened(url)
    assert store.documents() == {}
    keys = torch.arange(16.0).reshape(1, 2, 8)
    store.add_document("src/main.py", keys, keys + 1, metadata={"path": "src/main.py"})
    store.add_document("src/in/b.py", 3 * keys, keys, {"scope": "repository"})
    store.add_document("likes.md", 2 * keys, keys, {"scope": "user-profile"})
    found, values = opened(url).retrieve_by_scope("src/**/*.py")
    assert torch.equal(found, torch.cat([3 * keys, keys]))
    assert torch.equal(values, torch.cat([keys, keys + 1]))
    assert torch.equal(opened(url).retrieve_by_scope("user-profile")[0], 2 * keys)
    store.remove("likes.md")
    assert set(opened(url).documents()) == {"src/main.py", "src/in/b.py"}
    assert service.objects(f"{url}/records.lance/data/")


def test_upserts_trees_edits_and_renames(url):
    store = opened(url)
    store.upsert({"hash1": [encoded(1)], "hash2": [encoded(2)]}, "kv", "f")
    store.upsert({"hash1": [encoded(1)]}, "kv", "f")
    store.put_snapshot([row("x.py", "hash1"), row("y.py", "hash2")])
    assert [one.path for one in store.select(1, "s1")] == ["x.py", "y.py"]
    put(store, "a.py", 1)
    put(store, "a.py", 3)
    store.move("a.py", "b.py")
    other = opened(url)
    assert torch.equal(seen(other)["b.py"], encoded(3).keys)
    assert store.missing(["hash1", "hash2", "hash3"], "kv", "f") == []
    assert other.digest() == store.digest()
    assert other.check().good


def test_versions_rollback_compaction_and_garbage(url, service):
    store = opened(url)
    for number in range(4):
        put(store, "a.py", number)
    before = store.versions()
    with store.pinned() as state:
        put(store, "a.py", 9)
        assert torch.equal(seen(state)["a.py"], encoded(3).keys)
    store.rollback(before[-2].number)
    assert torch.equal(seen(opened(url))["a.py"], encoded(2).keys)
    store.compact()
    size = sum(map(len, service.objects(url).values()))
    gone = store.collect_garbage(timedelta(0))
    assert gone.records == 4
    assert sum(map(len, service.objects(url).values())) < size
    assert torch.equal(seen(opened(url))["a.py"], encoded(2).keys)
    assert store.check().good


def test_words_are_found_in_a_bucket(url):
    store = opened(url)
    store.lexicon.put({"hash1": "SESSION_TIMEOUT = 4711", "hash2": "DISCOUNT = 15"})
    found = opened(url).lexicon.search("What is SESSION_TIMEOUT?", {"hash1", "hash2"})
    assert set(found.names) == {"hash1"}


def test_every_commit_is_a_put_that_fails_where_another_was_first(url, service):
    store = opened(url)
    put(store, "a.py", 1)
    store.rollback(store.versions()[-1].number)
    place = f"/{service.name}/{url.removeprefix(service.url())}/"
    made = [one for one in service.asked if one.method == "PUT" and one.path.startswith(place)]
    commits = [one for one in made if "/_versions/" in one.path]
    assert len(commits) >= 4
    assert {one.if_none_match for one in commits} == {"*"}


def test_writers_at_once_lose_and_double_nothing(url, service):
    """Nothing is there before: all make the tables, too."""
    rounds, begin, failed = 3, threading.Barrier(3), []

    def write(me):
        try:
            store = opened(url)
            begin.wait(60)
            for n in range(rounds):
                put(store, f"same{n}.py", n)
                put(store, f"own{me}-{n}.py", 100 * me + n)
                put(store, "contended.py", 1000 * me + n)
        except Exception as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=write, args=(me,)) for me in (1, 2, 3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)
    assert failed == []
    assert 412 in {one.status for one in service.asked}, "no two met"
    store = opened(url)
    held = seen(store)
    own = {f"own{me}-{n}.py" for me in (1, 2, 3) for n in range(rounds)}
    assert set(held) == own | {f"same{n}.py" for n in range(rounds)} | {"contended.py"}
    assert store.documents()["contended.py"] in {
        f"hash{1000 * me + rounds - 1}" for me in (1, 2, 3)
    }
    names = [one["record_id"] for one in store.records.rows(["record_id"])]
    assert len(names) == len(set(names))
    keys = [one["key"] for one in store.snapshots.rows(["key"])]
    assert len(keys) == len(set(keys))


def test_credentials_stand_nowhere(url, service, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    options = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "allow_http": "true"}
    monkeypatch.setenv(
        "AWARENESS_STORAGE_OPTIONS", json.dumps({**options, "endpoint": service.endpoint})
    )
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    store = opened(url)
    put(store, "a.py", 1)
    with pytest.raises(UserError) as nowhere:
        opened("s3://no-such-bucket-here/memory").add_document(
            "a.py", torch.ones(1, 2, 8), torch.ones(1, 2, 8)
        )
    told = [repr(store.records), repr(store.config), str(nowhere.value), caplog.text]
    told += capfd.readouterr()
    told += [f"{key} {data!r}" for key, data in service.objects().items()]
    assert "\n" not in str(nowhere.value)
    for text in told:
        assert SECRET not in text
        assert KEY not in text
