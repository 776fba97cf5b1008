import os
import random
from pathlib import Path

import pytest
import torch

from awareness_model.config import UserError
from awareness_model.memory.integrity import Damaged
from tests.model.memory.made import Encoded, document, encoded, opened, put, row, seen


@pytest.fixture
def store(tmp_path):
    """Five documents, each in a file of its own."""
    store = opened(tmp_path / "memory", hot_bytes=0)
    for n in range(5):
        put(store, f"{n}.py", n)
    return store


def fresh(store):
    return opened(store.config.path, hot_bytes=0)


def file_of(store, name):
    """The data file that holds a document's records."""
    for fragment in store.records.found().get_fragments():
        held = fragment.to_table(columns=["content_hash"])["content_hash"].to_pylist()
        if name in held:
            return Path(store.records.uri, "data", fragment.data_files()[0].path)
    raise AssertionError(name)


def manifests(table):
    """Newest first."""
    return sorted(Path(table.uri, "_versions").glob("*.manifest"))


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def test_a_whole_memory_has_nothing_to_report(store):
    store.put_snapshot([row("x.py", "hash1")])
    report = store.check()
    assert report.good
    assert (report.records, report.absent) == (5, ())
    assert store.repair() == ()
    assert store.recover() == []


def test_a_flipped_byte_is_found_and_named_and_the_rest_is_readable(store):
    store.put_snapshot([row("x.py", "hash2", repo_id=7, sha="abc")])
    file = file_of(store, "hash2")
    flip(file, file.read_bytes().index(encoded(2).keys.numpy().tobytes()[:16]) + 5)
    store = fresh(store)
    with pytest.raises(Damaged, match="of document hash2 is damaged"):
        store.chunks(["hash2"], "kv", "f")
    with pytest.raises(Damaged, match="hash2"):
        store.retrieve_by_scope("**")
    assert list(seen(store, "[0134].py")) == ["0.py", "1.py", "3.py", "4.py"]
    report = store.check()
    (found,) = report.damaged
    assert (found.content_hash, found.paths) == ("hash2", ("2.py", "7@abc:x.py"))
    assert report.files == {}
    assert not report.good
    assert store.repair() == ("2.py", "7@abc:x.py")
    assert store.missing([f"hash{n}" for n in range(5)], "kv", "f") == ["hash2"]
    put(store, "2.py", 2)
    assert len(seen(store)) == 5
    assert store.check().good


