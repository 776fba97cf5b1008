"""Which documents the traces of a repository bring into memory, and which wait."""

from itertools import count

import pyarrow.parquet as pq
import pytest

from awareness_model.schema import content_hash
from awareness_pipeline.config import BYTES_PER_TOKEN, Encode, UserError
from awareness_pipeline.lessons.memory import (
    Chosen,
    Need,
    choose_for_traces,
    in_fair_turns,
    read_needs,
)
from tests.model.small_world import trace, write_traces
from tests.pipeline.gitrepo import Snap, make_repo

TOKENS = 10
"""Estimated size of every file."""


def text(name, version=1):
    start = f"# {name} {version}\n"
    return start + "x" * (int(TOKENS * BYTES_PER_TOKEN) - len(start))


@pytest.fixture
def repository(tmp_path):
    """Two commits of twelve files of like size; the second edits `f0.py`."""
    files = {f"f{n}.py".encode(): text(f"f{n}").encode() for n in range(12)}
    shas = make_repo(
        tmp_path / "r.git",
        [Snap(b"Begin\n", files), Snap(b"Edit\n", {b"f0.py": text("f0", 2).encode()})],
    )
    numbers = count()

    def chosen(rows, budget):
        """Return (place in history, number of the file) in the order taken, and reasons."""
        made = [
            trace(
                next(numbers),
                1,
                gold=tuple(f"f{n}.py" for n in gold),
                parent_sha=shas[tree],
                kind=kind,
                chain=chain,
                manifest_paths=[f"f{n}.py" for n in seen],
            )
            for kind, tree, gold, seen, chain in rows
        ]
        path = write_traces(tmp_path / "traces.parquet", made)
        found = Chosen(Encode(max_repository_tokens=budget * TOKENS))
        choose_for_traces(1, tmp_path / "r.git", [path], found)
        taken = [(shas.index(sha), int(path[1:-3])) for sha, path in found.rows]
        return taken, found

    return chosen


def instruction(gold, seen=(), tree=1):
    return ("instruction", tree, gold, seen, "")


def reconstruction(gold, tree=1):
    return ("reconstruction", tree, gold, gold, "")


def step(tree, gold=(0,), chain="one"):
    return ("state", tree, gold, gold, chain)


def files(taken, tree=1):
    return {number for at, number in taken if at == tree}


def test_no_kind_uses_up_the_budget_of_another(repository):
    """Ten spans come first in the file; each kind still gets a third of nine files' worth."""
    spans = [reconstruction((n,)) for n in range(1, 8)]
    tasks = [instruction((n,)) for n in (8, 9, 10, 11)]
    chains = [step(0), step(1)]
    taken, found = repository([*spans, *tasks, *chains], budget=8)
    assert files(taken) == {1, 2, 3, 8, 9, 10, 0}
    assert (0, 0) in taken
    assert found.reasons() == {"over_budget": 5}


def test_files_that_decide_come_before_files_that_were_seen(repository):
    rows = [instruction((1,), seen=(1, 5, 6)), instruction((2,), seen=(7,)), reconstruction((3,))]
    taken, _ = repository(rows, budget=4)
    assert [number for _, number in taken] == [1, 3, 2, 5]


def test_a_chain_is_in_memory_whole_or_not_at_all(repository):
    whole, _ = repository([step(0), step(1)], budget=2)
    assert whole == [(0, 0), (1, 0)]
    cut, found = repository([step(0), step(1)], budget=1)
    assert cut == []
    assert found.reasons() == {"over_budget": 2}
    lost, found = repository([step(0, gold=(0, 99)), step(1), reconstruction((1,))], budget=2)
    assert lost == [(1, 1), (0, 1)]
    assert found.reasons() == {"chain_not_whole": 2, "not_in_tree": 1}


def test_a_text_that_two_trees_hold_is_paid_for_once_and_shown_in_both(repository):
    taken, found = repository([instruction((1, 2), tree=0), step(0), step(1)], budget=4)
    assert files(taken, 0) == {0, 1, 2}
    assert files(taken, 1) == {0, 1, 2}
    assert found.tokens == 4 * TOKENS
    assert len(found.texts) == 4
    hashes = {place: row.content_hash for place, row in found.rows.items()}
    assert content_hash(text("f0").encode()) in hashes.values()
    assert content_hash(text("f0", 2).encode()) in hashes.values()
    assert found.dropped == {}


def test_what_was_left_out_at_first_and_fits_later_counts_as_taken(repository):
    rows = [step(0, gold=(0, 1, 2)), step(1, gold=(0, 1, 2))]
    taken, found = repository([*rows, reconstruction((5,)), reconstruction((1,))], budget=2)
    assert (1, 1) in taken
    assert content_hash(text("f1").encode()) not in found.dropped


def test_turns_go_to_the_kind_that_was_given_least():
    costs = {"a": 1.0, "b": 3.0}
    order = []
    needs = [Need(kind, "", (), ()) for kind in "bbbaaaaaa"]

    def take(need):
        order.append(need.kind)
        return costs[need.kind]

    in_fair_turns(needs, take)
    assert "".join(order) == "abaaabaab"


def test_steps_of_a_chain_are_one_need_and_other_traces_one_each(tmp_path):
    rows = [
        trace(0, gold=("a.py",), parent_sha="x", kind="state", chain="one", manifest_paths=[]),
        trace(1, gold=("b.py",), parent_sha="y", manifest_paths=["c.py"]),
        trace(
            2, gold=("a.py",), parent_sha="y", kind="state", chain="one", manifest_paths=["a.py"]
        ),
        trace(3, gold=("b.py",), parent_sha="y", manifest_paths=[]),
    ]
    parts = [write_traces(tmp_path / f"{n}.parquet", rows[n * 2 : n * 2 + 2]) for n in range(2)]
    assert read_needs(parts) == [
        Need("state", "one", (("x", "a.py"), ("y", "a.py")), (("y", "a.py"),)),
        Need("instruction", "", (("y", "b.py"),), (("y", "c.py"),)),
        Need("instruction", "", (("y", "b.py"),), ()),
    ]


def test_a_file_of_other_columns_and_a_torn_one_are_named(tmp_path):
    whole = write_traces(tmp_path / "whole.parquet", [trace(0)])
    old = pq.read_table(whole).drop_columns(["chain", "gold_paths"])
    pq.write_table(old, tmp_path / "old.parquet")
    (tmp_path / "torn.parquet").write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"old\.parquet has no chain, gold_paths: run distil"):
        read_needs([tmp_path / "old.parquet"])
    with pytest.raises(UserError, match=r"torn\.parquet cannot be read"):
        read_needs([whole, tmp_path / "torn.parquet"])
