"""The mask allows exactly the documents named, in every kind of search, wherever their rows lie."""

import pytest
from lance.query import MatchQuery

from awareness_model.memory import within as module
from awareness_model.memory.nearest import index_routes
from awareness_model.memory.within import within
from tests.model.memory.made import encoded, opened, put

ALL = [f"hash{n}" for n in range(9)]
ALLOWED = [
    ALL, ALL[:1], ALL[:8], ["hash3", "elsewhere"], ["elsewhere"], [], ["x' OR '1'='1"]
]  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path)
    for n in range(9):
        put(store, f"{n}.py", n)
    return store


def seen_by(table, mask, **search):
    """The documents that a search with a mask returns."""
    how = {"columns": ["content_hash"], "prefilter": True, "limit": 100, **search}
    held = table.found()
    found = held.scanner(row_addr_allowlist=mask, disable_scoring_autoprojection=True, **how)
    return set(found.to_table()["content_hash"].to_pylist())


@pytest.mark.parametrize("few", [0, 2000])
@pytest.mark.parametrize("allowed", ALLOWED)
def test_only_the_allowed_rows_are_left(store, monkeypatch, few, allowed):
    monkeypatch.setattr(module, "FEW", few)
    table = store.records.at(store.records.number())
    mask = within(table, allowed, "layout = 'kv'")
    assert seen_by(table, mask) == set(allowed) & set(ALL)
    assert seen_by(table, within(table, allowed, "layout = 'latent'")) == set()


@pytest.mark.parametrize("few", [0, 2000])
@pytest.mark.parametrize("allowed", [ALL[::2], ALL[7:], []])
def test_no_search_scores_another_row_indexed_or_new(store, monkeypatch, few, allowed):
    monkeypatch.setattr(module, "FEW", few)
    monkeypatch.setattr("awareness_model.memory.lexicon._bring_up", lambda table: None)
    store.records.delete("content_hash = 'hash1'")
    assert index_routes(store.records, 1)
    words = {f"hash{n}": f"def word{n}(): common" for n in range(9)}
    store.lexicon.put({name: words[name] for name in ALL[:5]})
    monkeypatch.undo()
    monkeypatch.setattr(module, "FEW", few)
    store.lexicon.put({"hash5": words["hash5"]})
    monkeypatch.setattr("awareness_model.memory.lexicon._bring_up", lambda table: None)
    store.lexicon.put(words)
    put(store, "9.py", 9)
    wanted = set(allowed) - {"hash1"}
    table = store.records.at(store.records.number())
    near = {"column": "route", "q": encoded(1).route.numpy(), "metric": "dot", "k": 50}
    for how in ({"use_index": False}, {"search_effort": 1.0}, {"nprobes": 3}):
        mask = within(table, allowed)
        assert seen_by(table, mask, nearest={**near, **how}) == wanted
    terms = store.lexicon.table.at(store.lexicon.table.number())
    query = MatchQuery("common", "words")
    assert seen_by(terms, within(terms, allowed), full_text_query=query) == set(allowed)
    assert set(store.lexicon.search("common", allowed).words) == set(allowed)


def test_what_is_written_later_is_not_let_in(store, monkeypatch):
    monkeypatch.setattr(module, "FEW", 0)
    table = store.records.at(store.records.number())
    mask = within(table, ALL)
    put(store, "new.py", 77)
    store.compact()
    assert seen_by(table, mask) == set(ALL)


def test_few_are_looked_up_by_name_and_many_by_reading_ids_alone(store, monkeypatch):
    table = store.records.at(store.records.number())
    asked = []
    usual = module.Table.batches

    def batches(self, columns, condition=None, rows=None):
        asked.append((tuple(columns), condition))
        return usual(self, columns, condition, rows)

    monkeypatch.setattr(module.Table, "batches", batches)
    within(table, ALL[:2])
    monkeypatch.setattr(module, "FEW", 1)
    within(table, ALL[:2])
    ids = ("content_hash", "_rowid")
    assert asked == [(ids, "true AND content_hash IN ('hash0', 'hash1')"), (ids, "true")]
