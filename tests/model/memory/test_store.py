from datetime import timedelta

import pytest
import torch

from awareness_model.config import MemoryConfig, UserError
from awareness_model.memory import LatentMemoryStore
from awareness_model.memory.record import record_id
from awareness_model.memory.shelf import Shelf
from awareness_model.memory.tables import Table
from tests.model.memory.made import Encoded, encoded, opened, row


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "memory")


def test_an_empty_store_answers_every_question(store):
    assert store.missing(["b", "a"], "kv", "f") == ["a", "b"]
    assert store.select(1, "s1") == []
    assert store.chunks(["a"], "kv", "f") == [[]]
    assert store.held(["a"], "kv", "f") == []
    assert store.digest() == store.digest()


def test_documents_come_back_as_they_were_chunks_in_order(store):
    document = [encoded(2, start=10), encoded(1, slots=5, start=0)]
    store.upsert({"doc": document, "other": [encoded(3)]}, "kv", "f")
    first, second = store.chunks(["doc"], "kv", "f")[0]
    assert first.span == (0, 10)
    assert torch.equal(first.keys, document[1].keys)
    assert torch.equal(first.values, document[1].values)
    assert torch.equal(second.keys, document[0].keys)
    assert torch.equal(second.route, document[0].route)
    assert (first.tokens, first.level, first.layout) == (5, 0, "kv")


def test_latents_are_stored_once_because_keys_are_values(store):
    store.upsert({"doc": [encoded(1, layout="latent")]}, "latent", "f")
    (record,) = store.chunks(["doc"], "latent", "f")[0]
    assert record.values is None
    assert record.value_slots is record.keys
    assert store.held(["doc"], "latent", "f")[0].bytes == 3 * 2 * 8 * 4


def test_bfloat16_halves_the_bytes_and_rounds(tmp_path):
    store = LatentMemoryStore(MemoryConfig(path=str(tmp_path)))
    chunk = encoded(1)
    store.upsert({"doc": [chunk]}, "kv", "f")
    (record,) = store.chunks(["doc"], "kv", "f")[0]
    assert record.keys.dtype == torch.bfloat16
    assert torch.equal(record.keys, chunk.keys.bfloat16())
    assert store.held(["doc"], "kv", "f")[0].bytes == 2 * 3 * 2 * 2 * 4 * 2


def test_layouts_and_encoders_do_not_hide_one_another(store):
    store.upsert({"doc": [encoded(1)]}, "kv", "f")
    assert store.missing(["doc"], "kv", "f") == []
    assert store.missing(["doc"], "kv", "g") == ["doc"]
    assert store.missing(["doc"], "latent", "f") == ["doc"]
    store.upsert({"doc": [encoded(2)]}, "kv", "g")
    assert torch.equal(store.chunks(["doc"], "kv", "g")[0][0].keys, encoded(2).keys)
    assert torch.equal(store.chunks(["doc"], "kv", "f")[0][0].keys, encoded(1).keys)


def test_what_is_there_stays_as_it_is(store):
    store.upsert({"doc": [encoded(1)]}, "kv", "f")
    before = store.digest()
    store.upsert({"doc": [encoded(2)]}, "kv", "f")
    assert store.digest() == before


def test_records_are_named_by_all_that_they_are_made_of():
    names = [
        record_id("c", "f", "kv", 1, (0, 5)),
        record_id("d", "f", "kv", 1, (0, 5)),
        record_id("c", "g", "kv", 1, (0, 5)),
        record_id("c", "f", "latent", 1, (0, 5)),
        record_id("c", "f", "kv", 2, (0, 5)),
        record_id("c", "f", "kv", 1, (0, 6)),
    ]
    assert len(set(names)) == len(names)


def test_another_models_vectors_are_refused(store):
    store.upsert({"doc": [encoded(1)]}, "kv", "f")
    with pytest.raises(UserError, match="another store"):
        store.upsert({"more": [encoded(1, route=16)]}, "kv", "g")


def test_an_unknown_dtype_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="bfloat16"):
        LatentMemoryStore(MemoryConfig(path=str(tmp_path), dtype="int3"))


