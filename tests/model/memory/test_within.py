"""The filter names exactly the documents allowed, however it is put."""

import pytest

from awareness_model.memory import within as module
from awareness_model.memory.within import within
from tests.model.memory.made import opened, put

ALL = [f"hash{n}" for n in range(9)]


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path)
    for n in range(9):
        put(store, f"{n}.py", n)
    return store


@pytest.mark.parametrize("few", [0, 2000])
@pytest.mark.parametrize(
    "allowed", [ALL, ALL[:1], ALL[:8], ["hash3", "elsewhere"], ["elsewhere"], [], ["x' OR '1'='1"]]
)
def test_only_the_allowed_rows_are_left(store, monkeypatch, few, allowed):
    monkeypatch.setattr(module, "FEW", few)
    table = store.records.at(store.records.number())
    condition = within(table, allowed, "layout = 'kv'")
    found = {row["content_hash"] for row in table.rows(["content_hash"], condition)}
    assert found == set(allowed) & set(ALL)


def test_the_shorter_list_is_named(store, monkeypatch):
    monkeypatch.setattr(module, "FEW", 0)
    assert within(store.records, ALL) == "true"
    assert within(store.records, ALL[:8]) == "true AND content_hash NOT IN ('hash8')"
    assert within(store.records, ALL[:1]) == "true AND content_hash IN ('hash0')"


def test_what_is_written_later_is_not_let_in(store, monkeypatch):
    monkeypatch.setattr(module, "FEW", 0)
    table = store.records.at(store.records.number())
    condition = within(table, ALL[:8])
    put(store, "new.py", 77)
    found = {row["content_hash"] for row in table.rows(["content_hash"], condition)}
    assert found == set(ALL[:8])
