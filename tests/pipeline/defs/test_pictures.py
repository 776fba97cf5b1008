"""What Dagster shows of clones, commits and curated commits: tables from records, and pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from awareness_pipeline.artifacts import Counts, Record, place
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.defs import pictures
from awareness_pipeline.defs.reports import metadata_of
from awareness_pipeline.report import plots
from awareness_pipeline.stages.extract import size_class
from awareness_pipeline.teacher.funnel import STEPS
from awareness_pipeline.units import Outcome, Unit, close, finish_unit

PNG = "![](data:image/png;base64,iVBOR"
SHARD = "001"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(demo(), paths=Paths(root=tmp_path))


def put(
    settings: Settings,
    artifact: str,
    units: dict[str, tuple[Counts, dict[str, Any]]],
    failed: dict[str, int] | None = None,
) -> Record:
    here = place(settings, artifact, SHARD, {})
    here.folder.mkdir(parents=True, exist_ok=True)
    for key, (counts, extra) in units.items():
        finish_unit(here, Unit(key, {}), Outcome(counts, extra=extra))
    return close(here, [Unit(key, {}) for key in units], fresh=len(units), failed=failed)


def told(
    commits: int, labels: dict[str, int] | None = None, sizes: dict[str, int] | None = None
) -> tuple[Counts, dict[str, Any]]:
    return Counts(commits, commits), {"labels": labels or {}, "sizes": sizes or {}}


def rows(shown: pictures.Metadata, name: str) -> list[tuple[Any, ...]]:
    value = shown[name]
    assert isinstance(value, dg.TableMetadataValue)
    return [tuple(row.data.values()) for row in value.records]


def test_clones_show_failures_by_class(settings: Settings) -> None:
    units = {
        "1": (Counts(1, 1), {}),
        "2": (Counts(1, 0, {"gone": 1}), {}),
        "3": (Counts(1, 0, {"gone": 1}), {}),
    }
    shown = metadata_of(put(settings, "clones", units, {"failed: network": 1}), settings)
    assert rows(shown, "failures by class") == [("gone", 2), ("network (to be tried again)", 1)]
    assert str(shown["failures by class, drawn"].value).startswith(PNG)


def test_commits_show_languages_labels_and_sizes_from_records_alone(settings: Settings) -> None:
    spoken = {"1": "Go", "2": "Python", "3": "Go", "4": ""}
    put(settings, "clones", {key: (Counts(1, 1), {"language": s}) for key, s in spoken.items()})
    units = {
        "1": told(5, {"bot": 2, "merge": 1}, {"none": 1, "to 1 KB": 4}),
        "2": told(9, {"bot": 1}, {"to 1 KB": 8, "over 1 MB": 1}),
        "3": told(2),
        "4": told(1),
    }
    shown = metadata_of(put(settings, "commits", units), settings)
    assert rows(shown, "commits by language") == [("Python", 9), ("Go", 7), ("unknown", 1)]
    assert rows(shown, "commits by label") == [("bot", 3), ("merge", 1)]
    assert str(shown["sizes of diffs"].value).startswith(PNG)


def test_sizes_of_diffs_are_drawn_in_the_order_of_their_classes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, int]] = []
    monkeypatch.setattr(plots, "classes", lambda numbers, *_: drawn.append(numbers) or PNG)
    put(settings, "clones", {"1": (Counts(1, 1), {"language": "Go"})})
    sizes = {size_class(size): 1 for size in (5 << 20, 100, 0, 2_000)}
    metadata_of(put(settings, "commits", {"1": told(4, sizes=sizes)}), settings)
    counts = {name: number for name, number in drawn[0].items() if number}
    assert list(counts) == ["none", "to 1 KB", "to 4 KB", "over 1 MB"]


def test_many_languages_are_summed_beyond_the_largest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_LANGUAGES", 2)
    put(settings, "clones", {str(n): (Counts(1, 1), {"language": f"L{n}"}) for n in range(5)})
    record = put(settings, "commits", {str(n): told(n) for n in range(5)})
    shown = metadata_of(record, settings)
    assert rows(shown, "commits by language") == [("L4", 4), ("L3", 3), ("others", 3)]


def test_curated_commits_show_their_funnel(settings: Settings) -> None:
    counts = Counts(20, 12, {"bot": 3, "merge": 5})
    shown = metadata_of(put(settings, "curated_commits", {"1": (counts, {})}), settings)
    assert rows(shown, "funnel") == [("in", 20), ("merge", 5), ("bot", 3), ("out", 12)]
    assert str(shown["funnel, drawn"].value).startswith(PNG)
    assert rows(shown, "dropped by reason") == [("merge", 5), ("bot", 3)]


def left(wanted: int, accepted: int) -> dict[str, int]:
    return {**dict.fromkeys(STEPS, accepted), "wanted": wanted, "answered": wanted}


def test_task_prompts_show_a_funnel_of_each_style_and_a_page_of_samples(
    settings: Settings,
) -> None:
    units = {
        "1": (Counts(20, 9, {"echo": 11}), {"funnel": {"terse": left(10, 4), "issue": left(8, 2)}}),
        "2": (
            Counts(20, 9, {"echo": 11}),
            {"funnel": {"terse": left(10, 5), "message": left(3, 3)}},
        ),
    }
    shown = metadata_of(put(settings, "task_prompts", units), settings)
    funnel = rows(shown, "funnel")
    assert funnel[0] == ("wanted", 8, 20, 3)
    assert funnel[-1] == ("accepted", 2, 9, 3)
    assert [name for name, *_ in funnel] == list(STEPS)
    assert (shown["accepted: terse"].value, shown["share: issue"].value) == (9, 0.25)
    assert str(shown["funnel, drawn"].value).startswith(PNG)
    page = Path(str(shown["random samples"].value))
    assert page == settings.paths.root.absolute() / "report" / "demo" / f"prompts-{SHARD}.html"
    assert page.exists()


@pytest.mark.parametrize("artifact", ["clones", "commits", "curated_commits", "task_prompts"])
def test_an_empty_shard_shows_counts_alone(artifact: str, settings: Settings) -> None:
    shown = metadata_of(put(settings, artifact, {}), settings)
    assert shown["rows out"] == dg.MetadataValue.int(0)
    assert not [name for name in shown if "drawn" in name or "by" in name or "sizes" in name]
