"""Where to cut a document of ranked lines: siblings are packed together up to a limit.

A range of lines that is too long is cut at its best rank; the pieces are packed in order, and one
that is too long itself starts a chunk of its own and is cut at its own best rank. A header (a
signature, a heading: its line ranks better than the cuts after it) stays with what follows. Work is
O(lines x ranks): a piece holds only worse ranks than the range it was cut from.
"""

from collections.abc import Sequence
from itertools import pairwise


def cuts(ranks: Sequence[int], before: Sequence[int], limit: int) -> list[int]:
    """Return the first lines of the chunks, ascending, 0 first.

    Args:
        ranks: of each of n lines.
        before: tokens before each line, and in all: n + 1 numbers. A line alone may exceed `limit`.
    """
    chosen = [0]
    _pack(0, len(ranks), ranks, before, limit, chosen)
    return chosen


def _pack(
    first: int,
    last: int,
    ranks: Sequence[int],
    before: Sequence[int],
    limit: int,
    chosen: list[int],
) -> None:
    """Cut `[first, last)`, whose first line continues the chunk that began at `chosen[-1]`."""
    if before[last] - before[chosen[-1]] <= limit or last - first < 2:
        return
    best = min(ranks[first + 1 : last])
    edges = [first, *(n for n in range(first + 1, last) if ranks[n] == best), last]
    closed, held = False, len(chosen)
    for place, (start, end) in enumerate(pairwise(edges)):
        fits = before[end] - before[chosen[-1]] <= limit
        if fits and not closed:
            continue
        long = before[end] - before[start] > limit
        after_header = place == 1 and len(chosen) == held and ranks[first] < best
        if start > first and not (after_header and long and end - start > 1):
            chosen.append(start)
        closed = long
        if long:
            _pack(start, end, ranks, before, limit, chosen)
