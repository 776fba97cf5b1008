"""What Dagster shows and checks of the evidence on prompts and traces."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from awareness_pipeline.artifacts import Record, place
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.defs.checks import CHECKS, look
from awareness_pipeline.defs.reports import metadata_of
from tests.pipeline.defs.outputs import finish

MEASURE: dict[str, Any] = {
    "kind": "prompt",
    "group": "terse",
    "control": "same",
    "D": 0.2,
    "D_ci": [0.1, 0.3],
    "nll": {"own": 1.0, "control": 1.2},
    "n_repos": 9,
    "n_items": 20,
    "n_tokens": 900,
    "above": 8,
    "alike": 0,
    "headline": True,
    "clear": True,
    "why": "",
}
ABSENT = {**MEASURE, "D": None, "D_ci": None, "clear": False, "why": "nothing to measure: none"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(demo(), paths=Paths(root=tmp_path))


def put(settings: Settings, *measures: dict[str, Any]) -> Record:
    unclear = [f"{one['group']}: {one['why']}" for one in measures if one["why"]]
    extra = {"measures": list(measures), "unclear": unclear}
    return finish(place(settings, "data_evidence", "all", {}), "evidence", extra=extra)


def found(settings: Settings, name: str) -> list[str]:
    check = next(check for check in CHECKS if check.name == name)
    return look(check, settings, ["all"])


def test_sound_and_clear_evidence_passes(settings: Settings) -> None:
    put(settings, MEASURE, {**MEASURE, "kind": "gain", "clear": False, "headline": False})
    assert found(settings, "differences_sound") == []
    assert found(settings, "clear_of_zero") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"D": 0.25}, "D is 0.25, but 1.2 - 1.0 is not"),
        ({"D_ci": [0.3, 0.4]}, "outside its interval"),
        ({"D_ci": [0.1, float("nan")]}, "not finite"),
        ({"D": None, "D_ci": None}, "does not say why"),
    ],
)
def test_unsound_evidence_is_found(settings: Settings, changes: dict[str, Any], said: str) -> None:
    put(settings, {**MEASURE, **changes})
    assert said in "\n".join(found(settings, "differences_sound"))


def test_what_is_not_clear_of_0_is_told_with_its_reason(settings: Settings) -> None:
    put(settings, {**MEASURE, "D_ci": [-0.1, 0.3], "clear": False, "why": "few"}, ABSENT)
    first, second = found(settings, "clear_of_zero")
    assert first.startswith("terse prompts, against another commit of the repository: D 0.2")
    assert first.endswith("in [-0.1, 0.3], few")
    assert second.endswith("nothing to measure: none")
    check = next(check for check in CHECKS if check.name == "clear_of_zero")
    assert check.severity is dg.AssetCheckSeverity.WARN


def test_differences_are_numbers_over_time_and_a_picture(settings: Settings) -> None:
    shown = metadata_of(put(settings, MEASURE, ABSENT), settings)
    name = "D: terse prompts, against another commit of the repository"
    assert shown[name] == dg.MetadataValue.float(0.2)
    assert str(shown["differences"].value).startswith("![](data:image/png;base64,iVBOR")
    assert "nothing to measure" in str(shown["not clear of 0"].value)


def test_where_nothing_was_measured_counts_alone_are_shown(settings: Settings) -> None:
    assert "differences" not in metadata_of(put(settings, ABSENT), settings)
