"""How far, how fast, what failed, when done: from records that a run left or has in hand."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from awareness_pipeline.artifacts import Counts, Place, place
from awareness_pipeline.catalog import Catalog, Pass, SearchRange
from awareness_pipeline.config import Discover, Paths, Settings, Source, demo
from awareness_pipeline.records import shard_of
from awareness_pipeline.report.metrics import exposition, write_metrics
from awareness_pipeline.report.pace import Pace, paces
from awareness_pipeline.units import Outcome, Unit, close, finish_unit
from tests.pipeline.catalog.rows import HOST, repository


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = replace(
        demo(),
        shards=2,
        paths=Paths(root=tmp_path / "data"),
        source=Source(url=f"https://{HOST}/api/v3"),
        discover=Discover(languages=("Nim", "Zig")),
    )
    with Catalog(made.paths.database_url) as catalog:
        catalog.upsert([repository(number) for number in range(10)])
    return made


def of(settings: Settings, stage: str) -> Pace:
    return next(one for one in paces(settings) if one.stage == stage)


def unit(here: Place, key: str, ended: float, seconds: float, rows: int = 1) -> Unit:
    one = Unit(key, {})
    here.folder.mkdir(parents=True, exist_ok=True)
    finish_unit(here, one, Outcome(Counts(rows, rows)), seconds)
    os.utime(here.folder / f"{key}.record.json", (ended, ended))
    return one


def cloned(settings: Settings, shard: str, failed: int) -> list[str]:
    """Leave a shard's clones, all but the last ones, and the record of a run of 60 s."""
    here = place(settings, "clones", shard, {})
    rows = [repository(number) for number in range(10)]
    keys = sorted(
        str(row.repo_id) for row in rows if shard_of(row.repo_id, settings.shards) == shard
    )
    units = [unit(here, key, 1000.0, 5.0) for key in keys[: len(keys) - failed]]
    close(here, units, fresh=len(units), failed={"failed: network": failed}, seconds=60.0)
    return [one.key for one in units]


def test_nothing_has_run_and_everything_waits(settings: Settings) -> None:
    clone = of(settings, "clone")
    assert (clone.done, clone.failed, clone.open, clone.partitions_done) == (0, 0, 10, 0)
    assert (clone.per_hour, clone.left_s, clone.retry) == (None, None, "")


def test_failures_stand_with_the_command_that_tries_them_again(settings: Settings) -> None:
    keys = cloned(settings, "001", 2)
    clone = of(settings, "clone")
    others = 10 - len(keys) - 2
    assert (clone.done, clone.failed, clone.open) == (len(keys), 2, others)
    assert clone.failures == {"network": 2}
    assert clone.per_hour == pytest.approx(len(keys) * 60)
    assert clone.left_s == pytest.approx((others + 2) * 60 / len(keys))
    root = settings.paths.root
    assert clone.retry == (
        f"AWARENESS_GITHUB_URL=https://{HOST}/api/v3 awareness run clone --partition 001 "
        f"--recipe demo --version demo --root {root}"
    )


def test_a_partition_in_hand_counts_and_is_timed_by_its_units(settings: Settings) -> None:
    keys = cloned(settings, "001", 0)
    assert len(keys) >= 3
    here = place(settings, "commits", "001", {})
    unit(here, keys[0], 5_000.0, 20.0)
    unit(here, keys[1], 5_080.0, 70.0)
    extract = of(settings, "extract")
    assert (extract.done, extract.open, extract.partitions_done) == (2, len(keys) - 2, 0)
    assert extract.seconds == pytest.approx(100.0)
    assert extract.per_hour == pytest.approx(72.0)
    assert extract.left_s == pytest.approx((len(keys) - 2) * 50.0)
    assert of(settings, "curate").open == 2


def test_a_stage_that_needs_less_than_upstream_has_is_done_when_its_record_is_there(
    settings: Settings,
) -> None:
    upstream = place(settings, "curated_commits", "000", {})
    close(upstream, [unit(upstream, key, 1.0, 1.0) for key in "123"], fresh=3)
    assert of(settings, "reverse").open == 3
    here = place(settings, "task_prompts", "000", {})
    done = unit(here, "1", 1.0, 1.0)
    counts = {"failed: status 500": 4, "pending": 1, "held_out": 9}
    finish_unit(here, done, Outcome(Counts(14, 0, counts)), 1.0)
    close(here, [done], fresh=1, seconds=2.0)
    reverse = of(settings, "reverse")
    assert (reverse.done, reverse.open, reverse.failed) == (1, 0, 0)
    assert reverse.failures == {"status 500": 4, "pending": 1}


def test_stages_that_have_not_run_wait_for_what_they_will_work_on(settings: Settings) -> None:
    curated = place(settings, "curated_commits", "000", {})
    sides = {"1": "train", "2": "train", "3": "train", "4": "held_out"}
    for key, side in sides.items():
        finish_unit(curated, Unit(key, {}), Outcome(Counts(5, 5), extra={"split": side}))
    assert [of(settings, name).open for name in ("reverse", "distil", "encode")] == [4, 0, 1]
    tasks = place(settings, "task_prompts", "000", {})
    for key, side in sides.items():
        finish_unit(tasks, Unit(key, {}), Outcome(Counts(5, 5), extra={"split": side}))
    assert [of(settings, name).open for name in ("reverse", "distil", "encode")] == [0, 3, 1]
    traces = place(settings, "teacher_traces", "000", {})
    for key, rows in (("1", 2), ("2", 2), ("3", 0)):
        finish_unit(traces, Unit(key, {}), Outcome(Counts(2, rows)))
    assert [of(settings, name).open for name in ("distil", "encode")] == [0, 3]


def test_discovery_is_timed_by_the_calls_that_are_left(settings: Settings) -> None:
    with Catalog(settings.paths.database_url) as catalog:
        searches = catalog.searches(HOST)
        whole = SearchRange("niche", "Nim", 20, -1)
        searches.begin(Pass("Nim", "full"), [whole])
        searches.asked("Nim", 1, "2026-07-01T03:00:00Z", 1_250)
        searches.count(whole, 1_250, 10)
    discover = of(settings, "discover")
    assert (discover.done, discover.open) == (0, 2)
    calls = 1 + 13
    assert discover.left_s == pytest.approx(calls * 6.0)
    with_token = replace(settings, source=replace(settings.source, tokens=("t",)))
    assert of(with_token, "discover").left_s == pytest.approx(calls * 2.5)


def test_metrics_are_text_that_prometheus_reads(settings: Settings, tmp_path: Path) -> None:
    cloned(settings, "001", 2)
    hostile = replace(settings, version='a"b\\c')
    said = exposition(settings)
    assert 'awareness_failures{version="demo",stage="clone",reason="network"} 2\n' in said
    assert 'awareness_repositories{version="demo",state="alive"} 10\n' in said
    assert said.count("# TYPE awareness_units_open gauge\n") == 1
    assert 'version="a\\"b\\\\c"' in exposition(hostile)
    names = [line.split("{")[0] for line in said.splitlines() if not line.startswith("#")]
    order = list(dict.fromkeys(names))
    assert [name for group in order for name in names if name == group] == names
    write_metrics(settings, tmp_path / "out" / "awareness.prom")
    assert (tmp_path / "out" / "awareness.prom").read_text() == said
