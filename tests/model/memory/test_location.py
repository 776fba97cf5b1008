import json

import pytest

from awareness_model.config import MemoryConfig, UserError
from awareness_model.memory import LatentMemoryStore
from awareness_model.memory.location import local_folder, located, storage_options
from tests.model.memory.made import opened, put, seen


def test_a_file_url_is_the_folder(tmp_path):
    put(opened(f"file://{tmp_path}/memory/"), "a.py", 1)
    assert list(seen(opened(tmp_path / "memory"))) == ["a.py"]
    assert opened(f"file://{tmp_path}/memory").check().good


def test_a_moved_folder_is_the_same_memory(tmp_path):
    store = opened(tmp_path / "old")
    for n in range(3):
        put(store, f"{n}.py", n)
    store.compact()
    before = store.digest()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = opened(tmp_path / "new")
    assert moved.digest() == before
    assert put(moved, "3.py", 3)
    moved.rollback(moved.versions()[-2].number)
    assert len(seen(moved)) == 3
    assert store.documents() == {}


@pytest.mark.parametrize(
    ("path", "why"),
    [("", "no path"), ("memory://m", "cannot lie"), ("http://h/m", "cannot lie")],
)
def test_places_that_hold_no_memory_are_refused(path, why):
    with pytest.raises(UserError, match=why):
        LatentMemoryStore(MemoryConfig(path=path))


def test_a_password_in_a_url_is_refused_and_not_shown():
    with pytest.raises(UserError, match="no password") as error:
        located("s3://key:hunter2@bucket/memory")
    assert "hunter2" not in str(error.value)


def test_an_object_store_has_no_folder():
    assert located("s3://bucket/a/memory/") == "s3://bucket/a/memory"
    assert local_folder("s3://bucket/a") is None


def test_an_object_store_that_does_not_answer_is_the_users_error(monkeypatch):
    nowhere = {"endpoint": "http://127.0.0.1:9", "allow_http": "true", "region": "nowhere"}
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "hunter2"}
    quick = {"client_max_retries": "0", "connect_timeout": "1s"}
    monkeypatch.setenv("AWARENESS_STORAGE_OPTIONS", json.dumps({**nowhere, **keys, **quick}))
    store = opened("s3://bucket/memory")
    with pytest.raises(UserError, match="look at its address") as error:
        store.documents()
    assert "hunter2" not in str(error.value)
    with pytest.raises(UserError, match="look at its address"):
        store.recover()


def test_options_come_from_the_environment(monkeypatch):
    assert storage_options() is None
    monkeypatch.setenv("AWARENESS_STORAGE_OPTIONS", '{"endpoint": "here"}')
    assert storage_options() == {"endpoint": "here"}
    for bad in ("{secret", '["secret"]', '{"secret": 1}'):
        monkeypatch.setenv("AWARENESS_STORAGE_OPTIONS", bad)
        with pytest.raises(UserError, match="must be a JSON object") as error:
            storage_options()
        assert "secret" not in str(error.value)


def test_a_store_of_an_older_form_is_refused(tmp_path):
    import lance
    import pyarrow as pa

    old = pa.table({"record_id": ["x"], "content_hash": ["y"]})
    lance.write_dataset(old, str(tmp_path / "records.lance"))
    with pytest.raises(UserError, match="older form: index into a new memory"):
        opened(tmp_path).missing(["y"], "kv", "f")