def test_a_snapshot_replaces_its_tree_and_no_other(store):
    store.put_snapshot([row("a.py", "1"), row("b.py", "2"), row("a.py", "9", sha="s2")])
    store.put_snapshot([row("b.py", "3"), row("c.py", "4")])
    assert [(r.path, r.content_hash) for r in store.select(1, "s1")] == [
        ("b.py", "3"),
        ("c.py", "4"),
    ]
    assert [r.content_hash for r in store.select(1, "s2")] == ["9"]
    assert store.select(2, "s1") == []
    store.put_snapshot([])
    assert len(store.select(1, "s1")) == 2


def test_selection_goes_by_permission_scope_and_glob(store):
    store.put_snapshot(
        [
            row("src/a.py", "1"),
            row("src/b.py", "2", acl="secret"),
            row("src/c.js", "3"),
            row("notes.md", "4", scope="user-profile"),
        ]
    )
    assert [r.path for r in store.select(1, "s1")] == ["notes.md", "src/a.py", "src/c.js"]
    assert [r.path for r in store.select(1, "s1", "src/**/*.py")] == ["src/a.py"]
    assert [r.path for r in store.select(1, "s1", acl=("secret",))] == ["src/b.py"]
    assert [r.path for r in store.select(1, "s1", scope="user-profile")] == ["notes.md"]
    assert store.select(1, "s1", acl=()) == []


def test_hostile_names_are_only_names(store):
    path = "a'); DROP TABLE snapshots; --\n.py"
    store.put_snapshot([row(path, "x' OR 'y", sha="s' OR '1'='1")])
    assert store.select(1, "s1") == []
    assert [r.path for r in store.select(1, "s' OR '1'='1")] == [path]
    assert store.missing(["x' OR 'y"], "kv", "f' OR '1'='1") == ["x' OR 'y"]


def test_a_shelf_shows_only_what_is_in_memory_and_permitted(store):
    store.upsert({"1": [encoded(1)], "2": [encoded(2)]}, "kv", "f")
    store.put_snapshot([row("a.py", "1"), row("b.py", "2", acl="secret"), row("empty.py", "3")])
    assert Shelf(store, "kv", "f").snapshot(1, "s1") == {"a.py": "1"}
    assert Shelf(store, "kv", "f", ("public", "secret")).snapshot(1, "s1") == {
        "a.py": "1",
        "b.py": "2",
    }
    assert Shelf(store, "latent", "f").snapshot(1, "s1") == {}
    chunks = Shelf(store, "kv", "f").chunks(["2", "1"])
    assert torch.equal(chunks[0][0].keys, encoded(2).keys)
    (candidate,) = Shelf(store, "kv", "f").candidates(["1"])
    assert candidate.document == "1"
    assert torch.equal(candidate.route, encoded(1).route)


def test_a_record_that_is_gone_is_an_error(store):
    with pytest.raises(KeyError):
        store.load(["nowhere"])


def test_documents_by_hand_are_found_by_scope_and_replaced_by_path(store):
    keys = torch.randn(3, 2, 8)
    store.add_document("src/main.py", keys, keys, metadata={"path": "src/main.py"})
    store.add_document("src/x/late.py", 2 * keys, 2 * keys)
    store.add_document("src/secret.py", 3 * keys, 3 * keys, metadata={"acl": "secret"})
    found, values = store.retrieve_by_scope("src/**/*.py")
    assert torch.equal(found, torch.cat([keys, 2 * keys]))
    assert values is found
    store.add_document("src/main.py", 5 * keys, 6 * keys)
    found, values = store.retrieve_by_scope("src/*.py")
    assert torch.equal(found, 5 * keys)
    assert torch.equal(values, 6 * keys)


def test_a_scope_with_nothing_in_it_and_unread_metadata_are_refused(store):
    with pytest.raises(UserError, match="no document"):
        store.retrieve_by_scope("**")
    with pytest.raises(UserError, match="language"):
        store.add_document("a.py", torch.ones(1, 2, 8), torch.ones(1, 2, 8), {"language": "Go"})
    store.add_document("a.py", torch.ones(1, 2, 8), torch.ones(1, 2, 8))
    store.add_document("b.py", torch.ones(1, 2, 2, 4), torch.ones(1, 2, 2, 4))
    with pytest.raises(UserError, match="both layouts"):
        store.retrieve_by_scope("**")
    assert len(store.retrieve_by_scope("b.py")[0].shape) == 4


