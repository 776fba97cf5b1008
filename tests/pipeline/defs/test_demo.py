"""The demo's runs: every partition shows, a rerun does nothing, and a failure says what to do."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from awareness_pipeline import flow
from awareness_pipeline.config import PROJECT, Settings, UserError
from awareness_pipeline.defs import demo
from awareness_pipeline.defs.assets import assets
from awareness_pipeline.demo import environment_of
from tests.pipeline.defs.conftest import Collected, new_home

COLLECTED = flow.FLOW[:4]


def latest(instance: dg.DagsterInstance, artifact: str, partition: str) -> dg.AssetMaterialization:
    chosen = dg.AssetRecordsFilter(dg.AssetKey(artifact), asset_partitions=[partition])
    (record,) = instance.fetch_materializations(chosen, limit=1).records
    assert record.asset_materialization
    return record.asset_materialization


def files_below(folder: Path) -> dict[str, bytes]:
    """Every output by name, without the records, which hold times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name.endswith((".jsonl", ".jsonl.zst"))
    }


def test_every_partition_is_materialized_in_one_run_per_job(collected: Collected) -> None:
    for step in COLLECTED:
        done = collected.instance.get_materialized_partitions(dg.AssetKey(step.artifact))
        assert done == set(step.partitions(collected.settings))
    runs = collected.instance.get_runs()
    assert [run.job_name for run in runs] == ["build", "discover"]
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}


def test_the_demo_says_what_was_done_and_that_every_check_passed(collected: Collected) -> None:
    repositories = sum(
        len(path.read_text().splitlines())
        for path in collected.settings.paths.artifact("repositories").glob("*/*/*.jsonl")
    )
    shards = dict.fromkeys(("clone", "extract", "curate"), repositories)
    assert collected.fresh == {"discover": 3, **shards}
    assert collected.failed == []


def test_a_partition_shows_its_own_record(collected: Collected) -> None:
    folder = collected.settings.paths.artifact("curated_commits") / "demo" / "002"
    record = json.loads((folder / "record.json").read_text())
    event = latest(collected.instance, "curated_commits", "002")
    shown = event.metadata
    assert shown["rows in"].value == record["result"]["in"]
    assert shown["rows out"].value == record["result"]["out"]
    table = shown["dropped by reason"]
    assert isinstance(table, dg.TableMetadataValue)
    reasons = {row.data["reason"]: row.data["rows"] for row in table.records}
    assert reasons == record["result"]["dropped"]
    assert shown["rows dropped"].value == sum(record["result"]["dropped"].values())
    for reason, number in record["result"]["dropped"].items():
        assert shown[f"dropped: {reason}"].value == number
    assert Path(str(shown["record"].value)) == folder / "record.json"
    assert event.tags["dagster/data_version"] == record["fingerprint"]


def test_check_verdicts_are_in_the_instance(collected: Collected) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("commits"), "rows_sound")
    summary = collected.instance.event_log_storage.get_asset_check_summary_records([key])
    record = summary[key].last_check_execution_record
    assert record is not None
    assert record.event
    evaluation = record.event.asset_check_evaluation
    assert evaluation is not None
    assert evaluation.passed
    assert evaluation.metadata["partitions"].value == "000, 001, 002, 003"


def test_a_second_demo_finds_everything_done(copy: Settings, tmp_path: Path) -> None:
    before = files_below(copy.paths.root)
    with dg.DagsterInstance.from_config(str(new_home(tmp_path / "home"))) as instance:
        fresh, failed = demo.materialize(copy, instance, until="curate")
        assert instance.get_runs_count() == 2
    assert set(fresh.values()) == {0}
    assert failed == []
    assert files_below(copy.paths.root) == before


def test_one_shard_runs_alone_and_redoes_only_what_was_removed(copy: Settings) -> None:
    folder = copy.paths.artifact("commits") / copy.version / "001"
    lost = min(folder.glob("*.zst"))
    content = lost.read_bytes()
    lost.unlink()
    result = dg.materialize(assets(copy), selection=["commits"], partition_key="001")
    (event,) = result.asset_materializations_for_node("commits")
    assert event.metadata["units done now"].value == 1
    assert lost.read_bytes() == content


def test_a_failed_check_is_reported(copy: Settings) -> None:
    path = min((copy.paths.artifact("curated_commits") / copy.version).glob("*/*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b'"keep":true', b'"keep":null', 1))
    with dg.DagsterInstance.ephemeral() as instance:
        _, failed = demo.materialize(copy, instance, until="curate")
    assert len(failed) == 1
    assert failed[0].startswith("curated_commits decisions_sound")


def test_what_the_user_can_mend_is_raised_and_the_run_recorded_as_failed(copy: Settings) -> None:
    changed = replace(copy, extract=replace(copy.extract, max_commits=7))
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(UserError, match="max_commits was 40, now 7"):
            demo.materialize(changed, instance, until="extract")
        failed = [run for run in instance.get_runs() if run.is_failure]
    assert [run.job_name for run in failed] == ["build"]


def test_main_turns_a_users_mistake_into_a_line_and_status_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWARENESS_SEARCH_INTERVAL_S", "soon")
    assert demo.main() == 2
    said = capsys.readouterr().err
    assert said.startswith("error: AWARENESS_SEARCH_INTERVAL_S")
    assert said.count("\n") == 1


def test_runs_of_a_killed_demo_are_reported_failed_and_others_left() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        lost, other = (
            instance.add_run(dg.DagsterRun("build", status=dg.DagsterRunStatus.STARTED, tags=tags))
            for tags in (demo.DEMO_TAG, {})
        )
        assert demo.bury(instance) == 1
        assert instance.get_run_by_id(lost.run_id).is_failure  # type: ignore[union-attr]
        assert not instance.get_run_by_id(other.run_id).is_finished  # type: ignore[union-attr]


def test_two_demos_do_not_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(new_home(tmp_path / "home")))
    with (
        demo.instance_of_demo(),
        pytest.raises(UserError, match="another demo is running"),
        demo.instance_of_demo(),
    ):
        pass


def test_the_same_bytes_come_without_dagster(collected: Collected, tmp_path: Path) -> None:
    paths = replace(collected.settings.paths, root=tmp_path / "plain")
    env = environment_of(replace(collected.settings, paths=paths))
    code = (
        "import sys; sys.modules['dagster'] = None\n"
        "from awareness_pipeline import config, flow\n"
        "flow.run_flow(config.load(), until='extract')"
    )
    subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True)
    for artifact in ("repositories", "commits"):
        ours, theirs = (root / artifact for root in (paths.root, collected.settings.paths.root))
        assert files_below(ours) == files_below(theirs)
        assert files_below(ours)


def test_two_shards_are_backfilled_from_the_command_line(copy: Settings, tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    env = {
        **environment_of(copy),
        "DAGSTER_HOME": str(home),
        "PATH": str(Path(sys.executable).parent),
    }
    command = ["dg", "launch", "--assets", "commits", "--partition-range", "001...002"]
    done = subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("commits")) == {"001", "002"}
