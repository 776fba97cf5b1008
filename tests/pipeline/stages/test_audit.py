"""The audit as a stage: what it reads, what its record says, and that nothing is made up."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from awareness_model.schema import write_rows
from awareness_model.tiny import save_tiny
from awareness_pipeline import launch
from awareness_pipeline.artifacts import Counts, place, unit_records
from awareness_pipeline.config import Audit, Settings, UserError
from awareness_pipeline.records import TaskPrompt, shard_of
from awareness_pipeline.stages import audit, extract
from awareness_pipeline.units import Outcome, Unit, close, finish_unit
from tests.model.small_world import trace, write_traces
from tests.pipeline.stages.asking import history_of
from tests.pipeline.stages.lessons import small_settings
from tests.pipeline.stages.shelf import put_clone

STYLES = ("imperative", "terse", "message")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model") / "tiny", "llama"))


@pytest.fixture
def settings(tmp_path, monkeypatch, model) -> Settings:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = Audit(max_commits=8, max_tasks=4, max_text_tokens=24, max_context_tokens=40)
    return replace(small_settings(tmp_path, model), audit=small)


def task_prompt(repo_id: int, sha: str, style: str) -> TaskPrompt:
    return TaskPrompt(
        repo_id=repo_id,
        repo=f"owner/r{repo_id}",
        sha=sha,
        parent_sha="p" * 40,
        style=style,
        prompt=f"{style} work {sha[:6]}",
        accepted=True,
        reject_reason="",
        finish_reason="stop",
        model="m",
        prompt_fingerprint="f",
        prompt_tokens=9,
        completion_tokens=4,
        leak=0.0,
        grounding=1.0,
        copy_overlap=0.0,
        words=3,
        english=1.0,
        self_contained=1.0,
        judge=None,
    )


def put_files(settings: Settings, artifact: str, repo_id: int, name: str) -> None:
    here = place(settings, artifact, shard_of(repo_id, settings.shards), {})
    finish_unit(here, Unit(str(repo_id), {}), Outcome(Counts(1, 1), (name,)))
    close(here, [Unit(one.key, {}) for one in unit_records(here)], fresh=1)


def put_prompts(settings: Settings, repo_id: int, rows: Sequence[TaskPrompt]) -> None:
    here = place(settings, "task_prompts", shard_of(repo_id, settings.shards), {})
    write_rows(here.folder / f"{repo_id}.jsonl", rows)
    put_files(settings, "task_prompts", repo_id, f"{repo_id}.jsonl")


def put_traces(settings: Settings, repo_id: int, shas: Sequence[str]) -> None:
    """Leave a trace of the second commit for each target, over the tree of the first."""
    rows = [
        trace(
            number,
            repo_id,
            sha=shas[1],
            parent_sha=shas[0],
            target=target,
            response_text=text,
            manifest_paths=["app/rates.py", "README.md"],
        )
        for number, (target, text) in enumerate((("teacher", "BASE = 1"), ("commit", "-a\n+b")))
    ]
    here = place(settings, "teacher_traces", shard_of(repo_id, settings.shards), {})
    here.folder.mkdir(parents=True, exist_ok=True)
    write_traces(here.folder / f"{repo_id}.parquet", rows)
    put_files(settings, "teacher_traces", repo_id, f"{repo_id}.parquet")


def put_world(settings: Settings, repo_ids: Sequence[int] = (1, 2, 3)) -> None:
    """Leave repositories of four commits, prompts for the last three in every style, traces."""
    for repo_id in repo_ids:
        shas = put_clone(settings, repo_id, history_of(repo_id))
        rows = [task_prompt(repo_id, sha, style) for sha in shas[1:] for style in STYLES]
        rows[0] = replace(rows[0], accepted=False, reject_reason="too_short")
        put_prompts(settings, repo_id, rows)
        put_traces(settings, repo_id, shas)
    for partition in settings.shard_keys:
        extract.run(settings, partition)


def measured(extra: Any, **wanted: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = extra["measures"]
    return [one for one in rows if all(one[name] == value for name, value in wanted.items())]


def test_prompts_and_contexts_are_measured_and_the_record_is_the_report(settings) -> None:
    put_world(settings)

    record = audit.run(settings, "all")

    counts = record.counts
    assert (record.fresh, counts.rows_in) == (1, 3 * (3 * 3 - 1) + 3 * 2)
    assert counts.rows_in == counts.rows_out + sum(counts.dropped.values())
    assert set(counts.dropped) == {"over_cap"}
    for style in STYLES:
        for control in ("same", "other"):
            (one,) = measured(record.extra, kind="prompt", group=style, control=control)
            assert (one["n_repos"], one["headline"]) == (3, control == "same")
            assert len(one["D_ci"]) == 2
            assert one["nll"]["control"] - one["nll"]["own"] == pytest.approx(one["D"], abs=1e-5)
    (gain,) = measured(record.extra, kind="gain", group="terse", control="same")
    assert gain["n_items"] == 6
    for target in ("teacher", "commit"):
        (one,) = measured(record.extra, kind="context", group=target)
        assert (one["n_items"], one["n_repos"]) == (3, 3)
    unclear = [one for one in record.extra["measures"] if one["headline"] and not one["clear"]]
    assert len(record.extra["unclear"]) == len(unclear)
    folder = place(settings, "data_evidence", "all", {}).folder
    rows = [json.loads(line) for line in (folder / audit.ROWS).read_text().splitlines()]
    assert len(rows) == counts.rows_out
    assert all(set(row["nats"]) >= {"own"} for row in rows)
    assert not (folder / ".work").exists()


def test_a_rerun_does_nothing_and_other_prompts_are_measured_anew(settings) -> None:
    put_world(settings)
    record = audit.run(settings, "all")
    again = audit.run(settings, "all")
    assert (again.fresh, again.digest) == (0, record.digest)
    put_prompts(settings, 1, [task_prompt(1, "f" * 40, "terse")])
    other = audit.run(settings, "all")
    assert other.fresh == 1
    assert other.digest != record.digest
    with pytest.raises(UserError, match="max_commits was 8, now 3"):
        audit.run(replace(settings, audit=replace(settings.audit, max_commits=3)), "all")


def test_a_killed_audit_scores_only_what_is_missing(settings, monkeypatch) -> None:
    """The kill comes when some answers are written: as after a real one, the scratch folder holds
    them, and the record is not there."""
    put_world(settings)
    whole = audit.run(settings, "all")
    folder = place(settings, "data_evidence", "all", {}).folder
    kept = {name: (folder / name).read_bytes() for name in (audit.REPORT, audit.ROWS)}
    for path in folder.glob("*"):
        path.unlink()
    asked = []

    def torn(entry: str, args: list[str], label: str, log: Any) -> None:
        answers = log.with_name("answers.jsonl")
        if not asked:
            launch.run_model(entry, args, label, log)
            lines = answers.read_bytes().split(b"\n")
            answers.write_bytes(b"\n".join([*lines[:9], lines[9][:7]]))
            asked.append(lines[:9])
            raise UserError("killed")
        assert answers.read_bytes().split(b"\n")[:9] == asked[0]
        launch.run_model(entry, args, label, log)
        assert answers.read_bytes().split(b"\n")[:9] == asked[0]

    monkeypatch.setattr(audit, "run_model", torn)
    with pytest.raises(UserError, match="killed"):
        audit.run(settings, "all")
    assert not list(folder.glob("*.record.json"))
    assert audit.run(settings, "all").digest == whole.digest
    assert {name: (folder / name).read_bytes() for name in kept} == kept


def test_where_nothing_was_accepted_the_record_says_so_and_no_model_runs(
    settings, monkeypatch
) -> None:
    shas = put_clone(settings, 1, history_of(1))
    rows = [task_prompt(1, shas[1], style) for style in STYLES]
    lost = [replace(row, accepted=False, reject_reason="too_short") for row in rows]
    put_prompts(settings, 1, lost)
    monkeypatch.setattr(audit, "run_model", None)
    record = audit.run(settings, "all")
    assert record.counts == Counts(0, 0)
    assert {one["D"] for one in record.extra["measures"]} == {None}
    assert {one["group"] for one in record.extra["measures"]} == {*STYLES, "teacher", "commit"}
    assert "there are no accepted prompts of this style" in record.extra["unclear"][0]
    assert audit.run(settings, "all").fresh == 0


def test_with_nothing_before_it_the_audit_leaves_an_empty_report(settings) -> None:
    record = audit.run(settings, "all")
    assert (record.counts, record.fresh) == (Counts(0, 0), 1)
    assert [one["kind"] for one in record.extra["measures"]] == ["context", "context"]


def test_one_repository_alone_has_prompts_measured_but_no_interval(settings) -> None:
    put_world(settings, (1,))
    record = audit.run(settings, "all")
    (one,) = measured(record.extra, kind="prompt", group="message", control="same")
    assert (one["n_repos"], one["D_ci"], one["clear"]) == (1, None, False)
    assert "one repository only" in one["why"]
    (other,) = measured(record.extra, kind="prompt", group="message", control="other")
    assert other["D"] is None
    (context,) = measured(record.extra, kind="context", group="commit")
    assert "no_other_repository 1" in context["why"]


def test_a_clone_that_cannot_be_read_costs_its_own_traces_alone(settings) -> None:
    put_world(settings)
    objects = settings.paths.artifact("clones") / "demo" / "000" / "2.git" / "objects"
    objects.rename(objects.with_name("gone"))
    record = audit.run(settings, "all")
    assert record.counts.dropped["no_tree"] == 2
    (one,) = measured(record.extra, kind="context", group="commit")
    assert one["n_items"] == 2
