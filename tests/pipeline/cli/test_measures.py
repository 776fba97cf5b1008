"""Metrics and plans of a flow that was really run."""

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.pipeline.cli.conftest import Awareness

pytestmark = pytest.mark.xdist_group("cli")


def test_a_finished_flow_has_nothing_open_and_says_how_fast_it_was(
    awareness: Awareness, finished: tuple[Path, Result]
) -> None:
    found = json.loads(awareness.ok("stats", "--root", finished[0], "--json").stdout)
    pace = {one["stage"]: one for one in found["pace"]}
    for stage in ("discover", "clone", "extract", "curate"):
        one = pace[stage]
        assert (one["failed"], one["open"], one["left_s"]) == (0, 0, 0), stage
        assert one["partitions_done"] == one["partitions"], stage
    assert pace["clone"]["done"] == pace["extract"]["done"] == pace["curate"]["done"] == 24
    assert pace["clone"]["per_hour"] > 0
    assert pace["reverse"]["open"] == 24
    said = awareness.ok("stats", "--root", finished[0]).stdout
    assert "no rate yet: reverse, audit, encode, train, evaluate" in said, "held-out ones: encode"


def test_metrics_of_a_finished_flow_are_its_numbers(
    awareness: Awareness, finished: tuple[Path, Result], tmp_path: Path
) -> None:
    said = awareness.ok("metrics", "--root", finished[0]).stdout
    numbers = dict(line.rsplit(" ", 1) for line in said.splitlines() if not line.startswith("#"))
    report = json.loads(awareness.ok("report", "--root", finished[0], "--json").stdout)
    stages = {one["name"]: one for one in report["stages"]}
    for stage in ("clone", "extract", "curate"):
        label = f'{{version="demo",stage="{stage}"}}'
        assert numbers[f"awareness_rows_out{label}"] == str(stages[stage]["out"])
        assert int(numbers[f"awareness_bytes{label}"]) > 0
    dropped = 'awareness_rows_dropped{version="demo",stage="curate",reason="merge"}'
    assert numbers[dropped] == str(stages["curate"]["dropped"]["merge"])
    calls = [int(value) for name, value in numbers.items() if "search_calls" in name]
    assert len(calls) == 3
    assert min(calls) >= 1
    path = tmp_path / "awareness.prom"
    assert awareness.ok("metrics", "--root", finished[0], "--out", path).stdout == ""
    assert path.read_text() == said


def test_a_plan_takes_its_figures_from_the_version_at_hand(
    awareness: Awareness, finished: tuple[Path, Result], tmp_path: Path
) -> None:
    given = ("--target", 1_000, "--json", "--root")
    found = json.loads(awareness.ok("plan", *given, finished[0]).stdout)
    by = {(one["what"], one["stage"]): one for one in found["lines"]}
    assert by["disk", "extract"]["source"] == by["disk", "clone"]["source"] == "version demo"
    commits = finished[0] / "commits" / "demo"
    records = [json.loads(path.read_bytes()) for path in commits.rglob("*.record.json")]
    sizes = [sum(size for size, _ in one["result"]["files"].values()) for one in records]
    assert len(sizes) == 24
    assert by["disk", "extract"]["middle"] == pytest.approx(1_000 * sum(sizes) / 24)
    for one in found["lines"]:
        assert 0 <= one["low"] <= one["middle"] <= one["high"]
    elsewhere = json.loads(awareness.ok("plan", *given, tmp_path / "none").stdout)
    assert {one["source"].split("/")[0].split(",")[0] for one in elsewhere["lines"]} <= {
        "results",
        "bound of the settings",
    }


def test_a_plan_for_people_shows_sources_and_what_is_assumed(
    awareness: Awareness, tmp_path: Path
) -> None:
    said = awareness.ok("plan", "--target", 100_000, "--root", tmp_path / "none").stdout
    assert "100,000 repositories" in said
    assert "results/discovery_cost.json" in said
    assert "assumed: repositories of the target are like those measured" in said
