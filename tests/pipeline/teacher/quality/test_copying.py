"""The longest shared run of words is that of neighbours, found in bounded time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_pipeline.teacher.quality.copying import copy_overlap, longest_shared_run

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=12)


def test_the_longest_shared_run_is_of_neighbours() -> None:
    assert longest_shared_run(list("abcd"), list("xbcyabc")) == 3
    assert longest_shared_run([], ["a"]) == 0
    assert longest_shared_run(["a"], ["b"]) == 0
    assert longest_shared_run(["ab"], ["a", "b"]) == 0


@settings(deadline=None)
@given(WORDS, WORDS)
def test_it_is_the_longest_of_all_runs(left: list[str], right: list[str]) -> None:
    runs = [left[i:j] for i in range(len(left)) for j in range(i + 1, len(left) + 1)]
    there = [right[i:j] for i in range(len(right)) for j in range(i + 1, len(right) + 1)]
    assert longest_shared_run(left, right) == max((len(r) for r in runs if r in there), default=0)


def test_overlap_is_a_share_of_the_words() -> None:
    assert copy_overlap(list("abcd"), list("xbc")) == 0.5
    assert copy_overlap([], ["a"]) == 0.0


def test_hostile_words_end() -> None:
    assert longest_shared_run(["a"] * 2_000, ["a"] * 20_000) == 2_000
    assert longest_shared_run(["a"] * 1_999 + ["b"], (["a"] * 1_998 + ["c"]) * 10) == 1_998
