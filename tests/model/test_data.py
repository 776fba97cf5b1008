"""Which traces can be trained on."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from awareness_model.config import UserError
from awareness_model.data import load_samples
from awareness_model.traces import Traces
from tests.model.small_world import (
    FINGERPRINT,
    Shelf,
    samples_of,
    settings,
    shelf,
    trace,
    write_traces,
)


def test_traces_without_their_gold_documents_are_counted_and_left_out(tmp_path):
    rows = [
        trace(0),
        trace(1, gold=("gone.py", "b.py")),
        trace(2, gold=("gone.py",)),
        trace(3, gold=()),
        trace(4, answer=0, k=0),
        trace(5, repo_id=9),
    ]
    found = samples_of(tmp_path, rows, shelf(), settings())
    assert [sample.row for sample in found.usable] == [0, 1]
    assert found.usable[1].gold == ("doc11",)
    assert found.dropped == {"gold_not_in_memory": 2, "no_answer": 1, "no_gold": 1}


def test_negatives_come_from_the_traces_own_snapshots_alone(tmp_path):
    """Held-out repositories are in the same store; training must never see them."""
    found = samples_of(tmp_path, [trace(0, 1), trace(1, 2)], shelf(repositories=3), settings())
    assert set(found.trees) == set(found.neighbours.repositories) == {1, 2}
    assert set(found.documents) == {(1, "tree1"), (2, "tree2")}


def test_another_tokenizer_is_refused(tmp_path):
    path = write_traces(tmp_path / "t.parquet", [trace(0)])
    with pytest.raises(UserError, match="another tokenizer"):
        load_samples([path], shelf(), settings(), "other")


def test_nothing_to_train_on_says_why(tmp_path):
    with pytest.raises(UserError, match="gold_not_in_memory"):
        samples_of(tmp_path, [trace(0, repo_id=9)], shelf(), settings())
    with pytest.raises(UserError, match="run distil first"):
        load_samples([], shelf(), settings(), FINGERPRINT)


def test_a_file_that_holds_no_traces_is_named(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(UserError, match=r"other\.parquet"):
        load_samples([path], shelf(), settings(), FINGERPRINT)
    with pytest.raises(UserError, match=r"gone\.parquet"):
        load_samples([tmp_path / "gone.parquet"], shelf(), settings(), FINGERPRINT)


def test_the_digest_follows_what_training_sees(tmp_path):
    rows = [trace(0), trace(1, 2)]
    first = samples_of(tmp_path, rows, shelf(), settings()).digest
    assert samples_of(tmp_path, rows, shelf(), settings()).digest == first
    assert samples_of(tmp_path, rows, shelf(files=3), settings()).digest != first
    assert samples_of(tmp_path, [trace(0), trace(2, 2)], shelf(), settings()).digest != first
    other = [trace(0), trace(1, 2, language="Go")]
    assert samples_of(tmp_path, other, shelf(), settings()).digest != first
    unusable = [*rows, trace(7, gold=())]
    assert samples_of(tmp_path, unusable, shelf(), settings()).digest == first


def test_the_digest_does_not_depend_on_how_traces_are_spread_over_files(tmp_path):
    rows = [trace(n, 1 + n % 3) for n in range(7)]
    whole = samples_of(tmp_path, rows, shelf(), settings()).digest
    parts = [write_traces(tmp_path / f"part{n}.parquet", rows[n * 3 : n * 3 + 3]) for n in range(3)]
    assert load_samples(parts, shelf(), settings(), FINGERPRINT).digest == whole


def chain_shelf():
    """One repository, before and after an edit of `a.py`; a copy of the old `a.py` was kept."""
    before = {"a.py": "doc1", "b.py": "doc2", "c.py": "doc3"}
    after = {"a.py": "doc4", "b.py": "doc2", "c.py": "doc3", "old/a.py": "doc1"}
    return Shelf({(1, "before"): before, (1, "after"): after, (2, "tree2"): {"a.py": "doc5"}})


def chain():
    usual = {"kind": "state", "chain": "one"}
    return [
        trace(0, parent_sha="before", step=0, **usual),
        trace(1, parent_sha="after", step=1, **usual),
    ]


def test_the_steps_of_a_chain_read_the_trees_of_their_own(tmp_path):
    found = samples_of(tmp_path, chain(), chain_shelf(), settings())
    before, after = found.usable
    assert (before.snapshot, after.snapshot) == ((1, "before"), (1, "after"))
    assert (before.gold, after.gold) == (("doc1",), ("doc4",))
    assert found.documents[1, "before"] == ("doc1", "doc2", "doc3")
    assert found.documents[1, "after"] == ("doc1", "doc2", "doc3", "doc4")
    assert found.trees == {1: ((1, "after"), (1, "before"))}


def test_other_versions_of_a_gold_file_are_known_as_stale(tmp_path):
    rows = [*chain(), trace(2, gold=("b.py",), parent_sha="after"), trace(3, 2)]
    found = samples_of(tmp_path, rows, chain_shelf(), settings())
    assert [sample.stale for sample in found.usable] == [("doc4",), ("doc1",), (), ()]


def test_a_repository_has_its_commonest_language_and_its_largest_size(tmp_path):
    rows = [
        trace(0, 1, language="Go", repository_bytes=5),
        trace(1, 1, language="C", repository_bytes=9),
        trace(2, 1, language="C", repository_bytes=7),
        trace(3, 2, language="Zig", repository_bytes=1),
        trace(4, 2, language="Ada", repository_bytes=1),
        trace(5, 9, language="Go"),
    ]
    known = samples_of(tmp_path, rows, shelf(), settings()).neighbours.repositories
    assert {one.repo_id: (one.language, one.size) for one in known.values()} == {
        1: ("C", 9),
        2: ("Ada", 1),
    }


def test_a_tree_is_asked_for_once(tmp_path):
    asked = []

    class Asked(Shelf):
        def snapshot(self, repo_id, sha):
            asked.append((repo_id, sha))
            return super().snapshot(repo_id, sha)

    samples_of(
        tmp_path, [trace(n, 1 + n % 2) for n in range(8)], Asked(shelf().snapshots), settings()
    )
    assert sorted(asked) == [(1, "tree1"), (2, "tree2")]


def test_a_torn_file_among_whole_ones_is_named(tmp_path):
    whole = write_traces(tmp_path / "whole.parquet", [trace(0)])
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"torn\.parquet"):
        load_samples([whole, torn], shelf(), settings(), FINGERPRINT)
    assert len(Traces([whole])) == 1
