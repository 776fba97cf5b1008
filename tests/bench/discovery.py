"""What discovery costs: search calls per unique repository, and repositories lost.

Ours is the real code path: ranges, splitting and a catalog on SQLite, against the sandbox's search
in this process. Beside it, on the same universes: how other crawlers cut (`crawlers.py`), and the
floor that 100 results a page make. Run by `make bench`; ends with 1 where a target is missed.

Limits: universes are made up: Pareto(1) stars, and, but for one, dates spread evenly from 2008 to
2025 with `pushed` equal to `created`: the best case for those who halve dates. Nothing moves while
it is asked.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from awareness_model.schema import write_atomic
from awareness_pipeline.catalog import Catalog, SearchRange
from awareness_pipeline.clock import iso, utc
from awareness_pipeline.github.ranges import root
from awareness_pipeline.github.search import Page, Store, next_range, query_of, read_page, settle
from awareness_pipeline.sandbox.universe import SandboxRepo
from tests.bench.crawlers import CRAWLERS, PAGE, Host
from tests.pipeline import universes

FLOOR = 1 / PAGE
HOST, NOW = "sandbox", "2026-01-01T00:00:00Z"
OURS = "ours"


@dataclass(frozen=True, slots=True)
class World:
    """A universe to be asked for."""

    name: str
    least: int
    """Stars asked for, at least."""
    repos: tuple[SandboxRepo, ...]
    limit: float | None = None
    """Most calls per repository that ours may cost; None: no target is set."""

    @property
    def languages(self) -> list[str]:
        """Return its languages."""
        return sorted({str(repo.language) for repo in self.repos})


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of asking cost in one world."""

    method: str
    calls: int
    per_repository: float
    """Calls per unique repository found."""
    lost: int


def even(number: int, least: int, limit: float | None = None) -> World:
    """One language, Pareto(1) stars, seed 0."""
    return World(f"Pareto, seed 0, >= {least} stars", least, universes.pareto(number, least), limit)


def several() -> World:
    """Five languages of unlike size, two of them on one query; seeds 0 to 4."""
    sizes = {"Python": 6_000, "Go": 2_500, "Rust": 1_050, "Scala": 400, "Ruby": 90}
    repos: list[SandboxRepo] = []
    for seed, (language, number) in enumerate(sizes.items()):
        first = len(repos) + 1
        repos += universes.pareto(number, 50, language=language, seed=seed, first_id=first)
    return World("five languages, >= 50 stars", 50, tuple(repos))


def grown() -> World:
    """More are made every year, and most were pushed to of late; seeds 3 and 0."""
    rng = random.Random(0)
    span = universes.LAST - universes.FIRST
    repos = []
    for one in universes.pareto(20_000, 10, seed=3):
        age = span * rng.betavariate(2, 3)
        idle = age * rng.random() ** 3
        made, pushed = (iso(utc(universes.LAST - int(ago))) for ago in (age, idle))
        repos.append(replace(one, created_at=made, pushed_at=pushed))
    return World("growing, most pushed of late, >= 10 stars", 10, tuple(repos))


def ties() -> World:
    """Half of all at the lowest number of stars; seed 1."""
    repos = universes.pareto(8_000, 50, seed=1)
    return World(
        "half of all at 50 stars",
        50,
        tuple(replace(one, stars=50) if one.id % 2 else one for one in repos),
    )


def bursts() -> World:
    """Nearly half of all made within three seconds, 1,500 in each; seed 2."""
    repos = universes.pareto(10_000, 50, seed=2)
    seconds = [repos[number].created_at for number in range(3)]
    rush = ((one, seconds[one.id % 3]) for one in repos[:4_500])
    made = tuple(replace(one, created_at=time, pushed_at=time) for one, time in rush)
    return World("3 seconds with 1,500 each", 50, made + repos[4_500:])


def worlds() -> Iterable[World]:
    """Yield every universe of the bench, one at a time: they are large."""
    yield even(3_000, 10, 0.0125)
    yield even(20_000, 10)
    yield even(95_000, 50, 0.0118)
    yield grown()
    yield several()
    yield ties()
    yield bursts()


def crawl(host: Host, catalog: Catalog, store: Store, world: World) -> None:
    """Ask for a world as the pipeline does, rows into `store`, progress into `catalog`."""
    searches = catalog.searches(HOST)
    ask = partial(_page, host)
    for language in world.languages:
        searches.add([root("mainstream", language, world.least)])
        while one := next_range(searches.ranges(language)):
            settle(ask, searches, store, one, NOW)


def _page(host: Host, one: SearchRange, number: int) -> Page:
    return read_page(host.search(query_of(one), number), HOST, one.language)


def ours(world: World) -> Cost:
    """Ask for a world with the pipeline's own code, all rows in a new catalog."""
    host = Host(world.repos)
    with (
        tempfile.TemporaryDirectory() as folder,
        Catalog(f"sqlite:///{folder}/catalog.db") as catalog,
    ):
        crawl(host, catalog, catalog.upsert, world)
        return cost(OURS, host, world, catalog.count(HOST))


def peers(world: World) -> list[Cost]:
    """Ask for a world in every other way."""
    found = []
    for name, crawler in CRAWLERS.items():
        host = Host(world.repos)
        ids: set[int] = set()
        for language in world.languages:
            ids |= crawler(host, language, world.least)
        found.append(cost(name, host, world, len(ids)))
    return found


def cost(method: str, host: Host, world: World, found: int) -> Cost:
    """Sum up: what was asked of `host`, against what was found of a world."""
    return Cost(method, host.calls, round(host.calls / found, 5), len(world.repos) - found)


def missed(world: World, found: Cost) -> list[str]:
    """Return what ours should have done better in a world."""
    trouble = [f"{world.name}: {found.lost} repositories lost"] if found.lost else []
    if world.limit is not None and found.per_repository > world.limit:
        trouble.append(f"{world.name}: {found.per_repository} calls each, above {world.limit}")
    return trouble


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/discovery_cost.json"))
    args = parser.parse_args(argv)
    results, trouble = [], []
    for world in worlds():
        mine = ours(world)
        rows = [mine, *peers(world)]
        trouble += missed(world, mine)
        results.append(
            {"world": world.name, "repositories": len(world.repos), "rows": [*map(asdict, rows)]}
        )
        _show(world, rows)
    found = {"floor": FLOOR, "worlds": results}
    write_atomic(args.results, (json.dumps(found, indent=1) + "\n").encode())
    for line in trouble:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if trouble else 0


def _show(world: World, rows: Iterable[Cost]) -> None:
    title = f"{len(world.repos):,} repositories: {world.name}"
    print(f"\n{title:<66}{'calls':>7}{'per repository':>16}{'lost':>8}")
    for one in rows:
        print(f"  {one.method:<64}{one.calls:>7,}{one.per_repository:>16.4f}{one.lost:>8,}")
    print(f"  {'floor':<64}{'':>7}{FLOOR:>16.4f}{0:>8}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
