"""A partition that is as its last run left it is told apart from one that is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from awareness_pipeline import seen
from awareness_pipeline.artifacts import Counts, Place, Record, place, writing
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, forget

FACTS = "what was given"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(demo(), paths=Paths(root=tmp_path))


@pytest.fixture
def here(settings: Settings) -> Place:
    return place(settings, "commits", "001", {"merges": "label"})


def done(here: Place, failed: dict[str, int] | None = None) -> Record:
    units = [Unit(key, {}) for key in ("1", "2")]
    for unit in units:
        with writing(here.folder / f"{unit.key}.txt") as path:
            path.write_text("rows")
        finish_unit(here, unit, Outcome(Counts(1, 1), (f"{unit.key}.txt",)))
    return close(here, units, fresh=2, failed=failed, seconds=3.0)


def test_what_did_not_change_is_the_record_with_nothing_fresh(
    settings: Settings, here: Place
) -> None:
    record = done(here)
    assert seen.kept(settings, here, FACTS) is None
    assert seen.keep(settings, here, FACTS, record) == record
    assert seen.kept(settings, here, FACTS) == replace(record, fresh=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda here: (here.folder / "1.txt").unlink(),
        lambda here: (here.folder / "1.txt").write_text("cut"),
        lambda here: (here.folder / "2.record.json").unlink(),
        lambda here: (here.folder / "record.json").unlink(),
        lambda here: here.scratch.mkdir(),
        lambda here: (here.folder / ".1.txt.aside").touch(),
        lambda here: forget(here, ["1"]),
        done,
    ],
    ids=["gone", "cut", "no record", "no sum", "scratch", "aside", "forgotten", "done anew"],
)
def test_any_change_of_the_folder_asks_for_the_full_pass(
    settings: Settings, here: Place, change: Callable[[Place], object]
) -> None:
    seen.keep(settings, here, FACTS, done(here))
    change(here)
    assert seen.kept(settings, here, FACTS) is None


def test_so_do_other_settings_and_other_facts(settings: Settings, here: Place) -> None:
    seen.keep(settings, here, FACTS, done(here))
    assert seen.kept(settings, here, "others") is None
    assert seen.kept(settings, replace(here, settings={"merges": "first-parent"}), FACTS) is None
    assert seen.kept(settings, here, FACTS) is not None


def test_what_failed_is_never_passed_over(settings: Settings, here: Place) -> None:
    seen.keep(settings, here, FACTS, done(here, {"failed: network": 1}))
    assert seen.kept(settings, here, FACTS) is None


def test_a_torn_or_lost_note_costs_time_only(settings: Settings, here: Place) -> None:
    record = done(here)
    seen.keep(settings, here, FACTS, record)
    (note,) = (settings.paths.root / ".seen").rglob("*.json")
    note.write_text(note.read_text()[:9])
    assert seen.kept(settings, here, FACTS) is None
    note.unlink()
    assert seen.kept(settings, here, FACTS) is None
    note.parent.rmdir()
    note.parent.touch()
    assert seen.keep(settings, here, FACTS, record) == record


def test_files_in_a_bucket_are_always_looked_at(settings: Settings, here: Place) -> None:
    seen.keep(settings, here, FACTS, done(here))
    far = replace(settings, paths=replace(settings.paths, store="s3://bucket/prefix"))
    assert seen.kept(far, here, FACTS) is None


def test_notes_of_several_stand_beside_one_another(settings: Settings, here: Place) -> None:
    record = done(here)
    seen.keep(settings, here, FACTS, record)
    seen.note(settings, "commits", "001", "rows_sound", "a mark")
    assert seen.passed(settings, "commits", "001", "rows_sound", "a mark")
    assert not seen.passed(settings, "commits", "001", "rows_sound", "another")
    assert not seen.passed(settings, "commits", "002", "rows_sound", "a mark")
    assert seen.kept(settings, here, FACTS) is not None


def test_a_listing_knows_a_file_that_was_replaced_by_one_of_the_same_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1234")
    before = seen.listing(tmp_path)
    with writing(tmp_path / "a") as path:
        path.write_text("5678")
    assert seen.listing(tmp_path) != before
    assert seen.listing(tmp_path / "none") == seen.listing(tmp_path / "nowhere")
