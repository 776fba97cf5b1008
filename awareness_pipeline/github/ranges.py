"""Splitting a search range that holds more than the 1,000 results a query gives. Pure arithmetic.

A range is a box: one language × stars × creation dates, both ends inclusive, the top of the stars
and both ends of the dates open at first. `split` cuts the box in two: a part at the top, sized to
hold just under 1,000 results, and the rest. The part is asked; the rest's count follows by
subtraction and needs no question of its own. The two are disjoint and together are the parent.

Where to cut: stars follow N(≥ s) ∝ 1/s closely enough, so equal steps of 1/s hold equal numbers of
repositories (a geometric cut whose ratio follows from the count); within one star value, equal
spans of creation time do. A wrong guess costs a call, never a repository. Measured against a
simulated Pareto(1) universe: 0.0109 calls per repository, where 100 results a page make 0.0100 the
floor (`tests/pipeline/github/test_search.py`).
"""

import math
from dataclasses import replace

from awareness_pipeline.catalog import SearchRange
from awareness_pipeline.clock import iso, parsed, utc

RESULT_CAP = 1_000
"""Results GitHub lets a query page through (docs.github.com/rest/search)."""

PART_SIZE = 930
"""Results a part is sized for: 2.3 standard deviations of a count below the cap."""

LEAST_SHARE = 1 / 128
"""No part is sized smaller than this share, so that a range that defies the model still ends after
a few thousand cuts at the worst."""

MOST_STARS = 1_000_000_000
"""An open top from here on counts as one value."""

EPOCH, DAWN, FAR = "1970-01-01T00:00:00Z", "2007-10-01T00:00:00Z", "2100-01-01T00:00:00Z"
"""Guides for cutting dates with an open end. Dates before DAWN (GitHub's first repositories) or
after the crawl time stay inside the open ends; beyond EPOCH and FAR those are not cut further."""

OPEN = -1


def root(
    tier: str, language: str, min_stars: int, stars_max: int = OPEN, *, pushed_min: str = ""
) -> SearchRange:
    """Return the range that holds a whole language from `min_stars` up."""
    return SearchRange(tier, language, min_stars, stars_max, pushed_min=pushed_min)


def splittable(one: SearchRange) -> bool:
    """Whether the range can be cut: more than one star value, or more than one second."""
    return _many_stars(one) or (one.created_min or EPOCH) < (one.created_max or FAR)


def split(one: SearchRange, count: int, now: str) -> tuple[SearchRange, SearchRange]:
    """Cut a range that holds `count` results into (part, rest), both open and uncounted.

    Args:
        one: a splittable range.
        count: how many results it holds, or is thought to hold.
        now: the crawl time; dates of creation are expected before it.

    Raises:
        ValueError: the range is one star value in one second.
    """
    if not splittable(one):
        raise ValueError(f"cannot be split: {one.key}")
    share = max(1 / max(math.ceil(count / PART_SIZE), 2), LEAST_SHARE)
    return _split_stars(one, share) if _many_stars(one) else _split_created(one, share, now)


def _many_stars(one: SearchRange) -> bool:
    return one.stars_min < (MOST_STARS if one.stars_max == OPEN else one.stars_max)


def _split_stars(one: SearchRange, share: float) -> tuple[SearchRange, SearchRange]:
    low, high = one.stars_min, MOST_STARS if one.stars_max == OPEN else one.stars_max
    beyond = 0.0 if one.stars_max == OPEN else 1 / (high + 1)
    # A range from 0 stars is cut as if from 1: 1/s has no value at 0.
    guess = math.ceil(1 / (beyond + share * (1 / max(low, 1) - beyond)))
    cut = min(max(guess, low + 1), high)
    return _uncounted(replace(one, stars_min=cut)), _uncounted(replace(one, stars_max=cut - 1))


def _split_created(one: SearchRange, share: float, now: str) -> tuple[SearchRange, SearchRange]:
    # ISO 8601 in UTC: text order is time order.
    low = one.created_min or (DAWN if (one.created_max or now) > DAWN else EPOCH)
    high = one.created_max or (now if now > low else FAR)
    first, last = _seconds(low), _seconds(high)
    cut = min(max(last - int(share * (last - first)), first + 1), last)
    return (
        _uncounted(replace(one, created_min=_text(cut))),
        _uncounted(replace(one, created_max=_text(cut - 1))),
    )


def _uncounted(one: SearchRange) -> SearchRange:
    return replace(one, expected=None, got=0, state="open")


def _seconds(time: str) -> int:
    return int(parsed(time).timestamp())


def _text(seconds: int) -> str:
    return iso(utc(seconds))
