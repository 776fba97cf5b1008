"""Which samples and documents a step sees, and what the decoder gets of them."""

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch

from awareness_model.config import UserError
from awareness_model.data import Sample, Samples
from awareness_model.feed import Feed, batches_of, pooling
from awareness_model.neighbours import Neighbours, Repository
from awareness_model.views import POOL, foreign, view
from tests.model.small_world import Shelf, samples_of, settings, shelf, trace
from tests.model.test_data import chain, chain_shelf

LENGTHS = [5 + n % 7 for n in range(21)]


def test_an_epoch_takes_every_sample_at_most_once_and_shuffles_anew():
    epochs = [batches_of(epoch, LENGTHS, 4, seed=3) for epoch in (0, 1)]
    for epoch in epochs:
        assert max(Counter(one for batch in epoch for one in batch).values()) == 1
        assert [len(batch) for batch in epoch] == [4] * 5
    assert epochs[0] != epochs[1]
    assert epochs[0] != batches_of(0, LENGTHS, 4, seed=4)
    assert epochs[0] == batches_of(0, LENGTHS, 4, seed=3)


def test_batches_hold_samples_of_like_length():
    lengths = list(range(64))
    spread = [max(batch) - min(batch) for batch in batches_of(0, lengths, 8, 0)]
    assert max(spread) < 16


def test_few_samples_repeat():
    (batch,) = batches_of(7, [3, 4], 5, seed=0)
    assert sorted(Counter(batch).values()) == [2, 3]


def test_steps_go_through_one_epoch_after_the_other(samples):
    feed = Feed(samples, shelf(), settings(batch_size=5), filler=0)
    lengths = [sample.length for sample in samples.usable]
    dealt = [batch for epoch in range(3) for batch in batches_of(epoch, lengths, 5, 0)]
    steps = [0, 1, 2, 3, 4, 5, 1, 4, 0]
    assert [feed._chosen(step) for step in steps] == [dealt[step] for step in steps]


@pytest.fixture
def samples(tmp_path):
    rows = [trace(n, 1 + n % 3, gold=("a.py", "b.py")[: 1 + n % 2]) for n in range(12)]
    return samples_of(tmp_path, rows, shelf(), settings())


@pytest.mark.parametrize("visible", [2, 3, 4, 6])
def test_gold_comes_first_and_then_another_repository(samples, visible):
    held = {one: repo for (repo, _), held in samples.documents.items() for one in held}
    for number, sample in enumerate(samples.usable):
        seen = view(sample, samples, visible, random.Random(number))
        assert set(seen.gold) == set(sample.gold)
        assert len(seen.gold) + len(seen.others) == visible
        assert len({*seen.gold, *seen.others}) == visible
        own = [held[one] == sample.snapshot[0] for one in seen.others]
        assert own == [bool(place % 2) for place in range(len(own))]


def test_gold_alone_is_one_of_the_gold_documents(samples):
    sample = next(one for one in samples.usable if len(one.gold) == 2)
    seen = {view(sample, samples, 1, random.Random(n)) for n in range(20)}
    assert {one.gold for one in seen} == {(gold,) for gold in sample.gold}
    assert {one.others for one in seen} == {()}


def test_absent_gold_leaves_negatives_only(samples):
    sample = samples.usable[0]
    seen = view(sample, samples, 3, random.Random(0), absent=True)
    assert seen.gold == ()
    assert len(seen.others) == 3
    assert not set(sample.gold) & set(seen.others)


def test_a_memory_of_one_repository_fills_up_with_its_own(tmp_path):
    alone = samples_of(tmp_path, [trace(0)], shelf(), settings())
    seen = view(alone.usable[0], alone, 9, random.Random(0))
    assert seen.gold == ("doc10",)
    assert sorted(seen.others) == ["doc11", "doc12", "doc13"]


