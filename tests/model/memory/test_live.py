import pytest
import torch

from awareness_model.config import UserError
from awareness_model.memory.snapshots import Change, live_row
from awareness_model.memory.tables import Table
from tests.model.memory.made import document, encoded, opened, put, row, seen


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "memory")


def numbers(store):
    return store.records.number(), store.snapshots.number()


def test_putting_replacing_moving_and_removing_by_path(store):
    assert put(store, "src/a.py", 1)
    assert put(store, "src/b.py", 2)
    assert store.documents() == {"src/a.py": "hash1", "src/b.py": "hash2"}
    assert put(store, "src/a.py", 3)
    assert store.move("src/b.py", "lib/b.py")
    assert store.documents() == {"lib/b.py": "hash2", "src/a.py": "hash3"}
    assert store.remove("src/a.py", "nowhere.py")
    assert store.documents() == {"lib/b.py": "hash2"}
    assert torch.equal(seen(store)["lib/b.py"], encoded(2).keys)


def test_everything_done_twice_is_done_once(store):
    put(store, "a.py", 1)
    before = numbers(store)
    assert not put(store, "a.py", 1)
    assert numbers(store) == before
    assert store.move("a.py", "b.py")
    after = numbers(store)
    assert not store.move("a.py", "b.py")
    assert not store.move("b.py", "b.py")
    assert not store.remove("a.py")
    assert numbers(store) == after
    store.put_snapshot([row("x.py", "1"), row("y.py", "2")])
    after = numbers(store)
    store.put_snapshot([row("y.py", "2"), row("x.py", "1")])
    assert numbers(store) == after


def test_a_rename_writes_no_record_and_keeps_scope_and_label(store):
    put(store, "a.py", 1, scope="user-profile", acl="team")
    records = store.records.number()
    assert store.move("a.py", "deep/er/a.py")
    assert store.records.number() == records
    (moved,) = store.select(0, "live", acl=("team",))
    assert (moved.path, moved.scope, moved.acl) == ("deep/er/a.py", "user-profile", "team")


def test_a_move_replaces_what_was_there_and_chains_move_together(store):
    for n, path in enumerate(("a", "b", "c")):
        put(store, path, n)
    store.change(Change(moved={"a": "b", "b": "c"}))
    assert store.documents() == {"b": "hash0", "c": "hash1"}
    store.change(Change(moved={"b": "c", "c": "b"}))
    assert store.documents() == {"c": "hash0", "b": "hash1"}


def test_one_change_is_one_commit(store):
    put(store, "a", 1)
    put(store, "b", 2)
    before = store.snapshots.number()
    change = Change([live_row("d", "hash1", "repository", "public")], {"a": "c"}, ["b"])
    assert store.change(change)
    assert store.snapshots.number() == before + 1
    assert store.documents() == {"c": "hash1", "d": "hash1"}


def test_moving_what_is_nowhere_is_refused(store):
    with pytest.raises(UserError, match=r"no document at 'a\.py' to move"):
        store.move("a.py", "b.py")
    assert store.documents() == {}


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../up", "a/../../b", "a//b", "", "a\0b", "x" * 5000]
)
def test_paths_outside_the_root_are_refused_and_nothing_is_written(store, path):
    put(store, "kept.py", 1)
    before = store.digest(), numbers(store)
    keys = torch.ones(1, 2, 8)
    for attempt in (
        lambda: store.add_document(path, keys, keys),
        lambda: put(store, path, 2),
        lambda: store.move("kept.py", path),
        lambda: store.remove(path),
    ):
        with pytest.raises(UserError, match="path"):
            attempt()
    assert (store.digest(), numbers(store)) == before


def test_bad_documents_are_refused_in_one_line(store, monkeypatch):
    slots = torch.ones(2, 2, 8)
    with pytest.raises(UserError, match=r"'a\.py' is empty"):
        store.add_document("a.py", torch.ones(0, 2, 8), torch.ones(0, 2, 8))
    with pytest.raises(UserError, match="unknown scope 'chat'"):
        store.add_document("a.py", slots, slots, {"scope": "chat"})
    with pytest.raises(UserError, match="empty acl"):
        store.add_document("a.py", slots, slots, {"acl": ""})
    with pytest.raises(UserError, match=r"both alike: got \(2, 2, 8\) and \(1, 2, 8\)"):
        store.add_document("a.py", slots, slots[:1])
    monkeypatch.setattr("awareness_model.memory.byhand.LARGEST_DOCUMENT", 100)
    monkeypatch.setattr("awareness_model.memory.store.LARGEST_DOCUMENT", 100)
    with pytest.raises(UserError, match="split it"):
        store.add_document("a.py", slots, slots)
    with pytest.raises(UserError, match="split it"):
        put(store, "a.py", 1)
    assert store.documents() == {}
    assert store.encodings() == {}


