"""What happens to repositories while someone pages through a search: seeded, on rows of a universe.

Stars are gained and lost, a few or many; repositories are renamed and transferred, also onto a name
that another one gave up, archived, and pushed to. None appears and none is deleted: `Live.change`
does that.
"""

from dataclasses import replace
from random import Random

from awareness_pipeline.clock import iso, utc
from awareness_pipeline.sandbox.universe import SandboxRepo, Universe

_KINDS = {"stars": 6, "rename": 2, "transfer": 1, "archive": 1, "push": 2}
"""What happens, and how often beside the others."""


def move(universe: Universe, seed: int, number: int, now: int) -> list[SandboxRepo]:
    """Return up to `number` rows as they are after something happened to each.

    Args:
        now: seconds since 1970, the time of a push.
    """
    random = Random(seed)
    rows = universe.repos
    taken = {row.full_name.lower() for row in rows}
    free = [name for row in rows for name in row.former_names if name.lower() not in taken]
    moved = []
    for row in random.sample(rows, min(number, len(rows))):
        (kind,) = random.choices(list(_KINDS), list(_KINDS.values()))
        if kind in ("rename", "transfer"):
            name = _name(row, kind, random, free)
            if name.lower() not in taken:
                taken.add(name.lower())
                moved.append(_named(row, name))
        elif kind == "stars":
            moved.append(replace(row, stars=_stars(row.stars, random)))
        else:
            change = {"archived": True} if kind == "archive" else {"pushed_at": iso(utc(now))}
            moved.append(replace(row, **change))
    return moved


def _stars(stars: int, random: Random) -> int:
    """A few more or less, or a day on the front page, or a purge of bots."""
    few = stars + random.choice((-3, -2, -1, 1, 2, 3))
    return max(0, random.choice((few, few, few, stars * 2, stars // 2)))


def _name(row: SandboxRepo, kind: str, random: Random, free: list[str]) -> str:
    if free and random.random() < 0.3:
        return random.choice(free)
    owner, name = row.full_name.split("/")
    mark = random.randrange(10**6)
    return f"{owner}/{name[:80]}-{mark}" if kind == "rename" else f"owner-{mark}/{name}"


def _named(row: SandboxRepo, name: str) -> SandboxRepo:
    former = [old for old in (*row.former_names, row.full_name) if old.lower() != name.lower()]
    return replace(row, full_name=name, former_names=tuple(former))
