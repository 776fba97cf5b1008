"""Which documents a row of training sees: gold ones first, then negatives.

Negatives come by turns from other repositories and from the same tree; from two visible documents
on there is always one from another repository (FoT, CAS: naive mixing without negatives ends at
chance). Other repositories are those of the same language and nearest in size, then those of other
languages; one of them shows one of its trees. Another version of a gold document is never visible.
Limits: a document of a fork that holds a third version of a gold file is not known as such.
"""

import random
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from awareness_model.data import Sample, Samples, Tree

POOL: Final = 16
"""Repositories that foreign documents are drawn from at a time: the nearest ones."""

POOLS: Final = 4
"""Pools tried of the same language, and then of others."""

TRIES: Final = 16
"""Draws per foreign document before the next pool: like repositories may hold the same ones."""


@dataclass(frozen=True, slots=True)
class View:
    """The documents that one row sees."""

    gold: tuple[str, ...]
    others: tuple[str, ...]


def view(
    sample: Sample, samples: Samples, visible: int, draw: random.Random, absent: bool = False
) -> View:
    """Return what a row sees: gold documents (unless `absent`), then negatives up to `visible`.

    Negatives alternate, another repository first; where one kind runs out the other fills up, and a
    small memory shows fewer documents than asked for.
    """
    gold = () if absent else tuple(draw.sample(sample.gold, min(visible, len(sample.gold))))
    count = visible - len(gold)
    near = _near(sample, samples, count, draw)
    far = foreign(sample, samples, count, draw)
    mixed = [one for pair in zip_longest(far, near) for one in pair if one is not None]
    return View(gold, tuple(mixed[:count]))


def _near(sample: Sample, samples: Samples, count: int, draw: random.Random) -> list[str]:
    """Draw up to `count` other documents of the sample's own tree."""
    own = samples.documents[sample.snapshot]
    never = {*sample.gold, *sample.stale}
    drawn = draw.sample(own, min(len(own), count + len(never)))
    return [one for one in drawn if one not in never][:count]


def foreign(sample: Sample, samples: Samples, count: int, draw: random.Random) -> list[str]:
    """Draw up to `count` documents of other repositories that the own tree does not hold: from the
    pool of like repositories nearest in size, and from the next one where that gives too few.

    The work does not depend on how many repositories or documents there are.
    """
    found: dict[str, None] = {}
    shown: dict[int, Tree] = {}
    for pool in samples.neighbours.pools(sample.snapshot[0], POOL, POOLS):
        for _ in range(TRIES * count):
            if len(found) == count:
                return list(found)
            other = draw.choice(pool)
            tree = shown.setdefault(other, draw.choice(samples.trees[other]))
            one = draw.choice(samples.documents[tree])
            if one not in sample.stale and not samples.holds(sample.snapshot, one):
                found[one] = None
    return list(found)
