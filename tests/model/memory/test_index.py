"""The index over routing vectors: when it is made, what is in it, and who uses it."""

from datetime import timedelta

import pytest
import torch

from awareness_model import listing
from awareness_model.config import MemoryConfig
from awareness_model.memory import Document, LatentMemoryStore
from awareness_model.memory import nearest as module
from awareness_model.memory.nearest import has_index, index_routes, nearest_documents
from awareness_model.memory.routing import Source, choose
from awareness_model.memory.within import within
from tests.model.memory.made import Encoded

WIDTH, MANY = 16, 400


def vectors(count, seed=0):
    """Vectors that lie everywhere: cells tell next to nothing of them."""
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, WIDTH, generator=draw), dim=1)


def opened(folder, exact_below=MANY):
    return LatentMemoryStore(MemoryConfig(str(folder), "float32", exact_below=exact_below))


def put(store, routes, start=0):
    store.put_documents(
        [
            Document(f"{n}.py", f"h{n}", [Encoded(torch.ones(1, 1, 4), None, route, 5, (0, 5))])
            for n, route in enumerate(routes, start)
        ],
        "latent",
        "f",
    )


def in_index(store):
    """Rows in the index; None where there is none."""
    for one in store.records.found().describe_indices():
        if "route" in one.field_names:
            return one.num_rows_indexed
    return None


def chosen(store, query, budget=16, **settings):
    source = Source(store, store.lexicon, "latent", "f", few=0, **settings)
    paths = {name: path for path, name in store.documents().items()}
    found = choose(source, paths, "", query, budget)
    rows = store.records.rows(["record_id", "content_hash"])
    names = {row["record_id"]: row["content_hash"] for row in rows}
    return [names[one] for one in found.record_ids]


@pytest.fixture
def searches(monkeypatch):
    """How each search was made."""
    made = []
    usual = module._search

    def search(table, allowed, how, most):
        made.append({name: how.get(name) for name in ("use_index", "nprobes", "search_effort")})
        plan = table.scanner(columns=["content_hash"], nearest={**how, "k": 9}).explain_plan()
        made[-1]["by index"] = "ANN" in plan
        return usual(table, allowed, how, most)

    monkeypatch.setattr(module, "_search", search)
    return made


def test_the_write_that_makes_a_memory_large_makes_its_index(tmp_path, searches):
    store = opened(tmp_path)
    put(store, vectors(MANY - 1))
    assert in_index(store) is None
    query = vectors(1, seed=5)[0]
    chosen(store, query)
    assert [one["by index"] for one in searches] == [False]
    put(store, vectors(1, seed=9), MANY - 1)
    assert in_index(store) == MANY
    searches.clear()
    chosen(store, query)
    assert len(searches) >= 2
    assert all(one["by index"] for one in searches)


def test_gc_makes_the_index_of_a_large_memory_and_retrieval_uses_it(tmp_path, searches):
    put(opened(tmp_path, 10**6), vectors(MANY))
    store = opened(tmp_path)
    assert in_index(store) is None
    (done,) = listing.collect(store, 24.0)
    assert done["records"] == 0
    assert in_index(store) == MANY
    query = vectors(1, seed=5)[0]
    found = chosen(store, query)
    assert all(one["by index"] for one in searches)
    assert found == chosen(store, query, exact=True)
    assert not searches[-1]["by index"]


def test_gc_makes_no_index_of_a_small_memory(tmp_path):
    store = opened(tmp_path)
    put(store, vectors(30))
    listing.collect(store, 24.0)
    assert in_index(store) is None


def test_new_rows_are_found_before_they_are_in_the_index_and_gc_brings_them_in(tmp_path, searches):
    store = opened(tmp_path)
    put(store, vectors(MANY))
    new = vectors(5, seed=77)
    put(store, new, MANY)
    assert in_index(store) == MANY
    for n, query in enumerate(new):
        assert chosen(store, query, 1) == [f"h{MANY + n}"]
    assert all(one["by index"] for one in searches)
    listing.collect(store, 0.0)
    assert in_index(store) == MANY + 5
    assert [chosen(store, query, 1) for query in new] == [[f"h{MANY + n}"] for n in range(5)]


def test_what_was_removed_leaves_the_index_with_its_records(tmp_path):
    store = opened(tmp_path)
    put(store, vectors(MANY))
    store.remove(*(f"{n}.py" for n in range(0, MANY, 2)))
    (done,) = listing.collect(store, 0.0)
    assert done["records"] == MANY // 2
    assert in_index(store) == MANY // 2
    for query in vectors(5, seed=3):
        found = chosen(store, query)
        assert found == chosen(store, query, exact=True)
        assert all(int(name[1:]) % 2 for name in found)


def test_where_cells_tell_nothing_all_are_searched_and_none_is_missed(
    tmp_path, monkeypatch, searches
):
    monkeypatch.setattr(module, "CELLS", (1, 2))
    store = opened(tmp_path)
    put(store, vectors(MANY))
    table = store.records.at(store.records.number())
    allowed = within(table, set(store.documents().values()))
    for query in vectors(10, seed=4):
        exact = nearest_documents(table.found(), allowed, query, 16, exact=True)
        searches.clear()
        assert nearest_documents(table.found(), allowed, query, 16) == exact
        assert [one["nprobes"] for one in searches] == [1, 2, None]
        assert searches[-1]["search_effort"] == 1.0


def test_where_more_cells_change_nothing_no_more_are_searched(tmp_path, searches):
    centres = torch.nn.functional.normalize(torch.eye(WIDTH), dim=1)
    store = opened(tmp_path)
    put(store, torch.cat([centres] * 25) + 0.01 * vectors(MANY))
    table = store.records.at(store.records.number())
    allowed = within(table, set(store.documents().values()))
    found = nearest_documents(table.found(), allowed, centres[3], 16)
    assert all(int(name[1:]) % WIDTH == 3 for name in found)
    assert [one["nprobes"] for one in searches] == list(module.CELLS)


def test_another_that_makes_the_index_at_once_is_let_go_first(tmp_path, monkeypatch):
    store = opened(tmp_path, 10**6)
    put(store, vectors(MANY))
    late, usual = opened(tmp_path, 10**6).records, module.has_index

    def seen_too_early(table):
        monkeypatch.setattr(module, "has_index", usual)
        assert index_routes(store.records, 1)
        return False

    monkeypatch.setattr(module, "has_index", seen_too_early)
    index_routes(late, 1)
    assert has_index(store.records.found())
    assert in_index(store) == MANY
    assert chosen(store, vectors(1, seed=5)[0]) == chosen(store, vectors(1, seed=5)[0], exact=True)


def test_versions_from_before_the_index_can_still_be_read(tmp_path):
    store = opened(tmp_path)
    put(store, vectors(30))
    with store.pinned() as reader:
        put(store, vectors(MANY), 30)
        listing.collect(store, 0.0)
        source = Source(reader, store.lexicon, "latent", "f", few=0)
        paths = {name: path for path, name in reader.documents().items()}
        assert len(choose(source, paths, "", vectors(1)[0], 99).record_ids) == 30
    store.collect_garbage(timedelta(0))
    assert in_index(store) == MANY + 30
