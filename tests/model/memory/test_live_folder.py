"""A memory follows its folder, and encodes only what is new."""

import os
import signal
import subprocess
import sys
import threading
from queue import Queue

import pytest

from awareness_model.config import UserError
from awareness_model.memory import folder
from awareness_model.memory import live as live_memory
from awareness_model.memory.tables import Table
from tests.model.memory.live_world import Counting, live, put, written
from tests.model.memory.made import seen


@pytest.fixture
def memory(tmp_path):
    written(tmp_path, a="A = 1\n", src__b="B = 2\n", src__in__c="C = 3\n")
    made = live(tmp_path)
    made.index()
    made.encoder.seen.clear()
    return made


def test_the_first_index_encodes_everything_and_the_second_nothing(tmp_path):
    written(tmp_path, a="A = 1\n", src__b="B = 2\n")
    made = live(tmp_path)
    said = []
    done = made.index(lambda *step: said.append(step))
    assert done.encoded == ("a.py", "src/b.py")
    assert said == [(2, 2)]
    assert sorted(seen(made.store)) == ["a.py", "src/b.py"]
    versions = made.store.records.number(), made.store.snapshots.number()
    again = made.index()
    assert (again.any, again.kept) == (False, 2)
    assert (made.store.records.number(), made.store.snapshots.number()) == versions
    assert made.encoded == 2


def test_an_edit_encodes_exactly_that_document(memory):
    before = seen(memory.store)
    put(memory.root, "src/b.py", "B = 20\n")
    done = memory.update("src/b.py")
    assert done.encoded == ("src/b.py",)
    assert memory.encoder.seen == ["src/b.py"]
    after = seen(memory.store)
    assert [path for path in after if after[path] is not before[path]] == ["src/b.py"]
    assert not memory.update("src/b.py").any


def test_a_new_file_is_read_once(memory, monkeypatch):
    usual, reads = folder._bytes, []

    def counted(place, largest):
        reads.append(place.name)
        return usual(place, largest)

    monkeypatch.setattr(folder, "_bytes", counted)
    put(memory.root, "src/b.py", "B = 20\n")
    assert memory.update("src/b.py").encoded == ("src/b.py",)
    assert reads == ["b.py"]


def test_a_file_that_changes_while_it_is_encoded_has_words_and_tensors_of_one_text(memory):
    usual = memory.encoder.encode

    def encode(texts, paths):
        put(memory.root, "src/b.py", "later_name = 1\n")
        return usual(texts, paths)

    memory.encoder.encode = encode
    put(memory.root, "src/b.py", "first_name = 1\n")
    memory.update("src/b.py")
    held = set(memory.store.documents("src/b.py").values())
    assert set(memory.lexicon.search("first_name", held).names) == held
    assert memory.update("src/b.py").encoded == ("src/b.py",)
    held = set(memory.store.documents("src/b.py").values())
    assert set(memory.lexicon.search("later_name", held).names) == held


def test_texts_beyond_what_is_held_are_read_again_and_nothing_is_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(live_memory, "WORDS_CHARACTERS", 20)
    written(tmp_path, a="first_name = 1\n", b="other_name = 2\n", c="third_name = 3\n")
    made = live(tmp_path)
    assert made.index().encoded == ("a.py", "b.py", "c.py")
    hashes = set(made.store.documents().values())
    assert made.lexicon.missing(hashes) == []
    for name in ("first_name", "other_name", "third_name"):
        assert len(made.lexicon.search(name, hashes).names) == 1


def test_a_removal_deletes_and_a_rename_encodes_nothing(memory):
    (memory.root / "a.py").rename(memory.root / "src" / "z.py")
    (memory.root / "src/in/c.py").unlink()
    done = memory.index()
    assert done.renamed == (("a.py", "src/z.py"),)
    assert done.removed == ("src/in/c.py",)
    assert memory.encoder.seen == []
    assert sorted(seen(memory.store)) == ["src/b.py", "src/z.py"]


def test_a_renamed_folder_moves_whole(memory):
    (memory.root / "src").rename(memory.root / "lib")
    done = memory.update("src", "lib")
    assert done.renamed == (("src/b.py", "lib/b.py"), ("src/in/c.py", "lib/in/c.py"))
    assert memory.encoder.seen == []
    assert sorted(seen(memory.store, "lib/**")) == ["lib/b.py", "lib/in/c.py"]


def test_content_that_is_known_already_is_not_encoded_again(memory):
    put(memory.root, "copy.py", "A = 1\n")
    put(memory.root, "src/b.py", "C = 3\n")
    done = memory.index()
    assert (done.encoded, done.named) == ((), ("copy.py", "src/b.py"))
    assert memory.encoder.seen == []
    put(memory.root, "src/b.py", "B = 2\n")
    assert memory.update(memory.root / "src" / "b.py").named == ("src/b.py",)
    assert memory.encoder.seen == []