def test_an_empty_document_has_a_path_and_no_memory(store):
    put(store, "a.py", 1)
    store.put_documents([document("a.py", 0)], "kv", "f")
    from awareness_model.memory import Document

    store.put_documents([Document("a.py", "nothing", [])], "kv", "f")
    assert store.documents() == {"a.py": "nothing"}
    assert store.chunks(["nothing"], "kv", "f") == [[]]


def test_a_move_never_brings_back_content_that_was_replaced_meanwhile(store, monkeypatch):
    put(store, "a.py", 1)
    other = opened(store.config.path)
    usual, calls = Table.merge, []

    def merge(self, *rest, **settings):
        if not calls:
            calls.append(1)
            put(other, "a.py", 2)
        return usual(self, *rest, **settings)

    monkeypatch.setattr(Table, "merge", merge)
    assert store.move("a.py", "b.py")
    assert store.documents() == {"b.py": "hash2"}


def test_named_scopes_and_globs_choose_what_is_retrieved(store):
    keys = torch.ones(1, 2, 8)
    store.add_document("src/a.py", keys, keys)
    store.add_document("src/in/b.PY", 2 * keys, 2 * keys)
    store.add_document("likes.md", 3 * keys, 3 * keys, {"scope": "user-profile"})
    store.add_document("talk/1", 4 * keys, 4 * keys, {"scope": "recent-history"})
    assert store.scopes() == {"recent-history": 1, "repository": 2, "user-profile": 1}
    assert store.retrieve_by_scope("user-profile")[0].max() == 3
    assert store.retrieve_by_scope("recent-history")[0].max() == 4
    assert store.retrieve_by_scope("repository")[0].max() == 2
    assert store.retrieve_by_scope("src/**/*.py")[0].max() == 1
    for nothing in ("user_profile", "lib/**", "SRC/**"):
        with pytest.raises(UserError, match=r"scope .* holds no document"):
            store.retrieve_by_scope(nothing)
    with pytest.raises(UserError, match="leaves the memory's root"):
        store.retrieve_by_scope("../**")
    with pytest.raises(UserError, match="leaves the memory's root"):
        store.documents("/etc/**")


def test_documents_of_an_encoder_are_retrieved_with_those_by_hand(store):
    put(store, "b.py", 1)
    store.add_document("a.py", torch.ones(1, 2, 2, 4), torch.ones(1, 2, 2, 4))
    keys, _ = store.retrieve_by_scope("*.py")
    assert torch.equal(keys, torch.cat([torch.ones(1, 2, 2, 4), encoded(1).keys]))
    store.put_documents([document("c.py", 2)], "kv", "g")
    with pytest.raises(UserError, match="several encoders"):
        store.retrieve_by_scope("*.py")
    assert torch.equal(store.retrieve_by_scope("c.py")[0], encoded(2).keys)
    assert len(store.retrieve_by_scope("*.py", fingerprint="g")[0]) == 4


def test_another_encoders_memory_is_refused_with_the_command(store):
    store.expect("kv", "f")
    put(store, "a.py", 1)
    store.expect("kv", "f")
    for layout, mark in (("kv", "g"), ("latent", "f")):
        with pytest.raises(UserError, match="run `awareness index PATH` again"):
            store.expect(layout, mark)
    store.upsert({"hash2": [encoded(2)]}, "kv", "g")
    store.expect("kv", "g")
    with pytest.raises(UserError, match="another encoder"):
        store.expect("kv", "g", ["hash1"])


def test_the_listing_tells_sizes(store):
    put(store, "a.py", 1)
    put(store, "b.py", 2, acl="secret")
    (entry,) = store.listing()
    assert (entry.path, entry.records, entry.tokens) == ("a.py", 1, 3)
    assert entry.bytes == 2 * 3 * 16 * 4
    assert entry.written > 1_600_000_000_000_000
    assert [one.path for one in store.listing("b.*", ("secret",))] == ["b.py"]
