"""What partitions cost, and a rerun that finds everything done: discovery to curation.

    python -m tests.bench.partitions [--repositories N] [--shards N] [--commits N] [--folder DIR]
                                     [--out FILE]

N repositories of a few small commits, found and cloned over HTTP from the sandbox, which runs in a
process of its own that is not counted. Each is run three times on the same files: through Dagster
(every language, then three assets over all shards in one run, SQLite, with every asset check),
again through Dagster, and again without it. Goal: the rerun costs at most 2 % of the first run.

Seconds of the processor, of this process and its children, decide; the wall's stand beside them.
Repositories are as small as they can be, so the first run is cheap and the share of the rerun as
large as it gets. A folder that is named is kept, and gone on with: the first run is not run again.

Limits: one process, local disk, warm page cache; stages after curation need a model and are not
part of it.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import dagster as dg
import pygit2

from awareness_model.schema import write_atomic
from awareness_pipeline import config, flow
from awareness_pipeline.config import Settings
from awareness_pipeline.defs import demo
from awareness_pipeline.sandbox.server import serve
from awareness_pipeline.sandbox.universe import SandboxRepo, Universe
from tests.pipeline.defs.conftest import new_home

UNTIL = "curate"
ASSETS = 3
"""Sharded ones among the stages that are run."""
LANGUAGES = ("Python", "JavaScript", "TypeScript", "Go", "Rust", "Java", "C", "C++", "Ruby", "PHP")
FIRST_STARS = 10
LINES = 20


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=5_000)
    parser.add_argument("--shards", type=int, default=256)
    parser.add_argument("--commits", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        with sandbox(folder / "sandbox", args.repositories, args.commits) as url:
            found = measured(folder, settings_of(folder, url, args.shards))
    found = {
        "command": "python -m tests.bench.partitions "
        f"--repositories {args.repositories} --shards {args.shards} --commits {args.commits}",
        "machine": "two shared CPU cores, no GPU; other work beside it",
        "repositories": args.repositories,
        "shards": args.shards,
        "commits_each": args.commits,
        **found,
        **shares(found, args.repositories, args.shards),
    }
    text = json.dumps(found, indent=1) + "\n"
    print(text, end="")
    if args.out:
        write_atomic(args.out, text.encode())


def measured(folder: Path, settings: Settings) -> dict[str, Any]:
    """Run three times; a first run that was measured in this folder is not run again."""
    kept = folder / "first.json"
    with dg.DagsterInstance.from_config(str(_home(folder / "home"))) as instance:

        def through_dagster() -> int:
            fresh, failed = demo.materialize(settings, instance, UNTIL)
            assert not failed, failed
            return sum(fresh.values())

        if not kept.is_file():
            write_atomic(kept, json.dumps(timed(through_dagster)).encode())
        first = json.loads(kept.read_bytes())
        again = timed(through_dagster)
    plain = timed(lambda: sum(one.fresh for one in flow.run_flow(settings, until=UNTIL)))
    assert (again["units"], plain["units"]) == (0, 0)
    return {"first": first, "again": again, "again_without_dagster": plain}


def shares(found: dict[str, Any], repositories: int, shards: int) -> dict[str, float]:
    """Return what the reruns cost, as shares of the first run and by repository and partition."""
    first, again, plain = (
        found[name]["cpu_s"] for name in ("first", "again", "again_without_dagster")
    )
    ms = 1000 / (ASSETS * shards)
    return {
        "first_s_per_repository": round(first / repositories, 4),
        "again_share": round(again / first, 4),
        "again_without_dagster_share": round(plain / first, 4),
        "dagster_and_checks_ms_per_partition_and_asset": round(ms * (again - plain), 2),
        "plain_ms_per_partition_and_stage": round(ms * plain, 2),
        "plain_ms_per_repository_and_stage": round(1000 * plain / repositories / ASSETS, 3),
    }


def settings_of(folder: Path, url: str, shards: int) -> Settings:
    """Return settings for a sandbox."""
    chosen = replace(config.pilot(), version="bench", shards=shards)
    return replace(
        chosen,
        paths=config.Paths(root=folder / "data"),
        source=replace(chosen.source, url=url, search_interval_s=0.001),
        discover=replace(chosen.discover, languages=LANGUAGES, min_stars=FIRST_STARS),
    )


@contextmanager
def sandbox(folder: Path, repositories: int, commits: int) -> Iterator[str]:
    """Serve so many repositories in a process of its own; yield the address of its API."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(folder, repositories, commits, theirs))
    child.start()
    try:
        yield str(ours.recv())
    finally:
        ours.send("end")
        child.join()


def _serve(folder: Path, repositories: int, commits: int, told: Connection) -> None:
    rows = tuple(_listed(number) for number in range(1, repositories + 1))
    for row in rows:
        path = folder / f"{row.full_name}.git"
        if not (path / "refs" / "heads" / "main").exists():
            make_repository(path, row.id, commits)
    with serve(Universe(rows, git_root=folder)) as served:
        told.send(served.api_url)
        told.recv()


def _listed(number: int) -> SandboxRepo:
    day = f"20{10 + number % 14:02d}-{1 + number % 12:02d}-{1 + number % 28:02d}T00:00:00Z"
    language = LANGUAGES[number % len(LANGUAGES)]
    return SandboxRepo(number, f"owner/r{number}", language, FIRST_STARS + number, day, day)


def make_repository(path: Path, number: int, commits: int) -> None:
    """Make a bare repository of small commits, unlike any other."""
    repository = pygit2.init_repository(str(path), bare=True, initial_head="main")
    parents: list[pygit2.Oid] = []
    for step in range(commits):
        lines = "".join(
            f"value_{number}_{line} = {number * 31 + line * (step + 1)}\n" for line in range(LINES)
        )
        tree = repository.TreeBuilder()
        blob = repository.create_blob(lines.encode())
        tree.insert(f"module_{number}.py", blob, pygit2.GIT_FILEMODE_BLOB)
        time_s = 1_700_000_000 + number * 1_000 + step
        author = pygit2.Signature("A Person", "person@example.org", time_s, 0)
        message = f"Set the values of {number} to step {step}\n"
        parents = [
            repository.create_commit(
                "refs/heads/main", author, author, message, tree.write(), parents
            )
        ]


def _home(path: Path) -> Path:
    return path if path.is_dir() else new_home(path)


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
