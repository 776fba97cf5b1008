"""kill -9 of Dagster's daemon, again and again, and of runs, while it works on a backfill of four
runs on PostgreSQL: minutes, by hand with `-m slow`."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from awareness_pipeline.config import Paths
from awareness_pipeline.digest import digests
from awareness_pipeline.sandbox.process import process
from tests import postgres as pg
from tests.pipeline.cluster.deployment import ENTRYPOINT, MODULE, Deployment, deployed
from tests.pipeline.cluster.test_workers import ARTIFACTS, PARTITIONS, environment, owned
from tests.pipeline.conftest import postgres

__all__ = ["postgres"]
SEED = 17
DAEMONS, RUNS = 8, 2
"""Kills. A run is started again once (`run_retries`), so two of different partitions."""
MOST_ROUNDS = 400


def processes(home: Path, *words: str) -> list[int]:
    """Return the processes of a deployment whose command line has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = path.read_text().split("\0")
            ours = f"DAGSTER_HOME={home}" in path.with_name("environ").read_text().split("\0")
        except OSError:
            continue
        if ours and set(words) <= set(said):
            found.append(int(path.parent.name))
    return found


@contextmanager
def daemons(made: Deployment) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Those that are started after the first; all end with the block."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.wait()


def start(made: Deployment, started: list[subprocess.Popen[bytes]]) -> None:
    command = ["-m", "dagster._daemon", "run", "-w", str(made.home / "workspace.yaml")]
    with (made.home / "daemon.log").open("ab") as out:
        started.append(
            subprocess.Popen(
                [ENTRYPOINT, sys.executable, *command],
                env=made.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        )


def kill_until_done(made: Deployment, instance: dg.DagsterInstance, backfill: str) -> list[str]:
    """Kill daemon and runs at random until the backfill ends; return who was killed."""
    draw, killed = random.Random(SEED), []
    with daemons(made) as started:
        for _ in range(MOST_ROUNDS):
            time.sleep(draw.uniform(0.5, 8))
            found = instance.get_backfill(backfill)
            assert found
            if found.status is not BulkActionStatus.REQUESTED:
                assert found.status is BulkActionStatus.COMPLETED_SUCCESS, found.error
                return killed
            runs = processes(made.home, "execute_run")
            if runs and killed.count("run") < RUNS and draw.random() < 0.3:
                os.kill(runs[0], signal.SIGKILL)
                killed.append("run")
            elif killed.count("daemon") < DAEMONS:
                for one in processes(made.home, "dagster._daemon"):
                    os.kill(one, signal.SIGKILL)
                killed.append("daemon")
                start(made, started)
    raise AssertionError("the backfill does not end")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_backfill_outlives_its_daemon(
    tmp_path: Path, postgres: pg.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text("right\n")
    postgres.run("CREATE DATABASE dagster OWNER " + pg.PASSWORD_FOR)
    catalog = owned(postgres, "catalog")
    monkeypatch.setenv("PGPASSWORD", "right")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "right")
    with process(tmp_path / "sandbox", tmp_path / "sandbox.log") as served:
        many = environment(tmp_path / "many", served.api_url, catalog, secret)
        one = environment(tmp_path / "one", served.api_url, "", secret)
        with deployed(tmp_path / "home", postgres, "dagster", many) as made:
            made.run("-m", MODULE, "discover")
            with dg.DagsterInstance.from_config(str(made.home)) as instance:
                backfill = made.backfill(ARTIFACTS, PARTITIONS)
                killed = kill_until_done(made, instance, backfill)
                print(f"killed: {killed}")
        Deployment(tmp_path, {**os.environ, **one}).run("-m", MODULE, "curate")
    assert "daemon" in killed
    shared = digests(Paths(root=tmp_path / "many", database=catalog), "demo")
    assert shared == digests(Paths(root=tmp_path / "one"), "demo")
    assert not list((tmp_path / "many").rglob("*.aside"))
