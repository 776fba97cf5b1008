"""docker/dagster.yaml without its engine: the same instance, with processes in place of containers.

PostgreSQL, queue, pools, retries and monitoring are those of the file; the launcher asks the code
location's server, which starts a process for each run. Every process goes through entrypoint.sh,
so the database's password is in a file and nowhere else. Limits: one machine, so its clock, its
disk and its flock are everyone's.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.execution.backfill import BulkActionStatus

from awareness_pipeline.config import PROJECT
from tests import postgres as pg

DOCKER = PROJECT / "docker"
ENTRYPOINT = str(DOCKER / "entrypoint.sh")
MODULE = "tests.pipeline.cluster.small_flow"
LAUNCH = """mutation($asked: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $asked) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
GRAPHQL = "from dagster_graphql.cli import main; main()"
"""What the script `dagster-graphql` does."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running code location and daemon, and the way to ask them."""

    home: Path
    env: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a Python program as the containers do; return what it prints."""
        done = subprocess.run(
            [ENTRYPOINT, sys.executable, *command],
            env=self.env,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def backfill(self, artifacts: list[str], partitions: list[str]) -> str:
        """Ask for a backfill as the user interface does; return its id."""
        keys = [{"path": [name]} for name in artifacts]
        asked = {"assetSelection": keys, "partitionNames": partitions}
        workspace = str(self.home / "workspace.yaml")
        answer = self.home / "answer.json"
        self.run(
            *("-c", GRAPHQL, "-w", workspace, "-t", LAUNCH, "-o", str(answer)),
            *("-v", json.dumps({"asked": asked})),
        )
        launched = json.loads(answer.read_text())["data"]["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def wait(self, instance: dg.DagsterInstance, backfill: str) -> None:
        """Wait until a backfill has ended well; pytest's timeout bounds it."""
        while (found := instance.get_backfill(backfill)).status is BulkActionStatus.REQUESTED:
            time.sleep(1)
        assert found.status == BulkActionStatus.COMPLETED_SUCCESS, found.error or found.status


@contextmanager
def deployed(
    home: Path, server: pg.Server, database: str, env: dict[str, str]
) -> Iterator[Deployment]:
    """Run a code location's server and the daemon until the block ends."""
    home.mkdir()
    port = _free_port()
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance_config(server, database, home)))
    location = {"host": "127.0.0.1", "port": port, "location_name": "awareness"}
    (home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}))
    all_env = {**os.environ, **env, "DAGSTER_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    made = Deployment(home, all_env)
    serve = ["-m", "dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(port)]
    daemon = ["-m", "dagster._daemon", "run", "-w", str(home / "workspace.yaml")]
    with ExitStack() as running:
        running.enter_context(_process(made, [*serve, "-m", MODULE], home / "code.log"))
        check = ("-m", "dagster", "api", "grpc-health-check", "-p", str(port))
        _until(lambda: _answers(made, check))
        running.enter_context(_process(made, daemon, home / "daemon.log"))
        yield made


def instance_config(server: pg.Server, database: str, home: Path) -> dict[str, Any]:
    """Return docker/dagster.yaml with the test's server and no containers."""
    config: dict[str, Any] = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    reached = config["storage"]["postgres"]["postgres_db"]
    reached |= {"hostname": "", "params": {"host": str(server.folder)}}
    reached |= {"username": pg.PASSWORD_FOR, "db_name": database}
    config["run_launcher"] = {"module": "dagster", "class": "DefaultRunLauncher"}
    config["compute_logs"]["config"]["base_dir"] = str(home / "compute")
    config["local_artifact_storage"]["config"]["base_dir"] = str(home / "storage")
    return config


@contextmanager
def _process(made: Deployment, command: list[str], log: Path) -> Iterator[None]:
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [ENTRYPOINT, sys.executable, *command],
            env=made.env,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        ) as child,
    ):
        try:
            yield
        finally:
            # Its whole session: run workers are children of the code location's server.
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)


def _answers(made: Deployment, check: tuple[str, ...]) -> bool:
    command = [ENTRYPOINT, sys.executable, *check]
    asked = subprocess.run(command, env=made.env, cwd=PROJECT, capture_output=True, check=False)
    return asked.returncode == 0


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
