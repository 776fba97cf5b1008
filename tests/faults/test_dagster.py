"""Through Dagster: a killed run goes on from its failure, a backfill retries what failed alone, and
a run that never starts is noticed and started again."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import (
    consume_new_runs_for_automatic_reexecution,
)
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.monitoring import run_monitoring
from dagster_graphql.test.utils import execute_dagster_graphql

from awareness_pipeline import flow
from awareness_pipeline.config import PROJECT, Paths, Settings
from awareness_pipeline.defs import demo
from awareness_pipeline.digest import digests
from awareness_pipeline.sandbox import build, server
from tests.faults import dagster_run
from tests.faults.disk import DURABLE, Action, disk, environment
from tests.faults.disk import build as build_library
from tests.faults.left import stamps
from tests.pipeline.cluster import small_flow
from tests.pipeline.cluster.deployment import LAUNCH

pytestmark = [
    pytest.mark.xdist_group("dagster faults"),
    # Dagster's own use of itself, where its daemon's loops run in this process.
    pytest.mark.filterwarnings("ignore:.*will be removed in 2.0:DeprecationWarning"),
    # Runs are executed inside the loop that submits them, which only this launcher does.
    pytest.mark.filterwarnings("ignore:coroutine .*shutdown_asyncgens:RuntimeWarning"),
]
SHARDS = ["000", "001", "002", "003"]
BAD = "002"
COLLECTED = ["clones", "commits", "curated_commits"]
RETRY = """mutation($asked: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $asked) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
LOG = logging.getLogger("tests")
ROUNDS = 30


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where everything is, for this process and those it starts; repositories are found."""
    folder = tmp_path_factory.mktemp("dagster")
    with server.serve(build.build(folder, project=folder, folders=())) as sandbox:
        said = {
            "AWARENESS_ROOT": str(folder / "data"),
            "AWARENESS_GITHUB_URL": sandbox.api_url,
            "AWARENESS_SEARCH_INTERVAL_S": "0.001",
            "AWARENESS_PARTITIONS_PER_RUN": "1",
            "PYTHONPATH": str(PROJECT),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("AWARENESS_")]:
                patch.delenv(name)
            for name, value in said.items():
                patch.setenv(name, value)
            flow.run_step(small_flow.settings(), "discover")
            yield said


@pytest.fixture
def settings(variables: dict[str, str], tmp_path: Path) -> Iterator[Settings]:
    """A root of this test's own, with its repositories found."""
    shutil.copytree(variables["AWARENESS_ROOT"], tmp_path / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWARENESS_ROOT", str(tmp_path / "data"))
        sys.modules.pop(small_flow.__name__, None)
        yield small_flow.settings()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The project's instance, but for what starts runs: here it is this process, at once."""
    rules = yaml.safe_load((PROJECT / "dagster_home" / "dagster.yaml").read_text())
    rules["run_launcher"] = {"module": dagster_run.__name__, "class": "Loses"}
    rules["run_coordinator"] = {
        "module": "dagster._core.run_coordinator",
        "class": "DefaultRunCoordinator",
    }
    del rules["concurrency"]["runs"]
    (folder := tmp_path / "home").mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(rules))
    return folder


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.fixture
def daemon(instance: dg.DagsterInstance, settings: Settings) -> Iterator[WorkspaceProcessContext]:
    """What the daemon's loops are given."""
    target = LoadableTargetOrigin(
        executable_path=sys.executable, module_name=small_flow.__name__, attribute="defs"
    )
    origin = InProcessCodeLocationOrigin(target, location_name="awareness")
    with create_test_daemon_workspace_context(
        InProcessWorkspaceLoadTarget(origin), instance
    ) as context:
        yield context


def asked(daemon: WorkspaceProcessContext, mutation: str, **said: Any) -> str:
    """Ask as the user interface does; return the id of the backfill."""
    context = daemon.create_request_context()
    answer = execute_dagster_graphql(context, mutation, {"asked": said}).data
    (found,) = answer.values()
    assert found["__typename"] == "LaunchBackfillSuccess", found
    return str(found["backfillId"])


def finish(daemon: WorkspaceProcessContext, backfill: str) -> BulkActionStatus:
    """Turn the daemon's loop until a backfill has ended; return how."""
    for _ in range(ROUNDS):
        assert not any(execute_backfill_iteration(daemon, LOG))
        found = daemon.instance.get_backfill(backfill)
        assert found
        if found.status not in (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING):
            return found.status
    raise AssertionError("the backfill does not end")


