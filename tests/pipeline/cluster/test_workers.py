"""Four run workers of one backfill, each with a root of its own that is empty, PostgreSQL and a
bucket between them, leave what one process leaves in a folder. Minutes: run by hand with `-m slow`.

The four extract at the same time, which the runs' own times show. `test_store_workers.py` is the
same without Dagster, in seconds.
"""

import os
from pathlib import Path

import dagster as dg
import pytest

from awareness_pipeline.config import Paths
from awareness_pipeline.digest import digests
from awareness_pipeline.sandbox.process import process
from tests import objects
from tests import postgres as pg
from tests.pipeline.cluster import small_flow
from tests.pipeline.cluster.deployment import MODULE, Deployment, deployed
from tests.pipeline.cluster.test_store_workers import in_bucket

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


def extracting(instance: dg.DagsterInstance, backfill: str) -> list[tuple[float, float]]:
    """Return when each run began and ended that extracted a shard, in seconds since 1970."""
    wanted = dg.RunsFilter(tags={"dagster/backfill": backfill})
    return [
        (one.start_time or 0.0, one.end_time or 0.0)
        for one in instance.get_run_records(wanted)
        if dg.AssetKey("commits") in (one.dagster_run.asset_selection or ())
    ]


def why(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return what a run said of its failures."""
    kinds = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.STEP_FAILURE}
    return "\n".join(str(entry) for entry in instance.all_logs(run_id, of_type=kinds))


def workers_of(instance: dg.DagsterInstance, backfill: str) -> dict[str, list[str]]:
    """Return the partitions of a backfill's runs by artifact."""
    taken: dict[str, list[str]] = {}
    for run in instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})):
        assert run.status is dg.DagsterRunStatus.SUCCESS, why(instance, run.run_id)
        assert run.tags[FIRST] == run.tags[LAST]
        for key in run.asset_selection or ():
            taken.setdefault(key.to_user_string(), []).append(run.tags[FIRST])
    return {name: sorted(keys) for name, keys in sorted(taken.items())}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_workers_of_one_backfill_leave_what_one_process_leaves(
    tmp_path: Path, postgres: pg.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    postgres.run("CREATE DATABASE dagster OWNER " + pg.PASSWORD_FOR)
    catalog = owned(postgres, "catalog")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", PASSWORD)
    (tmp_path / "meet").mkdir()
    with (
        objects.bucket() as bucket,
        process(tmp_path / "sandbox", tmp_path / "sandbox.log") as served,
    ):
        one = environment(tmp_path / "one", served.api_url, "", secret)
        many = environment(tmp_path / "many", served.api_url, catalog, secret)
        many |= {**bucket.environment, "AWARENESS_STORE": bucket.url("runs")}
        many |= {"MEET": str(tmp_path / "meet")}
        with deployed(tmp_path / "home", postgres, "dagster", many) as deployment:
            deployment.run("-m", MODULE, "discover")
            with dg.DagsterInstance.from_config(str(deployment.home)) as instance:
                backfill = deployment.backfill(ARTIFACTS, PARTITIONS)
                deployment.wait(instance, backfill)
                assert workers_of(instance, backfill) == dict.fromkeys(ARTIFACTS, PARTITIONS)
                assert process_ids(instance, backfill) >= len(PARTITIONS)
                times = extracting(instance, backfill)
        assert len(times) == len(PARTITIONS)
        assert max(begun for begun, _ in times) < min(ended for _, ended in times)
        alone = Deployment(tmp_path, {**os.environ, **one})
        alone.run("-m", MODULE, "curate")
        for name, value in many.items():
            monkeypatch.setenv(name, value)
        shared = in_bucket(bucket, small_flow.settings(), tmp_path / "all")
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
