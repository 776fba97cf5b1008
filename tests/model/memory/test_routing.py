"""Routing over a real store: what is found, what is read, and what never may be."""

import pytest
import torch

from awareness_model.memory import Document
from awareness_model.memory.lexicon import Lexicon
from awareness_model.memory.nearest import index_routes
from awareness_model.memory.record import PAYLOAD
from awareness_model.memory.routing import Source, Weights, choose, named_files, selector
from awareness_model.memory.tables import Table
from tests.model.memory.made import Encoded, opened

WIDTH = 16
CLUSTERS = 60
FAR = {"few": 0}
"""Settings under which everything goes through the index, where there is one."""
EXACT = {"few": 0, "exact": True}


def routes(count, seed=0, spread=0.6):
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLUSTERS, WIDTH, generator=torch.Generator().manual_seed(99))
    picked = centres[torch.randint(CLUSTERS, (count,), generator=draw)]
    noise = torch.randn(count, WIDTH, generator=draw)
    return torch.nn.functional.normalize(picked + spread * noise, dim=1)


def chunk(route, start=0):
    return Encoded(torch.ones(1, 1, 4), None, route, 5, (start, start + 5))


def filled(folder, vectors, acl=lambda n: "public"):
    """A store with a document a vector, `h0`, `h1`, …; two chunks for every third."""
    store = opened(folder)
    made = []
    for n, route in enumerate(vectors):
        chunks = [chunk(route)] + ([chunk(-route, 9)] if n % 3 == 0 else [])
        made.append(Document(f"{n}.py", f"h{n}", chunks, acl=acl(n)))
    store.put_documents(made, "latent", "f")
    return store


def source(store, **settings):
    return Source(store, Lexicon(store.config), "latent", "f", **settings)


def documents_of(store, selection):
    rows = store.records.rows(["record_id", "content_hash"])
    names = {row["record_id"]: row["content_hash"] for row in rows}
    return list(dict.fromkeys(names[one] for one in selection.record_ids))


def visible(store, acl=("public",)):
    return {name: path for path, name in store.documents("**", acl).items()}


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    """5,000 documents with an index over their 6,667 routing vectors."""
    store = filled(tmp_path_factory.mktemp("clustered"), routes(5000))
    assert index_routes(store.records, above=5000)
    return store


def nearest(vectors, query, count):
    """Documents by exact search in RAM."""
    cosines = vectors @ query
    cosines[::3] = cosines[::3].abs()
    return [f"h{n}" for n in cosines.argsort(descending=True)[:count].tolist()]


@pytest.mark.parametrize(("settings", "least"), [(EXACT, 1.0), (FAR, 0.95)])
def test_the_nearest_are_found_exactly_and_by_the_index(clustered, settings, least):
    where, vectors, allowed = source(clustered, **settings), routes(5000), visible(clustered)
    hits = []
    for query in routes(20, seed=7):
        wanted = nearest(vectors, query, 16)
        found = documents_of(clustered, choose(where, allowed, "", query, 16))
        assert found[0] == wanted[0]
        hits.append(len(set(wanted) & set(found)) / 16)
    assert len(hits) == 20
    assert sum(hits) / 20 >= least


def test_an_index_is_made_once_and_only_where_there_is_much(clustered, tmp_path):
    assert not index_routes(clustered.records, above=5000)
    assert not index_routes(opened(tmp_path / "none").records, above=0)
    assert not index_routes(filled(tmp_path / "few", routes(9)).records, above=13)
    assert index_routes(opened(tmp_path / "few").records, above=12)


def test_what_is_written_after_the_index_is_found(tmp_path):
    store = filled(tmp_path, routes(300))
    assert index_routes(store.records, above=10)
    new = torch.nn.functional.normalize(torch.ones(WIDTH), dim=0)
    store.put_documents([Document("new.py", "new", [chunk(new)])], "latent", "f")
    found = choose(source(store, **FAR), visible(store), "", new, 1)
    assert documents_of(store, found) == ["new"]


@pytest.mark.parametrize("settings", [{}, EXACT, FAR])
def test_a_forbidden_document_is_never_a_candidate(tmp_path, settings):
    vectors = routes(200)
    store = filled(tmp_path, vectors, acl=lambda n: "secret" if n % 2 else "public")
    index_routes(store.records, above=10)
    where = source(store, **settings)
    where.lexicon.put({f"h{n}": f"def name{n}(): pass" for n in range(200)})
    query = vectors[31]
    for text in ("name31 name77", ""):
        pool = selector(where, visible(store), text, query, 20).candidates
        assert len(pool) >= 20
        assert all(int(one.document[1:]) % 2 == 0 for one in pool)
    found = documents_of(store, choose(where, visible(store), "name31 name77", query, 100))
    assert len(found) == 100
    assert all(int(name[1:]) % 2 == 0 for name in found)
    allowed = visible(store, ("public", "secret"))
    assert documents_of(store, choose(where, allowed, "name31", query, 1)) == ["h31"]


@pytest.mark.parametrize("settings", [{}, EXACT, FAR])
def test_keys_and_values_are_never_read(tmp_path, monkeypatch, settings):
    store = filled(tmp_path, routes(60))
    index_routes(store.records, above=10)
    allowed = visible(store)
    columns = set()
    usual = Table.found

    class Seen:
        """An opened table that notes the columns of its scans."""

        def __init__(self, held):
            self.held = held

        def __getattr__(self, name):
            return getattr(self.held, name)

        def scanner(self, *args, **how):
            columns.update(how.get("columns") or args[0])
            return self.held.scanner(*args, **how)

    def found(self):
        held = usual(self)
        return held and Seen(held)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "found", found)
        choose(source(store, **settings), allowed, "words", routes(1, seed=3)[0], 4)
    assert "route" in columns
    assert columns & set(PAYLOAD) == {"route"}


