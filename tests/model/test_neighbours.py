"""Which repositories count as alike."""

import random
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from awareness_model.neighbours import Neighbours, Repository


def world(*known):
    return Neighbours.of(Repository(*one) for one in known)


def test_the_nearest_size_of_the_same_language_comes_first():
    found = world(
        (1, "Go", 1_000),
        (2, "Go", 9_000),
        (3, "Go", 1_900),
        (4, "Go", 600),
        (5, "Python", 1_000),
        (6, "C", 990),
        (7, "C", 4_000),
    )
    assert list(found.alike(1)) == [4, 3, 2]
    assert list(found.unlike(1)) == [5, 6, 7]
    assert list(found.alike(5)) == []


def test_sizes_are_as_far_apart_as_their_ratio():
    found = world((1, "Go", 10_000), (2, "Go", 4_000), (3, "Go", 20_000))
    assert list(found.alike(1)) == [3, 2]


def test_pools_keep_to_the_language_until_it_runs_out():
    found = world(*((n, "Go", n) for n in range(1, 6)), *((n, "C", n) for n in range(6, 9)))
    assert list(found.pools(3, 3, 2)) == [[4, 2, 5], [1], [6, 7, 8]]
    assert list(found.pools(3, 2, 1)) == [[4, 2], [6, 7]]


def test_a_repository_alone_has_no_neighbours():
    assert list(world((1, "Go", 0)).pools(1, 4, 4)) == []


repositories = st.dictionaries(
    st.integers(0, 50), st.tuples(st.sampled_from(["Go", "C", ""]), st.integers(0, 9)), min_size=1
)


@given(repositories)
def test_every_other_repository_comes_once_in_rising_distance(held):
    rows = [(number, *about) for number, about in held.items()]
    found = world(*rows)
    random.Random(0).shuffle(rows)
    assert found == world(*rows)
    for one in held:
        alike, unlike = list(found.alike(one)), list(found.unlike(one))
        assert sorted([one, *alike, *unlike]) == sorted(held)
        assert {held[other][0] for other in alike} <= {held[one][0]}
        for tier in (alike, unlike):
            far = [sorted((held[other][1] + 1, held[one][1] + 1)) for other in tier]
            assert [high / low for low, high in far] == sorted(high / low for low, high in far)


def test_the_first_neighbours_of_a_huge_world_are_found_without_walking_it():
    """A list that counts how often it is looked at."""
    looks = 0

    class Counting(list):
        def __getitem__(self, place):
            nonlocal looks
            looks += 1
            return super().__getitem__(place)

    known = {n: Repository(n, "Go", n) for n in range(100_000)}
    found = Neighbours(known, {"Go": Counting((n, n) for n in range(100_000))})
    assert list(islice(found.alike(50_000), 4)) == [50_001, 49_999, 50_002, 49_998]
    assert looks < 60
