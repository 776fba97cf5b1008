"""What a reader may not see is not read from the disk."""

from pathlib import Path

import pytest
import torch

from awareness_model.memory import within as module
from awareness_model.memory.integrity import Damaged
from awareness_model.memory.nearest import index_routes
from awareness_model.memory.record import PAYLOAD
from awareness_model.memory.routing import Source, choose
from awareness_model.memory.shelf import Shelf
from awareness_model.memory.tables import Table
from tests.model.memory.made import Encoded, encoded, opened, put, seen

BIG = 400_000


def large(seed):
    draw = torch.Generator().manual_seed(seed)
    return Encoded(
        torch.randn(BIG // 8, 1, 8, generator=draw), None, encoded(seed).route, 9, (0, 9)
    )


@pytest.fixture
def store(tmp_path):
    """Two public documents of 1.6 MB and eight secret ones, in files of their own."""
    from awareness_model.memory import Document

    store = opened(tmp_path / "memory", hot_bytes=0)
    for n in range(10):
        acl = "public" if n in (3, 7) else "secret"
        one = Document(f"src/{n}.py", f"hash{n}", [large(n)], acl=acl)
        store.put_documents([one], "latent", "f")
    return store


def counted(monkeypatch, store, read):
    """Bytes taken from the records table, and rows decoded with tensors."""
    rows = []
    handle = store.records.found()
    usual_batches = Table.batches

    def batches(self, columns, condition=None, rows_at_once=None, **settings):
        for batch in usual_batches(self, columns, condition, rows_at_once, **settings):
            if set(columns) & set(PAYLOAD):
                rows.extend(batch.to_pylist())
            yield batch

    before = handle.io_stats_snapshot().read_bytes
    with monkeypatch.context() as patch:
        patch.setattr(Table, "batches", batches)
        read(store)
    return handle.io_stats_snapshot().read_bytes - before, rows


@pytest.mark.parametrize("compacted", [False, True])
def test_no_forbidden_tensor_is_read_from_the_disk(store, monkeypatch, compacted):
    if compacted:
        store.compact()
    size = max(file.stat().st_size for file in Path(store.records.uri).glob("data/*"))
    size = size // 10 if compacted else size

    def by_shelf(reader):
        shelf = Shelf(reader, "latent", "f")
        return shelf.chunks(list(shelf.snapshot(0, "live").values()))

    def by_scope(reader):
        return reader.retrieve_by_scope("src/**/*.py")

    def by_router(reader):
        # As many allowed as are not looked up by name: their rows are told by a mask of row ids.
        monkeypatch.setattr(module, "FEW", 0)
        paths = {name: path for path, name in reader.documents().items()}
        source = Source(reader, reader.lexicon, "latent", "f", few=0, exact=not compacted)
        near = choose(source, paths, "1.py 3.py", encoded(5).route, 8)
        reader.load(near.record_ids)

    index_routes(store.records, 1)
    for read in (by_shelf, by_scope, by_router):
        taken, rows = counted(monkeypatch, opened(store.config.path), read)
        assert {row["content_hash"] for row in rows} == {"hash3", "hash7"}
        assert 1.9 * size < taken < 2 * size + 100_000

    def all_of_it(reader):
        return reader.retrieve_by_scope("src/*", ("public", "secret"))

    taken, rows = counted(monkeypatch, opened(store.config.path), all_of_it)
    assert len(rows) == 10
    assert taken > 9 * size


def test_forbidden_files_may_be_gone_and_the_read_works(store):
    table = store.records.found()
    for fragment in table.get_fragments():
        (row,) = fragment.to_table(columns=["content_hash"]).to_pylist()
        if row["content_hash"] not in ("hash3", "hash7"):
            (file,) = fragment.data_files()
            Path(store.records.uri, "data", file.path).unlink()
    keys, _ = store.retrieve_by_scope("src/**/*.py")
    assert torch.equal(keys, torch.cat([large(3).keys, large(7).keys]))
    with pytest.raises(Damaged, match="8 not found"):
        store.retrieve_by_scope("src/**/*.py", ("secret",))


def test_labels_filter_in_the_query_of_the_rows(store, monkeypatch):
    taken = []
    usual = Table.batches

    def batches(self, columns, condition=None, rows=None):
        for batch in usual(self, columns, condition, rows):
            taken.append((self.uri, batch.num_rows))
            yield batch

    monkeypatch.setattr(Table, "batches", batches)
    assert len(store.documents()) == 2
    assert sum(rows for uri, rows in taken if uri == store.snapshots.uri) == 2
    assert store.documents(acl=()) == {}
    assert store.documents(acl=("x' OR '1'='1",)) == {}


def test_one_content_under_two_labels_is_seen_by_each_path(tmp_path):
    store = opened(tmp_path)
    put(store, "open.py", 1)
    put(store, "closed.py", 1, acl="secret")
    assert list(seen(store)) == ["open.py"]
    assert len(store.documents(acl=("public", "secret"))) == 2