def test_a_name_that_is_defined_beats_the_nearest_vector(tmp_path):
    vectors = routes(50)
    store = filled(tmp_path, vectors)
    where = source(store)
    where.lexicon.put({"h8": "def parse_file(): ...", "h9": "parse_file() # parse_file()"})
    asked = "how does parse_file work"
    first = documents_of(store, choose(where, visible(store), asked, vectors[3], 3))
    assert first == ["h8", "h9", "h3"]
    blind = source(store, weights=Weights(1.0, 0.0, 0.0, 0.0))
    assert documents_of(store, choose(blind, visible(store), asked, vectors[3], 1)) == ["h3"]


def test_all_chunks_of_a_chosen_document_come_with_it(tmp_path):
    vectors = routes(30)
    store = filled(tmp_path, vectors)
    index_routes(store.records, above=10)
    for settings in ({}, EXACT, FAR):
        found = choose(source(store, **settings), visible(store), "", vectors[6], 1)
        assert len(found.record_ids) == 2
        assert documents_of(store, found) == ["h6"]


def test_the_order_of_writing_changes_nothing(tmp_path):
    vectors = routes(40)
    store = filled(tmp_path / "a", vectors)
    other = opened(tmp_path / "b")
    for n in reversed(range(40)):
        chunks = [chunk(vectors[n])] + ([chunk(-vectors[n], 9)] if n % 3 == 0 else [])
        other.put_documents([Document(f"{n}.py", f"h{n}", chunks)], "latent", "f")
    for query in routes(5, seed=4):
        found = [choose(source(one), visible(one), "", query, 9) for one in (store, other)]
        assert found[0] == found[1]


def test_nothing_to_choose_from(tmp_path):
    store = filled(tmp_path / "a", routes(5))
    query = routes(1)[0]
    empty = opened(tmp_path / "empty")
    assert choose(source(empty), {}, "x", query, 4).record_ids == ()
    assert choose(source(empty), {"h1": "1.py"}, "x", query, 4).record_ids == ()
    assert choose(source(store), visible(store), "x", query, 0).record_ids == ()
    assert choose(source(store), {}, "x", query, 4).record_ids == ()
    assert len(documents_of(store, choose(source(store), visible(store), "x", query, 99))) == 5


@pytest.mark.parametrize("settings", [{}, EXACT, FAR])
def test_vectors_that_are_no_numbers_neither_come_nor_hide_others(tmp_path, caplog, settings):
    vectors = routes(40)
    broken = vectors.clone()
    broken[5:30] = float("nan")
    store = filled(tmp_path, broken)
    index_routes(store.records, above=10)
    where = source(store, **settings)
    found = documents_of(store, choose(where, visible(store), "", vectors[31], 10))
    assert found[0] == "h31"
    assert len(found) == 10
    assert not set(found) & {f"h{n}" for n in range(5, 30)}
    where.lexicon.put({"h7": "def parse_file(): ..."})
    found = documents_of(store, choose(where, visible(store), "parse_file", vectors[31], 1))
    assert found == ["h31"]
    assert "hold NaN" in caplog.text
    with pytest.raises(ValueError, match="NaN"):
        choose(where, visible(store), "", broken[7], 1)


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("what is in auth.py?", {"a"}),
        ("from src.auth import login", {"a"}),
        ("Auth", {"a"}),
        ("the read-me of it", {"r"}),
        ("read it", set()),
        ("import tools", {"t"}),
        ("authors", set()),
        ("", set()),
    ],
)
def test_a_file_is_named_by_its_stem(prompt, names):
    files = {"a": "src/auth.py", "r": "read-me.md", "t": "tools/__init__.py", "x": "+.py"}
    assert named_files(prompt, files) == names


def test_a_name_that_most_files_have_tells_nothing():
    files = {f"h{n}": f"{n}/index.js" for n in range(300)}
    assert named_files("index", files) == set()
    assert len(named_files("index", dict(list(files.items())[:9]))) == 9


def test_a_named_file_comes_first_though_far_and_without_words(tmp_path):
    vectors = routes(50)
    store = filled(tmp_path, vectors)
    found = choose(source(store), visible(store), "12.py", vectors[3], 2)
    assert documents_of(store, found) == ["h12", "h3"]


@pytest.mark.parametrize("settings", [EXACT, FAR])
def test_a_narrow_scope_is_found_whole_and_rows_without_vectors_never(clustered, settings):
    allowed = {f"h{n}": f"{n}.py" for n in range(7, 5000, 500)}
    found = choose(source(clustered, **settings), allowed, "", routes(1, seed=5)[0], 16)
    assert set(documents_of(clustered, found)) == set(allowed)


@pytest.mark.parametrize("settings", [{}, EXACT, FAR])
def test_documents_without_a_vector_are_no_candidates(tmp_path, settings):
    store = filled(tmp_path, routes(30))
    store.add_document("by/hand.py", torch.ones(3, 1, 4), torch.ones(3, 1, 4))
    index_routes(store.records, above=10)
    where = source(store, **settings)
    assert len(documents_of(store, choose(where, visible(store), "hand", routes(1)[0], 99))) == 30
