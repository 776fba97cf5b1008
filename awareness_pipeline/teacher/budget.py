"""Who gets how much of a cap: the same answer whatever is done already, and shard by shard.

A cap over the whole version is dealt to the shards by number alone, because a shard is worked on
before the others are known; inside a shard it is dealt round by round to those who still have
something. Limits: what a shard or its repositories cannot use is not given to others.
"""

from collections.abc import Mapping

__all__ = ["deal", "shard_share"]


def shard_share(total: int, partition: str, shards: int) -> int:
    """Return a shard's part of a cap; the first shards get what does not divide."""
    number = int(partition)
    return total // shards + (1 if number < total % shards else 0)


def deal(total: int, sizes: Mapping[str, int], at_a_time: int = 1) -> dict[str, int]:
    """Return how many each key gets: `at_a_time` a round in the order of keys, at most its size."""
    dealt = dict.fromkeys(sorted(sizes), 0)
    while total > 0 and (open_keys := [key for key in dealt if dealt[key] < sizes[key]]):
        for key in open_keys:
            given = min(at_a_time, sizes[key] - dealt[key], total)
            dealt[key] += given
            total -= given
    return dealt
