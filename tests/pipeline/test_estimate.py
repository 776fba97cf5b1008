"""What a target will take: from figures that were measured, as ranges, with their source."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from awareness_pipeline.config import PROJECT, Paths, Settings, Teacher, demo, full, pilot
from awareness_pipeline.report.estimate import Line, planned
from awareness_pipeline.report.measured import (
    ONCE,
    PER_ANSWER,
    PER_REPOSITORY,
    PER_TOKEN,
    Figure,
    committed,
    figure,
    of_version,
    rates,
)
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.ledger import Ledger, Spent

MB = 1e6


def exact(value: float) -> Figure:
    return Figure(value, value, value, 99, "here")


def line(settings: Settings, what: str, stage: str, known: Mapping[str, Figure]) -> Line:
    found = planned(settings, 1_000, known)
    return next(one for one in found.lines if (one.what, one.stage) == (what, stage))


def test_a_mean_has_an_interval_that_one_value_alone_has_not() -> None:
    assert figure([10.0], "x") == Figure(5.0, 10.0, 20.0, 1, "x")
    several = figure([1.0, 2.0, 3.0, 2.0], "x")
    assert (several.mean, several.n) == (2.0, 4)
    assert several.high - several.mean == pytest.approx(2 * (2 / 3) ** 0.5 / 2)
    assert several.low >= 1.0
    assert figure([0.0, 0.0, 9.0], "x").low == 0.0


def test_figures_are_multiplied_by_the_target(tmp_path: Path) -> None:
    known = {"search calls": exact(0.011), "clone bytes": exact(4 * MB)}
    assert line(full(), "calls", "discover", known).middle == pytest.approx(11)
    assert line(full(), "time", "discover", known).middle == pytest.approx(66)
    assert line(full(), "disk", "clone", known).high == pytest.approx(4_000 * MB)
    time = line(full(), "time", "clone", known)
    assert time.low == pytest.approx(4_000 * 8 / 1_000)
    assert time.high == pytest.approx(4_000 * 8 / 50)
    assert "Mbit/s assumed" in time.source
    timed = {**known, "clone seconds": exact(5.0)}
    assert line(full(), "time", "clone", timed).middle == pytest.approx(500)


def test_what_settings_bound_does_not_grow_with_the_target() -> None:
    known = {"commits": exact(500.0), "reverse prompt tokens": exact(700.0)}
    known["reverse answer tokens"] = exact(50.0)
    settings = replace(full(), teacher=Teacher(price_in=2.0, price_out=10.0))
    small, large = planned(settings, 1_000, known), planned(settings, 100_000, known)
    for found in (small, large):
        tokens = [one for one in found.lines if (one.what, one.stage) == ("tokens", "reverse")]
        assert [one.middle for one in tokens] == [3_000 * 700, 3_000 * 50]
        money = [one for one in found.lines if (one.what, one.stage) == ("money", "reverse")]
        assert [one.middle for one in money] == [pytest.approx(4.2), pytest.approx(1.5)]
    few = planned(settings, 1, {**known, "commits": exact(10.0)})
    assert next(one.middle for one in few.lines if one.what == "tokens") == 10 * 3 * 700


def test_totals_add_up_and_what_was_never_measured_is_named() -> None:
    found = planned(full(), 10, {"clone bytes": exact(1.0), "commit bytes": exact(2.0)})
    disk = next(one for one in found.totals if one.what == "disk")
    assert (disk.low, disk.middle, disk.high) == (30.0, 30.0, 30.0)
    assert "calls of discover" in found.unknown
    assert "time of extract" in found.unknown
    assert "disk of clone" not in found.unknown


def test_every_committed_figure_is_known_and_names_its_file() -> None:
    found = committed()
    assert set(found) <= {*PER_REPOSITORY, *PER_TOKEN, *PER_ANSWER, *ONCE}
    for one in found.values():
        assert 0 <= one.low <= one.mean <= one.high
        assert all((PROJECT / name).is_file() for name in one.source.split(", "))
    commits, extract = found["commits"], found["extract seconds"]
    rates_of = json.loads((PROJECT / "results" / "extract.json").read_text())["repositories"]
    a_commit = [1 / one["commits_per_cpu_second"]["full"] for one in rates_of.values()]
    assert extract.mean == pytest.approx(commits.mean * sum(a_commit) / len(a_commit))
    assert {"clone bytes", "commit bytes", "curate seconds"} <= set(found)
    ours = json.loads((PROJECT / "results" / "discovery_cost.json").read_text())
    rows = [row for world in ours["worlds"] for row in world["rows"] if row["method"] == "ours"]
    assert found["search calls"].high == max(row["per_repository"] for row in rows)


def test_the_demo_counts_at_the_sizes_of_the_settings(tmp_path: Path) -> None:
    paths = Paths(root=tmp_path)
    small, large = rates(replace(demo(), paths=paths)), rates(replace(pilot(), paths=paths))
    steps = 2_000 * 16 / (40 * 8)
    assert large["train seconds"].mean == pytest.approx(small["train seconds"].mean * steps)


def test_encoding_goes_by_the_tokens_of_real_trees_up_to_the_bound(tmp_path: Path) -> None:
    paths = Paths(root=tmp_path)
    small, large = rates(replace(demo(), paths=paths)), rates(replace(pilot(), paths=paths))
    rows = json.loads((PROJECT / "results" / "repositories.json").read_text())["repositories"]
    most = pilot().encode.max_repository_tokens
    tokens = [min(row["tree tokens"], most) for row in rows]
    assert large["tree tokens"].mean == pytest.approx(sum(tokens) / len(tokens))
    assert large["encode seconds"].high <= 2 * most * large["encode seconds a token"].mean
    bound = demo().encode.max_repository_tokens
    assert small["tree tokens"].low == small["tree tokens"].high == bound


def test_only_what_is_held_out_or_has_traces_is_encoded() -> None:
    known = {"encode seconds": exact(10.0), "memory bytes": exact(2.0), "commits": exact(500.0)}
    settings = full()
    held_out = settings.curate.held_out_fraction * 1_000
    found = line(settings, "time", "encode", known)
    assert found.low == pytest.approx(10 * held_out)
    assert found.high == pytest.approx(10 * 1_000)
    far = planned(settings, 100_000, known)
    most = next(one.high for one in far.lines if (one.what, one.stage) == ("disk", "encode"))
    traces = settings.distil.max_traces * (2 if settings.distil.target == "both" else 1)
    assert most == pytest.approx(2 * (100_000 * settings.curate.held_out_fraction + traces))


def test_a_version_at_hand_stands_over_what_is_committed(tmp_path: Path) -> None:
    settings = replace(demo(), paths=Paths(root=tmp_path))
    ledger = Ledger(ledger_folder(settings), "run")
    ledger.add(Spent("reverse", "m", 4, 9, 5, 400, 40, 0.5, 2.0))
    found = of_version(settings)
    assert found["reverse prompt tokens"] == Figure(50, 100, 200, 1, "version demo")
    assert rates(settings)["reverse seconds"].source == "version demo"
    assert rates(settings)["distil seconds"].source == "results/demo.json"