def test_documents_by_hand_live_beside_encoded_ones(store):
    store.upsert({"1": [encoded(1)]}, "kv", "f")
    store.add_document("a.py", torch.ones(1, 2, 2, 4), torch.ones(1, 2, 2, 4))
    (row,) = store.select(0, "live")
    assert store.candidates([row.content_hash], "kv", "by-hand") == []
    assert store.chunks([row.content_hash], "kv", "by-hand")[0][0].route is None
    assert len(store.candidates(["1"], "kv", "f")) == 1


def test_the_digest_follows_content_not_history(tmp_path):
    def filled(name, order, extra=None):
        store = LatentMemoryStore(MemoryConfig(path=str(tmp_path / name)))
        for n in order:
            store.upsert({str(n): [encoded(n)]}, "kv", "f")
            store.put_snapshot([row("a.py", str(n), repo_id=n)])
        if extra:
            extra(store)
        return store.digest()

    base = filled("one", [1, 2, 3])
    assert filled("two", [3, 1, 2, 3]) == base
    assert filled("three", [1, 2]) != base
    assert filled("four", [1, 2, 3], lambda s: s.put_snapshot([row("b.py", "1", 1)])) != base
    assert filled("five", [1, 2, 3], lambda s: s.upsert({"9": [encoded(9)]}, "kv", "f")) != base


def test_forgotten_repositories_leave_no_byte_behind(store, tmp_path):
    secret = Encoded(torch.full((3, 2, 2, 4), 0.123456789), None, encoded(1).route, 3, (0, 10))
    store.upsert({"only": [secret], "shared": [encoded(2)]}, "kv", "f")
    store.upsert({"kept": [encoded(3)]}, "kv", "f")
    store.put_snapshot([row("a.py", "only"), row("b.py", "shared")])
    store.put_snapshot([row("b.py", "shared", repo_id=2), row("c.py", "kept", repo_id=2)])
    before = store.chunks(["shared", "kept"], "kv", "f")
    needle = secret.keys.numpy().tobytes()[:32]

    def on_disk():
        files = [path for path in (tmp_path / "memory").rglob("*") if path.is_file()]
        return any(needle in path.read_bytes() for path in files)

    assert on_disk()
    assert store.forget([1]) == 1
    assert not on_disk()
    assert store.select(1, "s1") == []
    assert store.missing(["only", "shared", "kept"], "kv", "f") == ["only"]
    for old, new in zip(before, store.chunks(["shared", "kept"], "kv", "f"), strict=True):
        assert torch.equal(old[0].keys, new[0].keys)
    assert len(store.select(2, "s1")) == 2


def test_words_leave_with_their_documents(store, tmp_path):
    store.upsert({"only": [encoded(1)], "kept": [encoded(2)]}, "kv", "f")
    store.lexicon.put({"only": "wombatleaves = 1\n", "kept": "quokkastays = 2\n"})
    store.put_snapshot([row("a.py", "only"), row("b.py", "kept", repo_id=2)])

    def on_disk(word):
        files = [path for path in (tmp_path / "memory").rglob("*") if path.is_file()]
        return any(word in path.read_bytes() for path in files)

    assert on_disk(b"wombatleaves")
    store.forget([1])
    assert not on_disk(b"wombatleaves")
    assert store.lexicon.search("quokkastays", ["kept"]).names == {"kept": 1.0}
    store.put_snapshot([])
    store.snapshots.delete("path = 'b.py'")
    store.collect_garbage(timedelta(0))
    assert not on_disk(b"quokkastays")


def test_forgetting_that_was_cut_short_is_finished_by_the_next(store, monkeypatch):
    store.upsert({"only": [encoded(1)]}, "kv", "f")
    store.put_snapshot([row("a.py", "only")])
    with monkeypatch.context() as patch:
        # Ends after the trees are gone and before the records are.
        patch.setattr(Table, "rows", None)
        with pytest.raises(TypeError):
            store.forget([1])
    assert store.missing(["only"], "kv", "f") == []
    assert store.forget([1]) == 1
    assert store.missing(["only"], "kv", "f") == ["only"]


def test_an_empty_store_has_nothing_to_forget(store):
    assert store.forget([1, 2]) == 0
