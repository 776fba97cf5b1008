"""Run workers on one PostgreSQL, a process for each shard of a backfill, at most four at a time,
leave what one process leaves. Two minutes of processor time: run by hand with `-m slow`.

Limits: how many of them overlap is up to the machine."""

import os
from pathlib import Path

import dagster as dg
import pytest

from awareness_pipeline.config import Paths
from awareness_pipeline.digest import digests
from awareness_pipeline.sandbox.process import process
from tests import postgres as pg
from tests.pipeline.cluster.deployment import MODULE, Deployment, deployed

PARTITIONS = ["000", "001", "002", "003"]
ARTIFACTS = ["clones", "commits", "curated_commits"]
PASSWORD = "right"
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def environment(root: Path, api_url: str, database: str, secret: Path) -> dict[str, str]:
    return {
        "AWARENESS_ROOT": str(root),
        "AWARENESS_DB_PATH": database,
        "AWARENESS_GITHUB_URL": api_url,
        "AWARENESS_SEARCH_INTERVAL_S": "0.001",
        "AWARENESS_PARTITIONS_PER_RUN": "1",
        "PGPASSWORD_FILE": str(secret),
        "DAGSTER_PG_PASSWORD_FILE": str(secret),
    }


def owned(server: pg.Server, name: str) -> str:
    """Make a database of the role that must give a password; return its URL, without one."""
    server.run(f"CREATE DATABASE {name} OWNER {pg.PASSWORD_FOR}")
    return server.url(name, pg.PASSWORD_FOR)


def workers_of(instance: dg.DagsterInstance, backfill: str) -> dict[str, list[str]]:
    """Return the partitions of a backfill's runs by artifact."""
    taken: dict[str, list[str]] = {}
    for run in instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})):
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert run.tags[FIRST] == run.tags[LAST]
        for key in run.asset_selection or ():
            taken.setdefault(key.to_user_string(), []).append(run.tags[FIRST])
    return {name: sorted(keys) for name, keys in sorted(taken.items())}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_workers_of_one_backfill_leave_what_one_process_leaves(
    tmp_path: Path, postgres: pg.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    postgres.run("CREATE DATABASE dagster OWNER " + pg.PASSWORD_FOR)
    catalog = owned(postgres, "catalog")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", PASSWORD)
    with process(tmp_path / "sandbox", tmp_path / "sandbox.log") as served:
        many = environment(tmp_path / "many", served.api_url, catalog, secret)
        one = environment(tmp_path / "one", served.api_url, "", secret)
        with deployed(tmp_path / "home", postgres, "dagster", many) as deployment:
            deployment.run("-m", MODULE, "discover")
            with dg.DagsterInstance.from_config(str(deployment.home)) as instance:
                backfill = deployment.backfill(ARTIFACTS, PARTITIONS)
                deployment.wait(instance, backfill)
                assert workers_of(instance, backfill) == dict.fromkeys(ARTIFACTS, PARTITIONS)
                assert process_ids(instance, backfill) >= len(PARTITIONS)
        alone = Deployment(tmp_path, {**os.environ, **one})
        alone.run("-m", MODULE, "curate")
    shared = digests(Paths(root=tmp_path / "many", database=catalog), "demo")
    assert shared == digests(Paths(root=tmp_path / "one"), "demo")
    assert shared["artifacts"]["curated_commits"]["records"] > len(PARTITIONS)


def process_ids(instance: dg.DagsterInstance, backfill: str) -> int:
    """Return how many processes worked on a backfill."""
    found = set()
    for run in instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})):
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            metadata = event.engine_event_data.metadata if event else {}
            if "pid" in metadata:
                found.add(metadata["pid"].value)
    return len(found)
