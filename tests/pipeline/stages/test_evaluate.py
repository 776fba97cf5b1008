"""Evaluation as a stage: whom it asks, what it asks, and what its record says."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from awareness_model import checkpoint
from awareness_model.config import DecoderConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.schema import EvaluationItem
from awareness_model.tiny import save_tiny
from awareness_pipeline.artifacts import Counts, place
from awareness_pipeline.config import UserError
from awareness_pipeline.stages import encode, evaluate
from awareness_pipeline.stages.evaluate import HeldOut, deal, questions
from awareness_pipeline.units import Outcome, Unit, finish_unit
from tests.pipeline.stages.lessons import put_repository, put_traces, small_settings

PATHS = ("pkg/__init__.py", "pkg/constants.py", "pkg/first.py", "pkg/second.py", "readme.md")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return small_settings(tmp_path, str(save_tiny(tmp_path / "model", "llama")))


def put_checkpoint(settings):
    """Leave an untrained reader where training leaves a trained one."""
    here = place(settings, "gca_checkpoint", "all", {})
    decoder = ReasoningDecoder(DecoderConfig(settings.model, "cpu", "latent"))
    here.folder.mkdir(parents=True)
    checkpoint.save(here.folder / "checkpoint", decoder, step=0, settings={}, data="")
    finish_unit(here, Unit("checkpoint", {}), Outcome(Counts(1, 1)))


def item(repo_id, number):
    return EvaluationItem(
        f"{repo_id}-{number}", repo_id, "s", "needle", "Go", "a", "p", "x", ("b",)
    )


def test_items_are_dealt_evenly_and_others_fill_up():
    columns = [[item(1, n) for n in range(5)], [item(2, 0)], [item(3, n) for n in range(9)]]
    assert [one.item_id for one in deal(columns, 6)] == ["1-0", "2-0", "3-0", "1-1", "3-1", "1-2"]
    assert len(deal(columns, 99)) == 15


def test_only_what_is_in_memory_is_asked_for(settings):
    shas = put_repository(settings, 3, "held_out")
    clone = settings.paths.root / "clones" / "demo" / "001" / "3.git"
    items, files = questions(HeldOut(3, clone, shas[-1], frozenset(PATHS)), settings)
    assert {one.kind for one in items} == {"remote", "needle"}
    assert {one.gold for one in items} == {("pkg/constants.py",)}
    assert {(one.repo_id, one.sha) for one in items} == {(3, shas[-1])}
    assert [file.path for file in files] == list(PATHS)
    without = frozenset(PATHS) - {"pkg/constants.py"}
    assert questions(HeldOut(3, clone, shas[-1], without), settings)[0] == []


def test_held_out_repositories_alone_are_asked_and_the_record_is_the_report(settings):
    with pytest.raises(UserError, match="awareness train"):
        evaluate.run(settings, "all")
    put_checkpoint(settings)
    shas = put_repository(settings, 1, "train")
    put_traces(settings, 1, shas[-1], ["pkg/constants.py"], [])
    for repo_id in (3, 5):
        put_repository(settings, repo_id, "held_out")
    encode.run(settings, "001")

    record = evaluate.run(settings, "all")

    assert (record.fresh, record.counts) == (1, Counts(12, 12))
    folder = place(settings, "evaluation", "all", {}).folder
    report = json.loads((folder / "evaluation.json").read_bytes())
    assert {name: record.extra[name] for name in report} == report
    assert (report["n_repos"], report["n_items"]) == (2, 12)
    for layout in ("kv", "latent"):
        assert set(report[layout]["nll"]) == {"own", "other", "none", "text"}
        assert len(report[layout]["S_ci"]) == 2
    assert report["kv"]["nll"]["own"] != report["kv"]["nll"]["other"]
    lines = (folder / "evaluation.items.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert Counter(row["repo_id"] for row in rows) == {3: 6, 5: 6}
    assert record.extra["asked"] == {"needle": 6, "remote": 6}

    again = evaluate.run(settings, "all")
    assert (again.fresh, again.digest) == (0, record.digest)
    with pytest.raises(UserError, match="max_items was 12, now 3"):
        evaluate.run(replace(settings, evaluate=replace(settings.evaluate, max_items=3)), "all")


def test_nothing_to_ask_is_said_in_one_line(settings):
    put_checkpoint(settings)
    with pytest.raises(UserError, match="nothing to ask"):
        evaluate.run(settings, "all")


def test_packages_are_measured_with_what_was_asked_and_the_versions_reader(
    settings, tmp_path, monkeypatch
):
    from awareness_model.evaluation.__main__ import _job, _parser

    ran = []
    monkeypatch.setattr(evaluate, "run_model", lambda *args: ran.append(args))
    put_checkpoint(settings)
    found = evaluate.of_packages(settings, evaluate.PackagesAsked("all", lines=32))
    assert found == settings.paths.root / "packages" / settings.version
    asked = evaluate.PackagesAsked(
        "needle", tmp_path / "out", ("none",), haystack_lines=1_000, precision="bfloat16"
    )
    assert evaluate.of_packages(settings, asked) == tmp_path / "out"

    parsed = [_parser().parse_args(args) for entry, args, *_ in ran if entry == "evaluation"]
    both, needle = map(_job, parsed)
    assert [one.eval_type for one in parsed] == ["all", "needle"]
    trained = place(settings, "gca_checkpoint", "all", {}).folder / "checkpoint"
    assert both.readers == ("none", str(trained))
    assert (both.sizes.lines, both.model) == (32, settings.model)
    assert (needle.readers, needle.needle.haystack_lines) == (("none",), 1_000)
    assert (needle.precision, needle.out) == ("bfloat16", tmp_path / "out")
