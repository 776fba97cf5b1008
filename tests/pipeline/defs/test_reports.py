"""What Dagster shows of a training and of an evaluation: numbers to plot, pictures to click on."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from awareness_pipeline.artifacts import place
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.defs.reports import metadata_of
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.ledger import Ledger, Spent
from tests.pipeline.defs.outputs import LAYOUT, finish, put_checkpoint, put_evaluation

PNG = "![](data:image/png;base64,iVBOR"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(demo(), paths=Paths(root=tmp_path))


def test_a_training_shows_its_last_losses_and_their_curve(settings: Settings) -> None:
    shown = metadata_of(put_checkpoint(settings, losses=(2.0, 1.5)), settings)
    assert shown["final loss"] == dg.MetadataValue.float(1.5)
    assert shown["steps"] == dg.MetadataValue.int(2)
    assert str(shown["loss curve"].value).startswith(PNG)


def test_counts_alone_are_shown_without_drawing(settings: Settings) -> None:
    shown = metadata_of(put_checkpoint(settings), settings, detailed=False)
    assert shown["rows out"] == dg.MetadataValue.int(1)
    assert not {"loss curve", "final loss"} & shown.keys()


def test_an_evaluation_shows_s_and_r_as_numbers_and_nll_by_condition(settings: Settings) -> None:
    latent = {**LAYOUT, "R": None}
    shown = metadata_of(put_evaluation(settings, {"kv": LAYOUT, "latent": latent}), settings)
    named = ("kv S", "kv S low", "kv S high", "kv R", "kv NLL own", "latent S")
    assert [shown[name].value for name in named] == [1.5, 1.0, 2.0, 0.8, 1.0, 1.5]
    assert "latent R" not in shown
    assert str(shown["NLL by condition"].value).startswith(PNG)


def test_what_the_teacher_cost_so_far_is_plotted(settings: Settings) -> None:
    books = Ledger(ledger_folder(settings), "one")
    for model in ("a", "b"):
        books.add(Spent("reverse", model, requests=2, prompt_tokens=30, cost=0.25))
    books.add(Spent("distil", "a", requests=1, prompt_tokens=5, cost=4.0))
    here = place(settings, "task_prompts", "001", {})
    shown = metadata_of(finish(here, "1"), settings)
    named = ("teacher: requests", "teacher: tokens", "teacher: cost")
    assert [shown[name].value for name in named] == [4, 60, 0.5]
    assert "teacher: cost" not in metadata_of(put_checkpoint(settings), settings)


def test_what_was_not_measured_shows_counts_alone(settings: Settings) -> None:
    shown = metadata_of(put_evaluation(settings, {}), settings)
    assert shown["rows out"] == dg.MetadataValue.int(1)
    assert "NLL by condition" not in shown