def test_a_document_that_became_none_leaves_with_a_reason(memory):
    put(memory.root, "a.py", b"\0")
    put(memory.root, "src/b.py", "")
    done = memory.update("a.py", "src/b.py")
    assert done.removed == ("a.py", "src/b.py")
    assert done.left_out == {"a.py": "binary", "src/b.py": "empty"}
    assert sorted(seen(memory.store)) == ["src/in/c.py"]


def test_a_label_outlives_an_edit_and_a_rename(memory):
    from awareness_model.memory.snapshots import Change, live_row

    name = memory.store.documents()["a.py"]
    memory.store.change(Change([live_row("a.py", name, "repository", "team")]))
    memory.index()
    put(memory.root, "a.py", "A = 10\n")
    memory.update("a.py")
    (memory.root / "a.py").rename(memory.root / "moved.py")
    memory.index()
    assert list(memory.store.documents(acl=("team",))) == ["moved.py"]


def test_another_encoder_encodes_its_own(memory):
    class Other(Counting):
        fingerprint = "g"

    again = live(memory.root, encoder=Other())
    assert len(again.index().encoded) == 3
    memory.store.expect("kv", "g")
    assert not live(memory.root).index().encoded


@pytest.mark.parametrize("path", ["../x.py", "/etc/passwd"])
def test_a_path_outside_the_root_changes_nothing(memory, path):
    with pytest.raises(UserError, match="is not inside"):
        memory.update(path)
    assert len(memory.store.documents()) == 3


def test_an_update_costs_the_same_in_a_large_memory(tmp_path, monkeypatch):
    """Rows read and written by an update do not grow with the memory."""
    counts = []
    for size in (10, 200):
        root = tmp_path / str(size)
        for number in range(size):
            put(root, f"d{number}.py", f"N = {number}\n")
        made = live(root)
        made.index()
        made.encoder.seen.clear()
        rows = []
        usual, merge = Table.rows, Table.merge

        def counted(self, *args, usual=usual, rows=rows, **settings):
            for row in usual(self, *args, **settings):
                rows.append(row)
                yield row

        def merged(self, table, data, *args, merge=merge, rows=rows, **settings):
            rows += data.to_pylist()
            return merge(self, table, data, *args, **settings)

        monkeypatch.setattr(Table, "rows", counted)
        monkeypatch.setattr(Table, "merge", merged)
        put(root, "d3.py", "N = 'new'\n")
        assert made.update("d3.py").encoded == ("d3.py",)
        assert made.encoder.seen == ["d3.py"]
        monkeypatch.undo()
        counts.append(len(rows))
    assert counts[0] == counts[1] < 10


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.model.memory.live_world import Counting, live
class Dying(Counting):
    def encode(self, texts, paths):
        if len(self.seen) >= 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts, paths)
live(Path(sys.argv[1]), encoder=Dying()).index()
"""


def test_a_killed_index_goes_on_where_it_stopped(tmp_path):
    for number in range(10):
        put(tmp_path, f"d{number}.py", f"N = {number}  # {'x' * 3000}\n")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    made = live(tmp_path)
    assert len(made.index().encoded) == 4
    assert len(seen(made.store)) == 10


def test_words_that_a_killed_run_left_out_are_put_by_the_next(tmp_path, monkeypatch):
    written(tmp_path, a="first_name = 1\n")
    made = live(tmp_path)
    monkeypatch.setattr(made.lexicon, "put", lambda texts: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        made.index()
    hashes = set(made.store.documents().values())
    assert made.lexicon.missing(hashes) == list(hashes)
    again = live(tmp_path)
    assert not again.index().any
    assert again.encoder.seen == []
    assert set(again.lexicon.search("first_name", hashes).names) == hashes


def test_a_watch_sees_a_real_edit_a_rename_and_a_removal(memory):
    stop, told = threading.Event(), Queue()
    put(memory.root, "b/before.py", "made before the watch\n")
    thread = threading.Thread(target=memory.watch, args=(stop, told.put, 50))
    thread.start()
    try:
        assert told.get(timeout=60).encoded == ("b/before.py",)
        put(memory.root, "a.py", "A = 2\n")
        assert told.get(timeout=60).encoded == ("a.py",)
        (memory.root / "src").rename(memory.root / "lib")
        moved = {"a.py", "b/before.py", "lib/b.py", "lib/in/c.py"}
        while set(memory.store.documents()) != moved:
            assert told.get(timeout=60).encoded == ()
        (memory.root / "a.py").unlink()
        assert told.get(timeout=60).removed == ("a.py",)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert memory.encoder.seen == ["b/before.py", "a.py"]
