"""Caps are dealt without knowing the other shards, and never exceeded."""

import pytest

from awareness_pipeline.teacher.budget import deal, shard_share


@pytest.mark.parametrize(("total", "shards"), [(24, 4), (16, 3), (2, 4), (0, 2)])
def test_shards_share_the_whole_cap(total: int, shards: int) -> None:
    shares = [shard_share(total, f"{number:03d}", shards) for number in range(shards)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_rounds_go_by_key_and_stop_at_what_there_is() -> None:
    assert deal(7, {"b": 9, "a": 1, "c": 9, "d": 0}) == {"a": 1, "b": 3, "c": 3, "d": 0}
    assert deal(2, {"b": 9, "a": 9, "c": 9}) == {"a": 1, "b": 1, "c": 0}
    assert deal(99, {"a": 2}) == {"a": 2}
    assert deal(5, {}) == {}


def test_several_at_a_time_go_to_fewer() -> None:
    assert deal(5, {"b": 9, "a": 1, "c": 9}, 2) == {"a": 1, "b": 2, "c": 2}
    assert deal(4, {"a": 9, "b": 9, "c": 9}, 2) == {"a": 2, "b": 2, "c": 0}
    assert deal(3, {"a": 9, "b": 9}, 2) == {"a": 2, "b": 1}
    assert deal(99, {"a": 3, "b": 1}, 2) == {"a": 3, "b": 1}
