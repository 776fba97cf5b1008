"""What partitions cost, and a rerun that finds everything done: discovery to curation.

    python -m tests.bench.partitions [--repositories N] [--shards N] [--out FILE]

N repositories of one commit and one file, as bare folders on this machine: what is measured is
bookkeeping, not git over a network, so the first run is as cheap as it can be and the share of the
rerun as large. Each is run three times on the same files: through Dagster (three assets over all
shards in one run, SQLite, with every asset check), again through Dagster, and again without it.
Goal: the rerun costs at most 2 % of the first run.

Seconds of the processor, of this process and its children, decide; the wall's stand beside them.
Limits: one process, local disk, warm page cache; stages after curation need a model and are not
part of it.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pygit2

from awareness_model.schema import write_atomic
from awareness_pipeline import config, flow
from awareness_pipeline.config import Settings
from awareness_pipeline.defs import demo
from tests.pipeline.defs.conftest import new_home

UNTIL = "curate"
ASSETS = 3
"""Sharded ones among the stages that are run."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=5_000)
    parser.add_argument("--shards", type=int, default=256)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), args.repositories, args.shards)
    text = json.dumps(found, indent=1) + "\n"
    print(text, end="")
    if args.out:
        write_atomic(args.out, text.encode())


def measured(folder: Path, repositories: int, shards: int) -> dict[str, Any]:
    """Make the repositories and run over them three times."""
    settings = settings_of(folder, shards)
    for number in range(repositories):
        make_repository(folder / "repositories" / f"{number:05d}.git", number)
    with dg.DagsterInstance.from_config(str(new_home(folder / "home"))) as instance:

        def through_dagster() -> int:
            fresh, failed = demo.materialize(settings, instance, UNTIL)
            assert not failed, failed
            return sum(fresh.values())

        first = timed(through_dagster)
        again = timed(through_dagster)
    plain = timed(lambda: sum(one.fresh for one in flow.run_flow(settings, until=UNTIL)))
    assert (again["units"], plain["units"]) == (0, 0)
    keys = ASSETS * shards
    return {
        "command": f"python -m tests.bench.partitions --repositories {repositories} "
        f"--shards {shards}",
        "machine": "two shared CPU cores, no GPU; other work beside it",
        "repositories": repositories,
        "shards": shards,
        "first": first,
        "again": again,
        "again_without_dagster": plain,
        "again_share": round(again["cpu_s"] / first["cpu_s"], 4),
        "again_without_dagster_share": round(plain["cpu_s"] / first["cpu_s"], 4),
        "dagster_and_checks_ms_per_partition_and_asset": round(
            1000 * (again["cpu_s"] - plain["cpu_s"]) / keys, 2
        ),
        "plain_ms_per_repository_and_stage": round(
            1000 * plain["cpu_s"] / repositories / ASSETS, 3
        ),
    }


def settings_of(folder: Path, shards: int) -> Settings:
    """Return settings for a folder of repositories."""
    chosen = replace(config.pilot(), version="bench", shards=shards)
    return replace(
        chosen,
        paths=config.Paths(root=folder / "data"),
        source=replace(chosen.source, local=folder / "repositories"),
    )


def make_repository(path: Path, number: int) -> None:
    """Make a bare repository of one commit, unlike any other."""
    repository = pygit2.init_repository(str(path), bare=True, initial_head="main")
    lines = "".join(f"value_{number}_{line} = {number * 31 + line}\n" for line in range(20))
    tree = repository.TreeBuilder()
    tree.insert(
        f"module_{number}.py", repository.create_blob(lines.encode()), pygit2.GIT_FILEMODE_BLOB
    )
    author = pygit2.Signature("A Person", "person@example.org", 1_700_000_000 + number, 0)
    message = f"Add the values of {number}\n"
    repository.create_commit("refs/heads/main", author, author, message, tree.write(), [])


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Return the seconds that some work took, and the units it did."""
    wall, cpu = time.monotonic(), sum(os.times()[:4])
    units = work()
    return {
        "wall_s": round(time.monotonic() - wall, 2),
        "cpu_s": round(sum(os.times()[:4]) - cpu, 2),
        "units": units,
    }


if __name__ == "__main__":
    main()
