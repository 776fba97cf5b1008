"""In a run a check passes over what it found sound and what has not changed since."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from awareness_pipeline.artifacts import Counts, place
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.defs import checks
from awareness_pipeline.defs.checks.check import Check, Problems, reading
from awareness_pipeline.units import Outcome, Unit, close, finish_unit

SHARDS = ("000", "001")
NUMBERS = ("looked at", "sound and unchanged")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = replace(demo(), shards=2, paths=Paths(root=tmp_path))
    for shard in SHARDS:
        put(made, shard, "1")
    return made


def put(settings: Settings, shard: str, key: str) -> None:
    here = place(settings, "commits", shard, {})
    here.folder.mkdir(parents=True, exist_ok=True)
    finish_unit(here, unit := Unit(key, {}), Outcome(Counts(1, 1)))
    close(here, [unit], fresh=1)


def nothing_wrong(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Nothing is."""
    yield from ()


CHECK = Check("commits", "sound", nothing_wrong, mark=reading("commits"))


def opened(check: Check, settings: Settings) -> list[str]:
    return list(check.open_marks(settings, SHARDS))


def test_what_was_sound_is_looked_at_when_it_changes(settings: Settings) -> None:
    assert opened(CHECK, settings) == ["000", "001"]
    CHECK.found_sound(settings, CHECK.open_marks(settings, SHARDS))
    assert opened(CHECK, settings) == []
    put(settings, "001", "1")
    assert opened(CHECK, settings) == ["001"]


def test_one_that_holds_partitions_against_one_another_looks_at_all(settings: Settings) -> None:
    check = replace(CHECK, across=True)
    check.found_sound(settings, check.open_marks(settings, SHARDS))
    assert opened(check, settings) == []
    put(settings, "001", "1")
    assert opened(check, settings) == ["000", "001"]


def test_one_without_a_mark_looks_at_all_every_time(settings: Settings) -> None:
    check = replace(CHECK, mark=None)
    check.found_sound(settings, check.open_marks(settings, SHARDS))
    assert opened(check, settings) == ["000", "001"]


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(SHARDS))
def commits() -> None:
    """Nothing is done: what lies on the disk is what is checked."""


def test_a_run_says_what_it_looked_at_and_finds_again_what_is_wrong(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[str] = []

    def named(settings: Settings, partitions: Sequence[str]) -> Problems:
        """None is named."""
        yield from (one for one in partitions if one in wrong)

    monkeypatch.setattr(checks, "CHECKS", (replace(CHECK, find=named),))

    def told() -> tuple[bool, int, int]:
        (check,) = checks.asset_checks(settings)
        found = dg.materialize([commits, check], partition_key="001")
        (one,) = found.get_asset_check_evaluations()
        numbers = [int(str(one.metadata[name].value)) for name in NUMBERS]
        return one.passed, numbers[0], numbers[1]

    wrong.append("001")
    assert told() == (False, 1, 0)
    assert told() == (False, 1, 0)
    wrong.clear()
    assert told() == (True, 1, 0)
    assert told() == (True, 0, 1)
    put(settings, "001", "1")
    wrong.append("001")
    assert told() == (False, 1, 0)