def test_a_batch_is_a_function_of_seed_and_step(samples):
    feed = Feed(samples, shelf(), settings(gold_absent=0.5), filler=0)
    first, again = feed.batch(5, 3), feed.batch(5, 3)
    assert torch.equal(first.input_ids, again.input_ids)
    assert torch.equal(first.memory.keys, again.memory.keys)
    assert not torch.equal(first.targets, feed.batch(6, 3).targets)
    reseeded = Feed(samples, shelf(), settings(gold_absent=0.5, seed=1), filler=0).batch(5, 3)
    assert not torch.equal(first.targets, reseeded.targets)


def test_ranks_share_a_global_batch(samples):
    whole = Feed(samples, shelf(), settings(batch_size=4), filler=0).batch(2, 2)
    parts = [
        Feed(samples, shelf(), settings(batch_size=4), 0, rank, ranks=2).batch(2, 2)
        for rank in (0, 1)
    ]
    pieced = Feed(samples, shelf(), settings(batch_size=4, accumulate=2), filler=0)
    assert torch.equal(pieced.batch(2, 2, piece=1).input_ids, whole.input_ids[1::2])
    assert torch.equal(parts[0].input_ids, whole.input_ids[0::2])
    assert torch.equal(parts[1].input_ids, whole.input_ids[1::2])
    assert torch.equal(parts[1].memory.keys[0, :3], whole.memory.keys[1, :3])


def test_only_answer_tokens_are_scored_and_each_from_the_position_before(tmp_path):
    rows = [trace(0, prompt=6, answer=4), trace(1, 2, prompt=3, answer=2, k=0)]
    store, training = shelf(), settings(batch_size=2)
    samples = samples_of(tmp_path, rows, store, training)
    batch = Feed(samples, store, training, filler=250).batch(0, 1)
    by_length = {int((batch.rows == row).sum()): row for row in (0, 1)}
    for answer, (number, prompt) in {4: (0, 6), 2: (1, 3)}.items():
        row = by_length[answer]
        here = batch.rows == row
        ids = rows[number]["student_prompt_ids"] + rows[number]["response_ids"]
        assert batch.targets[here].tolist() == rows[number]["response_ids"]
        assert batch.positions[here].tolist() == list(range(prompt - 1, prompt + answer - 1))
        assert batch.input_ids[row, : len(ids) - 1].tolist() == ids[:-1]
        assert set(batch.input_ids[row, len(ids) - 1 :].tolist()) <= {250}
        assert batch.taught[here].tolist() == [answer == 4] * answer
    assert batch.topk_ids.shape == (6, 3)
    assert (batch.topk_logprobs[~batch.taught] == -torch.inf).all()


def test_long_prompts_keep_their_end_and_long_answers_their_start(tmp_path):
    training = settings(batch_size=1, max_prompt_tokens=3, max_answer_tokens=2)
    samples = samples_of(tmp_path, [trace(0, prompt=6, answer=4)], shelf(), training)
    batch = Feed(samples, shelf(), training, filler=0).batch(0, 1)
    row = trace(0, prompt=6, answer=4)
    assert batch.input_ids[0].tolist() == [*row["student_prompt_ids"][-3:], row["response_ids"][0]]
    assert batch.targets.tolist() == row["response_ids"][:2]
    assert samples.usable[0].length == 5


def test_gold_slots_are_those_of_the_gold_documents(samples):
    feed = Feed(samples, shelf(), settings(batch_size=3), filler=0)
    batch = feed.batch(0, 4)
    for row in range(3):
        documents = set(batch.memory.document[row][batch.gold[row]].tolist())
        assert documents in ({0}, {0, 1})
        assert not (batch.gold[row] & ~batch.memory.mask[row]).any()
    hidden = Feed(samples, shelf(), replace(feed.training, gold_absent=1.0), filler=0).batch(0, 4)
    assert not hidden.gold.any()


