from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
import torch

from awareness_model.config import UserError
from awareness_model.memory import versions
from awareness_model.memory.snapshots import Change, live_row
from tests.model.memory.made import encoded, opened, put, row, seen

NOW = timedelta(0)


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "memory")


def test_a_pinned_reader_sees_one_state_through_writes_and_collection(store):
    put(store, "a.py", 1)
    put(store, "b.py", 2)
    with store.pinned() as reader:
        digest = reader.digest()
        put(store, "a.py", 3)
        store.remove("b.py")
        put(store, "c.py", 4)
        store.compact()
        assert store.collect_garbage(NOW).records == 0
        assert reader.digest() == digest
        assert torch.equal(seen(reader)["a.py"], encoded(1).keys)
        assert list(seen(reader)) == ["a.py", "b.py"]
    assert list(seen(store)) == ["a.py", "c.py"]
    assert store.collect_garbage(NOW).records == 2
    assert store.missing(["hash1", "hash2"], "kv", "f") == ["hash1", "hash2"]
    assert len(store.versions()) == 1


def test_a_pin_whose_reader_died_ends(store):
    put(store, "a.py", 1)
    pin = store.pinned(hold=timedelta(seconds=-1))
    pin.__enter__()
    put(store, "a.py", 2)
    assert len(store.snapshots.found().tags.list()) == 1
    assert store.collect_garbage(NOW).records == 1
    assert store.snapshots.found().tags.list() == {}
    assert len(store.versions()) == 1
    pin.__exit__(None, None, None)


def test_pins_may_come_and_go_while_another_collects(store):
    put(store, "a.py", 1)
    done = Event()

    def read():
        reader, rounds = opened(store.config.path), 0
        while not done.is_set() or rounds < 3:
            with reader.pinned() as pinned:
                assert list(pinned.documents()) == ["a.py"]
            rounds += 1

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for _ in range(40):
                store.collect_garbage(timedelta(minutes=5))
        finally:
            done.set()
        for one in readers:
            one.result()
    assert store.snapshots.found().tags.list() == {}


def test_an_empty_memory_can_be_pinned_listed_and_collected(store):
    with store.pinned() as reader:
        assert reader.documents() == {}
    assert store.versions() == []
    assert store.collect_garbage(NOW) == versions.Collected(0, 0, 0)
    assert store.check().good
    with pytest.raises(UserError, match="no version 3 of this memory: the memory is empty"):
        store.rollback(3)


def test_going_back_brings_the_trees_and_their_records(store):
    put(store, "a.py", 1)
    put(store, "b.py", 2)
    then = store.versions()[-1]
    assert then.paths == 2
    put(store, "a.py", 3)
    store.remove("b.py")
    store.collect_garbage()
    after = store.versions()[-1].number
    store.rollback(then.number)
    assert torch.equal(seen(store)["a.py"], encoded(1).keys)
    assert list(seen(store)) == ["a.py", "b.py"]
    store.rollback(after)
    assert torch.equal(seen(store)["a.py"], encoded(3).keys)
    assert list(seen(store)) == ["a.py"]


def test_every_version_that_is_kept_has_all_its_records(store):
    for n in range(4):
        put(store, f"{n % 2}.py", n)
    store.move("0.py", "2.py")
    store.compact()
    put(store, "1.py", 9)
    store.collect_garbage(timedelta(hours=1))
    kept = store.versions()
    assert len(kept) >= 6
    for version in kept:
        with store.pinned(version.number) as reader:
            assert len(seen(reader)) == version.paths
    store.collect_garbage(NOW)
    (last,) = store.versions()
    assert len(seen(store)) == last.paths == 2
    with pytest.raises(UserError, match="no version 2 of this memory"), store.pinned(2):
        pass


def test_collection_spares_the_young_and_frees_the_rest(store, tmp_path):
    put(store, "a.py", 1)
    store.upsert({"unnamed": [encoded(7)]}, "kv", "f")
    assert store.collect_garbage(timedelta(minutes=5)).records == 0
    assert store.missing(["unnamed"], "kv", "f") == []
    needle = encoded(7).keys.numpy().tobytes()[:32]

    def on_disk():
        return any(needle in f.read_bytes() for f in tmp_path.rglob("*.lance") if f.is_file())

    assert on_disk()
    done = store.collect_garbage(NOW)
    assert done.records == 1
    assert done.bytes > 0
    assert not on_disk()
    assert list(seen(store)) == ["a.py"]
    assert store.collect_garbage(NOW).records == 0


def test_an_old_record_that_is_named_again_is_not_collected_under_the_writer(store, monkeypatch):
    monkeypatch.setattr("awareness_model.memory.store._now", lambda: 1_000_000)
    put(store, "a.py", 1)
    store.remove("a.py")
    monkeypatch.undo()
    # The writer says that it will name the record; the collector comes before it does.
    usual = versions.claim

    def claim(*given):
        usual(*given)
        store.collect_garbage(timedelta(minutes=5))

    monkeypatch.setattr(versions, "claim", claim)
    store.change(Change([live_row("b.py", "hash1", "repository", "public")]))
    assert torch.equal(seen(store)["b.py"], encoded(1).keys)


def test_without_a_claim_the_old_record_would_go(store, monkeypatch):
    monkeypatch.setattr("awareness_model.memory.store._now", lambda: 1_000_000)
    put(store, "a.py", 1)
    store.snapshots.delete("true")
    monkeypatch.undo()
    store.snapshots.found().cleanup_old_versions(NOW)
    assert store.collect_garbage(timedelta(minutes=5)).records == 1


def test_snapshots_claim_what_they_name(store, monkeypatch):
    monkeypatch.setattr("awareness_model.memory.store._now", lambda: 1_000_000)
    store.upsert({"1": [encoded(1)]}, "kv", "f")
    monkeypatch.undo()
    store.put_snapshot([row("a.py", "1")])
    written = [one["written"] for one in store.records.rows(["written"])]
    assert written[0] > 1_000_000


def test_readers_never_meet_a_path_without_records(tmp_path):
    store = opened(tmp_path / "memory")
    put(store, "0.py", 0)

    def write():
        other = opened(tmp_path / "memory")
        for n in range(40):
            put(other, f"{n % 7}.py", n)
            if n % 9 == 5:
                other.move(f"{n % 7}.py", f"moved{n}.py")
            if n % 11 == 10:
                other.compact()
            if n % 13 == 12:
                other.collect_garbage(timedelta(minutes=5))

    rounds = 0
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done() or rounds < 5:
            with store.pinned() as reader:
                first = seen(reader)
                assert seen(reader).keys() == first.keys()
            assert seen(store)
            rounds += 1
        writing.result()
    assert len(seen(store)) == 11


def test_upkeep_bounds_the_files_and_keeps_the_indices(store, monkeypatch):
    monkeypatch.setattr("awareness_model.memory.upkeep.SMALL_FRAGMENTS", 8)
    for n in range(30):
        put(store, f"{n}.py", n)
    for table, columns in ((store.records, 2), (store.snapshots, 3)):
        held = table.found()
        assert len(held.get_fragments()) <= 9
        assert len(held.describe_indices()) == columns
    assert len(seen(store)) == 30
    plan = store.records.found().scanner(["K"], "record_id IN ('x')").explain_plan()
    assert "ScalarIndexQuery" in plan
    store.remove(*(f"{n}.py" for n in range(29)))
    store.collect_garbage(NOW)
    assert store.records.found().count_rows() == 1
    assert list(seen(store)) == ["29.py"]