def partitions_of(instance: dg.DagsterInstance, backfill: str) -> list[str]:
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    return sorted(run.tags["dagster/asset_partition_range_start"] for run in runs)


def test_a_killed_run_goes_on_from_its_failure(
    settings: Settings, instance: dg.DagsterInstance, home: Path, tmp_path: Path
) -> None:
    loaded = environment(build_library(tmp_path), tmp_path / "state")
    command = [sys.executable, "-m", dagster_run.__name__, str(home), "build", *COLLECTED]
    with disk(tmp_path / "state") as watched:
        watched.watch(settings.paths.root)
        watched.arm(Action.KILL_CALLER, 9, kinds=DURABLE, only="/commits/")
        killed = subprocess.run(
            command, env={**os.environ, **loaded}, cwd=PROJECT, capture_output=True, check=False
        )
        assert watched.hit, killed.stderr.decode()
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED
    assert demo.bury(instance) == 1
    before = stamps(settings.paths.root)
    result = dagster_run.execute(instance, "build", COLLECTED, failed=run.run_id)
    assert result.success
    again = {event.step_key for event in result.all_events if event.is_step_success}
    assert "clones" not in again
    assert {"commits", "curated_commits"} <= again
    after = stamps(settings.paths.root)
    assert {path: after[path] for path in before} == before
    assert before
    assert digests(settings.paths, "demo") == digests(undisturbed(settings, tmp_path), "demo")


def undisturbed(settings: Settings, tmp_path: Path) -> Paths:
    """Do the same without Dagster; return where."""
    paths = replace(settings.paths, root=tmp_path / "plain")
    flow.run_flow(replace(settings, paths=paths), until="curate")
    return paths


def test_a_backfill_retries_only_what_failed(
    settings: Settings, daemon: WorkspaceProcessContext
) -> None:
    instance = daemon.instance
    flow.run_step(settings, "clone")
    in_the_way = settings.paths.artifact("commits") / "demo" / BAD
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("no folder")
    first = asked(daemon, LAUNCH, assetSelection=[{"path": ["commits"]}], partitionNames=SHARDS)
    assert finish(daemon, first) is BulkActionStatus.COMPLETED_FAILED
    assert partitions_of(instance, first) == SHARDS
    done = instance.get_materialized_partitions(dg.AssetKey("commits"))
    assert done == set(SHARDS) - {BAD}
    before = stamps(settings.paths.root)
    in_the_way.unlink()
    second = asked(daemon, RETRY, parentRunId=first, strategy="FROM_FAILURE")
    assert finish(daemon, second) is BulkActionStatus.COMPLETED_SUCCESS
    assert partitions_of(instance, second) == [BAD]
    assert instance.get_materialized_partitions(dg.AssetKey("commits")) == set(SHARDS)
    after = stamps(settings.paths.root)
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)


def test_a_run_that_never_starts_is_noticed_and_started_again(
    settings: Settings, daemon: WorkspaceProcessContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = daemon.instance
    tags = [{"key": dagster_run.LOST, "value": "once"}]
    backfill = asked(
        daemon,
        LAUNCH,
        assetSelection=[{"path": ["clones"]}],
        partitionNames=["001"],
        tags=tags,
    )
    assert not any(execute_backfill_iteration(daemon, LOG))
    (lost,) = instance.get_runs()
    assert lost.status is dg.DagsterRunStatus.STARTING
    assert not any(run_monitoring.execute_run_monitoring_iteration(daemon, LOG))
    assert not instance.get_runs()[0].is_finished, "there is still time"
    late = time.time() + instance.run_monitoring_start_timeout_seconds + 1
    monkeypatch.setattr(run_monitoring, "get_current_timestamp", lambda: late)
    assert not any(run_monitoring.execute_run_monitoring_iteration(daemon, LOG))
    (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[lost.run_id]))
    assert record.dagster_run.is_failure
    list(consume_new_runs_for_automatic_reexecution(daemon, [record], LOG))
    retried = [run for run in instance.get_runs() if run.parent_run_id == lost.run_id]
    assert [run.status for run in retried] == [dg.DagsterRunStatus.SUCCESS]
    assert finish(daemon, backfill) is BulkActionStatus.COMPLETED_SUCCESS
    assert any((settings.paths.artifact("clones") / "demo" / "001").glob("*.record.json"))