@pytest.mark.parametrize("harm", ["gone", "cut", "empty"])
def test_a_torn_file_is_named_and_the_rest_is_readable(store, harm):
    file = file_of(store, "hash3")
    size = file.stat().st_size
    if harm == "gone":
        file.unlink()
    else:
        os.truncate(file, size // 2 if harm == "cut" else 0)
    store = fresh(store)
    assert list(seen(store, "[0124].py")) == ["0.py", "1.py", "2.py", "4.py"]
    with pytest.raises(Damaged, match=f"hash3.*{file.name}"):
        store.chunks(["hash3"], "kv", "f")
    with pytest.raises(Damaged, match=rf"nothing was written.*{file.name}.*repair"):
        put(store, "new.py", 9)
    report = store.check()
    assert list(report.files) == [file.name]
    assert [one.paths for one in report.absent] == [("3.py",)]
    assert store.repair() == ("3.py",)
    assert fresh(store).check().good
    put(store, "3.py", 3)
    put(store, "new.py", 9)
    assert len(seen(store)) == 6


def test_no_flipped_byte_ever_gives_wrong_tensors(store):
    """Whatever byte of a file is flipped: right tensors, or an error that is ours."""
    truth = seen(store)
    file = file_of(store, "hash3")
    whole = file.read_bytes()
    draw = random.Random(1)
    outcomes = {"same": 0, "refused": 0, "not there": 0}
    for _ in range(60):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        try:
            (held,) = fresh(store).chunks(["hash3"], "kv", "f")
        except Damaged:
            outcomes["refused"] += 1
            continue
        if held:
            assert torch.equal(held[0].keys, truth["3.py"])
            assert torch.equal(held[0].values, encoded(3).values)
            assert torch.equal(held[0].route, encoded(3).route)
        outcomes["same" if held else "not there"] += 1
    assert outcomes["refused"] > 10
    assert outcomes["not there"] < 20
    file.write_bytes(whole)
    assert fresh(store).check().good


def test_a_chunk_that_is_lost_takes_its_document_with_it(tmp_path):
    store = opened(tmp_path / "memory")
    chunks = [encoded(n, start=10 * n) for n in range(3)]
    store.upsert({"long": chunks}, "kv", "f")
    store.records.delete("span_start = 10")
    (found,) = store.check().damaged
    assert found.reason == "2 of 3 chunks"
    store.repair()
    assert store.missing(["long"], "kv", "f") == ["long"]


@pytest.mark.parametrize("harm", ["cut", "empty", "flipped"])
def test_a_torn_manifest_is_named_and_the_last_good_version_comes_back(store, harm):
    put(store, "late.py", 8)
    newest = manifests(store.snapshots)[0]
    if harm == "flipped":
        name = store.snapshots.found().get_fragments()[0].data_files()[0].path
        flip(newest, newest.read_bytes().index(name.encode()) - 1)
    else:
        os.truncate(newest, newest.stat().st_size // 2 if harm == "cut" else 0)
    store = fresh(store)
    with pytest.raises(Damaged, match=r"snapshots.lance cannot be opened.*`recover\(\)`"):
        store.documents()
    assert store.recover() == [newest.name]
    assert len(seen(store)) == 5
    assert not store.check().good
    put(store, "late.py", 8)
    assert len(seen(store)) == 6
    assert fresh(store).check().good


def test_a_lost_manifest_of_the_records_is_told_with_its_documents(store):
    put(store, "late.py", 8)
    manifests(store.records)[0].unlink()
    store = fresh(store)
    report = store.check()
    assert report.lost_commits == {"records.lance": 1}
    assert [one.paths for one in report.absent] == [("late.py",)]
    assert store.missing(["hash8"], "kv", "f") == ["hash8"]
    store.put_documents([document("late.py", 8)], "kv", "f")
    assert len(seen(store)) == 6


def test_a_memory_without_any_manifest_is_not_taken_for_an_empty_one(store):
    for manifest in manifests(store.records):
        manifest.unlink()
    store = fresh(store)
    for attempt in (store.check, lambda: put(store, "a.py", 1), store.encodings):
        with pytest.raises(Damaged, match="data but no manifest: index into a new memory"):
            attempt()
    with pytest.raises(UserError, match=r"no version of .* opens"):
        store.recover()


def test_a_torn_index_is_passed_over(store):
    store.compact()
    for file in Path(store.records.uri, "_indices").rglob("*.lance"):
        os.truncate(file, 0)
    store = fresh(store)
    assert len(seen(store)) == 5
    store.compact()


def test_a_wrong_query_is_no_broken_file(store):
    with pytest.raises(ValueError, match="nothing_there"):
        list(store.records.rows(["record_id"], "nothing_there = 1"))
    assert store.records.broken == {}


def test_the_memory_of_a_killed_maker_is_empty(tmp_path):
    for name in ("records.lance", "snapshots.lance"):
        (tmp_path / name / "_versions").mkdir(parents=True)
        (tmp_path / name / "data").mkdir()
    store = opened(tmp_path)
    assert store.check().good
    put(store, "a.py", 1)
    assert list(seen(store)) == ["a.py"]


def test_damage_in_a_document_of_many_chunks_drops_all_of_them(tmp_path):
    store = opened(tmp_path / "memory", hot_bytes=0)
    big = [
        Encoded(torch.full((3, 2, 2, 4), 0.5 + n), None, encoded(n).route, 3, (n, n + 1))
        for n in range(3)
    ]
    store.upsert({"long": big, "other": [encoded(9)]}, "kv", "f")
    file = file_of(store, "long")
    flip(file, file.read_bytes().index(big[1].keys.numpy().tobytes()[:32]) + 1)
    store = fresh(store)
    assert [one.content_hash for one in store.check().damaged] == ["long"]
    store.repair()
    assert store.held(["long"], "kv", "f") == []
    assert len(store.held(["other"], "kv", "f")) == 1
