"""Four workers, each with a root of its own that is empty, one bucket and one PostgreSQL: they
leave what one process on a folder leaves. One is killed, and another takes its partition."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_pipeline import config, flow, store
from awareness_pipeline.artifacts import place
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import PROJECT, Settings
from awareness_pipeline.digest import digests
from awareness_pipeline.records import shard_of
from tests import objects
from tests import postgres as pg
from tests.pipeline.gitrepo import Snap, make_repo

SHARDS = ("000", "001", "002", "003")
STAGES = ("clone", "extract", "curate")


def repositories(folder: Path) -> None:
    """Make nine small repositories; the last is a copy of the first with a commit more."""
    for number in range(9):
        body = b"".join(b"def f%d_%d(x):\n    return x + %d\n\n" % (number, n, n) for n in range(9))
        snaps = [Snap(b"Add module %d" % number, {b"a.py": body, b"LICENSE": b"MIT License\n"})]
        snaps += [Snap(b"Grow %d %d" % (number, n), {b"b.py": body * n}) for n in (1, 2)]
        if number == 8:
            snaps = [
                Snap(b"Add module 0", {b"a.py": body.replace(b"f8_", b"f0_")}),
                *snaps[1:],
            ]
        make_repo(folder / f"r{number}.git", snaps)


@contextmanager
def worker(env: dict[str, str], root: Path, partition: str, *stages: str) -> Iterator[Any]:
    """Run a worker until the block ends."""
    command = [sys.executable, "-m", "tests.pipeline.cluster.worker", partition, *stages]
    with subprocess.Popen(
        command,
        env={**env, "AWARENESS_ROOT": str(root)},
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def ready(child: Any, stage: str) -> None:
    said = child.stdout.readline()
    assert said == f"ready {stage}\n", said + child.stderr.read()


def go(child: Any) -> None:
    child.stdin.write("\n")
    child.stdin.flush()


def ended(child: Any) -> None:
    told = child.communicate()
    assert child.returncode == 0, told


def settings_of(root: Path, made: Path, database: str = "", url: str = "") -> Settings:
    found = config.load("demo", env={"AWARENESS_LOCAL": str(made), "AWARENESS_SHARDS": "4"})
    return replace(found, paths=config.Paths(root=root, database=database, store=url))


def in_bucket(bucket: objects.Bucket, settings: Settings, root: Path) -> dict[str, Any]:
    """Return the digests of what the bucket holds."""
    paths = replace(settings.paths, root=root)
    for step in flow.FLOW[:4]:
        for key in step.partitions(settings):
            store.bring(place(replace(settings, paths=paths), step.artifact, key, {}))
    return digests(paths, settings.version)


def test_workers_on_a_bucket_leave_what_one_process_leaves_in_a_folder(
    tmp_path: Path, postgres: pg.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    repositories(made := tmp_path / "made")
    alone = settings_of(tmp_path / "alone", made)
    flow.run_flow(alone, until="curate")
    with ExitStack() as during:
        bucket = during.enter_context(objects.bucket())
        database = during.enter_context(postgres.database(pg_template()))
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        settings = settings_of(tmp_path / "first", made, database, bucket.url("runs"))
        flow.run_step(settings, "discover")
        env = {**os.environ, **environment(settings, made)}
        killed_while_cloning(env, bucket, tmp_path / "killed", settings)
        four(env, tmp_path)
        shared = in_bucket(bucket, settings, tmp_path / "all")
        assert shared == digests(alone.paths, alone.version)
        assert shared["artifacts"]["curated_commits"]["records"] > len(SHARDS)
        nothing_is_done_again(bucket, settings, tmp_path / "again")
        who_left_is_gone(env, bucket, settings, tmp_path / "late")


def pg_template() -> str:
    from tests.pipeline.conftest import MIGRATED

    return MIGRATED


def environment(settings: Settings, made: Path) -> dict[str, str]:
    return {
        "AWARENESS_STORE": settings.paths.store,
        "AWARENESS_DB_PATH": settings.paths.database,
        "AWARENESS_LOCAL": str(made),
        "AWARENESS_SHARDS": "4",
        "OMP_NUM_THREADS": "1",
    }


def four(env: dict[str, str], folder: Path) -> None:
    """Run the stages by four workers, none of which begins a stage before all are ready for it."""
    with ExitStack() as running:
        workers = [
            running.enter_context(worker(env, folder / f"worker{key}", key, *STAGES))
            for key in SHARDS
        ]
        for stage in STAGES:
            for child in workers:
                ready(child, stage)
            for child in workers:
                go(child)
        for child in workers:
            ended(child)


def killed_while_cloning(
    env: dict[str, str], bucket: objects.Bucket, root: Path, settings: Settings
) -> None:
    """Kill a worker as soon as its first file is in the bucket."""
    before = len(bucket.objects())
    with Catalog(settings.paths.database_url) as catalog:
        rows = catalog.repositories("local")
    (key, *_) = sorted({shard_of(row.repo_id, settings.shards) for row in rows})
    with worker(env, root, key, "clone") as child:
        ready(child, "clone")
        go(child)
        while len(bucket.objects()) == before and child.poll() is None:
            time.sleep(0.002)
        child.kill()


def nothing_is_done_again(bucket: objects.Bucket, settings: Settings, root: Path) -> None:
    before = bucket.objects()
    there = replace(settings, paths=replace(settings.paths, root=root))
    for stage in STAGES:
        assert [record.fresh for record in flow.run_step(there, stage, SHARDS[:1])] == [0]
    assert bucket.objects() == before


def who_left_is_gone(
    env: dict[str, str], bucket: objects.Bucket, settings: Settings, root: Path
) -> None:
    """Leave one repository out: a worker with an empty root removes what is held of it."""
    with Catalog(settings.paths.database_url) as catalog:
        catalog.opt_out("local", "local/r5")
        (row,) = (one for one in catalog.rows() if one["full_name"] == "local/r5")
    mark = f"/{row['repo_id']}."
    held = {name.split("/")[1] for name in bucket.objects() if mark in name}
    assert held == {"clones", "commits", "commit_facts", "curated_commits"}
    with worker(env, root, shard_of(int(row["repo_id"]), settings.shards), *STAGES) as child:
        for stage in STAGES:
            ready(child, stage)
            go(child)
        ended(child)
    assert not [name for name in bucket.objects() if mark in name]
    assert not list(root.rglob(f"{row['repo_id']}.*"))