def many(languages, sizes, per_repository=3):
    """Samples of as many repositories, with documents that no two share."""
    trees = {
        (repo, f"tree{repo}"): tuple(f"doc{repo * 100 + place}" for place in range(per_repository))
        for repo in range(len(languages))
    }
    known = zip(range(len(languages)), languages, sizes, strict=True)
    return Samples(
        traces=None,
        usable=(),
        documents=trees,
        trees={tree[0]: (tree,) for tree in trees},
        neighbours=Neighbours.of(Repository(*one) for one in known),
        dropped={},
    )


def drawn(samples, repo, count, seed=0, **changes):
    tree = (repo, f"tree{repo}")
    sample = Sample(0, 1, tree, samples.documents[tree][:1], **changes)
    return foreign(sample, samples, count, random.Random(seed))


def repositories_of(documents):
    return [int(one.removeprefix("doc")) // 100 for one in documents]


def test_foreign_documents_are_of_the_same_language_and_nearest_in_size():
    languages = ["Go" if n % 2 else "C" for n in range(200)]
    samples = many(languages, [1_000 + n for n in range(200)])
    seen = Counter(
        repo for seed in range(200) for repo in repositories_of(drawn(samples, 101, 3, seed))
    )
    nearest = {101 + 2 * n for n in range(-POOL // 2, POOL // 2 + 1)} - {101}
    assert set(seen) == nearest
    assert drawn(samples, 101, 3, 5) == drawn(samples, 101, 3, 5)
    assert len({tuple(drawn(samples, 101, 3, seed)) for seed in range(50)}) > 40


def test_other_languages_come_in_where_the_own_one_has_too_little():
    samples = many(["Go", "Go", "C", "Zig"], [10, 10, 10, 10], per_repository=2)
    found = repositories_of(drawn(samples, 0, 5))
    assert found[:2] == [1, 1]
    assert set(found[2:]) <= {2, 3}
    assert len(found) == 5
    assert sorted(repositories_of(drawn(samples, 0, 9))) == [1, 1, 2, 2, 3, 3]


def test_what_the_own_tree_holds_is_no_foreign_document():
    samples = many(["Go", "Go"], [1, 1])
    shared = {**samples.documents, (1, "tree1"): ("doc0", "doc1", "doc100")}
    samples = replace(samples, documents=shared)
    assert drawn(samples, 0, 3) == ["doc100"]
    assert drawn(samples, 0, 3, stale=("doc100",)) == []


def test_another_repository_shows_one_of_its_trees_at_a_time():
    samples = many(["Go", "Go"], [1, 1])
    trees = {(1, "x"): ("doc150", "doc151"), (1, "y"): ("doc152", "doc153")}
    samples = replace(
        samples,
        documents={(0, "tree0"): ("doc0",), **trees},
        trees={0: ((0, "tree0"),), 1: tuple(trees)},
    )
    seen = {frozenset(drawn(samples, 0, 2, seed)) for seed in range(30)}
    assert seen == {frozenset(held) for held in trees.values()}


def test_drawing_costs_the_same_in_a_huge_memory():
    """Documents are looked up, never listed: a tuple that counts how often it is looked at."""
    looks = 0

    class Counting(tuple):
        __slots__ = ()

        def __getitem__(self, place):
            nonlocal looks
            looks += 1
            return super().__getitem__(place)

        def __iter__(self):
            raise AssertionError("all documents were walked")

    samples = many(["Go"] * 3, [1, 2, 3])
    huge = {
        tree: Counting(sorted(f"doc{tree[0] * 10**6 + n}" for n in range(10**5)))
        for tree in samples.documents
    }
    samples = replace(samples, documents=huge)
    sample = Sample(0, 1, (0, "tree0"), (huge[0, "tree0"][0],))
    looks = 0
    seen = view(sample, samples, 8, random.Random(0))
    assert len({*seen.gold, *seen.others}) == 8
    assert looks < 400


@pytest.mark.parametrize("absent", [False, True])
def test_another_version_of_the_gold_file_is_never_visible(tmp_path, absent):
    store = chain_shelf()
    fork = {"a.py": "doc1", "b.py": "doc4", "d.py": "doc6"}
    store = Shelf({**store.snapshots, (3, "tree3"): fork})
    rows = [*chain(), trace(2, 2), trace(3, 3, gold=("d.py",))]
    samples = samples_of(tmp_path, rows, store, settings())
    versions = {"doc1", "doc4"}
    for sample in samples.usable[:2]:
        (gold,) = sample.gold
        for seed in range(50):
            seen = view(sample, samples, 6, random.Random(seed), absent)
            assert set(seen.gold) == (set() if absent else {gold})
            assert not set(seen.others) & versions
            assert set(seen.others) == {"doc2", "doc3", "doc5", "doc6"}


def test_the_steps_of_a_chain_see_different_gold_documents_in_a_batch(tmp_path):
    store, training = chain_shelf(), settings(batch_size=2)
    samples = samples_of(tmp_path, chain(), store, training)
    batch = Feed(samples, store, training, filler=0).batch(0, 1)
    slots = {}
    for row in range(2):
        answer = tuple(batch.targets[batch.rows == row].tolist())
        slots[answer] = batch.memory.keys[row][batch.gold[row]]
    for number, name in enumerate(("doc1", "doc4")):
        (held,) = store.chunks([name])[0]
        assert torch.equal(slots[tuple(chain()[number]["response_ids"])], held.keys)


def test_text_only_traces_give_batches_that_nothing_is_taught_in(tmp_path):
    store, training = shelf(), settings(batch_size=2)
    samples = samples_of(tmp_path, [trace(0, k=0), trace(1, k=0)], store, training)
    batch = Feed(samples, store, training, filler=0).batch(0, 1)
    assert batch.topk_ids.shape == batch.topk_logprobs.shape == (8, 0)
    assert batch.tail_mass.tolist() == [0.0] * 8
    assert not batch.taught.any()


def test_tokens_without_alternatives_and_fewer_alternatives_share_a_batch(tmp_path):
    store, training = shelf(), settings(batch_size=3)
    partly = {"topk_ids": [[5, 6], []], "topk_logprobs": [[-0.1, -3.0], []]}
    rows = [
        trace(0, answer=2, k=3),
        trace(1, answer=2, k=2, tail_mass=[0.05, 0.0], **partly),
        trace(2, answer=2, k=0),
    ]
    samples = samples_of(tmp_path, rows, store, training)
    batch = Feed(samples, store, training, filler=0).batch(0, 1)
    taught = {
        batch.targets[batch.rows == row][0].item(): batch.taught[batch.rows == row].tolist()
        for row in range(3)
    }
    assert taught == {
        rows[0]["response_ids"][0]: [True, True],
        rows[1]["response_ids"][0]: [True, False],
        rows[2]["response_ids"][0]: [False, False],
    }


def test_a_trace_with_fewer_distributions_than_tokens_is_named(tmp_path):
    store, training = shelf(), settings(batch_size=1)
    samples = samples_of(tmp_path, [trace(7, tail_mass=[0.1])], store, training)
    with pytest.raises(UserError, match="trace t7"):
        Feed(samples, store, training, filler=0).batch(0, 1)


def kinds(tmp_path, count=120, **changes):
    """Samples of two kinds, each with a gold file of its own."""
    snapshots = {(1, "tree1"): {f"f{n}.py": f"doc{n}" for n in range(count)}}
    rows = [
        trace(n, gold=(f"f{n}.py",), kind="state" if n % 2 else "instruction") for n in range(count)
    ]
    training = settings(**changes)
    return samples_of(tmp_path, rows, Shelf(snapshots), training), Shelf(snapshots), training


def test_a_stage_sees_its_kind_alone_and_held_out_samples_are_asked_for(tmp_path):
    samples, store, training = kinds(tmp_path, held_out=0.1)
    assert samples.kinds == ("instruction", "state")
    feed = Feed(samples, store, training, filler=0)
    seen = {
        (kind, held_out): {
            one
            for step in range(feed._steps((kind, held_out)))
            for one in feed._chosen(step, kind, held_out)
        }
        for kind in ("", "state")
        for held_out in (False, True)
    }
    assert {name: len(found) for name, found in seen.items()} == {
        ("", False): 108,
        ("", True): 12,
        ("state", False): 52,
        ("state", True): 4,
    }
    assert not seen["", False] & seen["", True]
    for name, found in seen.items():
        assert {samples.usable[one].held_out for one in found} == {name[1]}
        assert name[0] != "state" or {samples.usable[one].kind for one in found} == {"state"}


def test_versions_of_a_gold_file_are_held_out_together(tmp_path):
    files = {(1, f"tree{n}"): {f"f{n // 2}.py": f"doc{n}"} for n in range(80)}
    rows = [trace(n, gold=(f"f{n // 2}.py",), parent_sha=f"tree{n}") for n in range(80)]
    samples = samples_of(tmp_path, rows, Shelf(files), settings(held_out=0.25))
    held_out = [one.row for one in samples.usable if one.held_out]
    assert len(held_out) == 20
    assert {row // 2 for row in held_out} == {row // 2 for row in held_out if row % 2}
    few = samples_of(tmp_path, rows[:10], Shelf(files), settings(held_out=0.1))
    assert not any(one.held_out for one in few.usable)


def test_slots_are_pooled_by_a_number_drawn_for_the_step(samples):
    training = settings(pooling=(1, 2, 4))
    feed = Feed(samples, shelf(), training, filler=0)
    drawn = [pooling(step, training) for step in range(60)]
    assert set(drawn) == {1, 2, 4}
    for p in (1, 2, 4):
        step = drawn.index(p)
        plain = Feed(samples, shelf(), settings(), filler=0).batch(step, 2)
        found = feed.batch(step, 2)
        for row in range(4):
            first = plain.memory.keys[row][plain.memory.document[row] == 0]
            slots = found.memory.keys[row][found.memory.document[row] == 0]
            assert len(slots) == -(-len(first) // p)
            torch.testing.assert_close(slots[-1], first[p * (len(slots) - 1) :].mean(0))


def test_a_row_loses_its_last_documents_before_it_sees_too_many_slots(samples):
    most = 9
    feed = Feed(samples, shelf(), settings(most_slots=most), filler=0)
    whole = Feed(samples, shelf(), settings(), filler=0).batch(1, 4).memory
    found = feed.batch(1, 4)
    lost = 0
    for row in range(4):
        ours, all_of_them = found.memory.document[row], whole.document[row]
        slots, kept = int(found.memory.mask[row].sum()), int(ours.max()) + 1
        assert slots <= most or kept <= int(found.gold[row].sum())
        for one in range(kept):
            keys = whole.keys[row, all_of_them == one]
            assert torch.equal(found.memory.keys[row, ours == one], keys)
        dropped = int((all_of_them == kept).sum())
        assert not dropped or slots + dropped > most
        lost += int(all_of_them.max()) + 1 - kept
    assert lost > 0
    blind = Feed(samples, shelf(), settings(most_slots=1), filler=0)
    assert blind.batch(1, 4).gold.any(1).all()
    assert blind.batch(1, 4, gold_absent=1.0).memory.mask.any(1).all()


def test_a_step_that_may_hide_gold_says_so_whatever_its_rows(samples):
    feed = Feed(samples, shelf(), settings(), filler=0)
    assert not feed.batch(0, 2).may_lack_gold
    assert feed.batch(0, 2, gold_absent=1e-9).may_lack_gold
    assert feed.batch(0, 2, gold_absent=1e-9).gold.any(1).all()
