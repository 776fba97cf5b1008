import json

import pytest

from awareness_model.evaluation import corpus
from awareness_model.evaluation.__main__ import main
from awareness_model.tiny import save_tiny
from tests.model.evaluation.packages_world import packages


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    save_tiny(folder / "model", "llama")
    corpus.write_packages(folder / "corpus.jsonl", packages(4))
    return folder


def asked(world, out, *more):
    sizes = "--lines 6 --in-file 0.5 --packages 3 --visible 2 --chunk-tokens 160 --prompt-tokens 40"
    needles = "--needle-haystack-lines 20 --needle-needles 5 --needle-asked 1 --needle-visible 1 2"
    there = ["--model", str(world / "model"), "--corpus", str(world / "corpus.jsonl")]
    return main(["--out", str(out), *there, *sizes.split(), *needles.split(), *more])


def test_a_report_and_its_page_are_written_and_a_rerun_measures_nothing(world, tmp_path, capsys):
    assert asked(world, tmp_path, "--eval-type", "all") == 0
    progress = [json.loads(line)["progress"] for line in capsys.readouterr().out.splitlines()]
    labels = {one["label"] for one in progress}
    assert {label.split(":")[0] for label in labels} == {"perplexity", "needle"}
    assert all(one["done"] <= one["total"] for one in progress)
    report = (tmp_path / "report.json").read_bytes()
    assert set(json.loads(report)) == {"model", "sizes", "perplexity", "needle"}
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "needle.png",
        "packages.png",
        "remote.png",
    }
    assert "Needles among real functions" in page
    assert "S is what a repository" in page
    assert str(tmp_path) not in page
    cells = {path.name: path.read_bytes() for path in tmp_path.glob("*.cells.jsonl")}
    assert asked(world, tmp_path, "--eval-type", "all") == 0
    assert (tmp_path / "report.json").read_bytes() == report
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.cells.jsonl")} == cells


def test_kinds_measured_apart_stand_in_one_report(world, tmp_path):
    assert asked(world, tmp_path, "--eval-type", "perplexity") == 0
    costs = ["--dtypes", "bfloat16", "--placements", "middle", "all", "--poolings", "1"]
    assert asked(world, tmp_path, "--eval-type", "pareto", *costs) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == {"model", "sizes", "perplexity", "pareto"}
    assert [row.get("placement") for row in report["pareto"]] == [None, "middle", "all"]
    assert "Raw text is the line to beat" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_tasks_for_the_harness_are_written_instead(world, tmp_path):
    assert asked(world, tmp_path / "out", "--export-harness", str(tmp_path / "tasks")) == 0
    assert (tmp_path / "tasks" / "awareness_needle.yaml").is_file()
    assert not (tmp_path / "out").exists()


def test_a_users_error_is_one_line(world, tmp_path, capsys):
    assert asked(world, tmp_path, "--reader", str(tmp_path / "nowhere")) == 2
    assert capsys.readouterr().err.startswith("error: no checkpoint at")
    assert asked(world, tmp_path, "--needle-asked", "9", "--eval-type", "needle") == 2
    assert asked(world, tmp_path, "--dtype", "int3") == 2
    assert "memory dtype is one of" in capsys.readouterr().err
    assert asked(world, tmp_path, "--corpus", str(tmp_path / "none.jsonl")) == 2
