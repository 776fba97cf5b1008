"""Commands that ask the teacher: limits on what they spend, and the account of what they spent."""

import json
from pathlib import Path

import pytest

from awareness_pipeline.artifacts import Counts
from awareness_pipeline.cli import work
from awareness_pipeline.config import Reverse, Settings
from awareness_pipeline.standing import Standing
from awareness_pipeline.teacher.ledger import Ledger, Spent
from tests.pipeline.cli.conftest import Awareness

pytestmark = pytest.mark.xdist_group("cli")

ALONE = Awareness({})


def leave(folder: Path) -> None:
    """Two runs' ledgers."""
    Ledger(folder, "first").add(Spent("reverse", "big@1", 40, 3, 44, 9_000, 1_000, 0.0125, 6.0))
    Ledger(folder, "second").add(Spent("distil", "0123abcd", 8, 0, 8, 7_000, 500, 0.0, 60.0))


def test_the_ledger_is_shown_by_model_and_stage(tmp_path: Path) -> None:
    leave(tmp_path / "data" / "teacher" / "ledger")
    said = ALONE.ok("ledger").stdout
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()]
    assert ["reverse", "big@1", "40", "3", "44", "9,000", "1,000", "0.0125", "6.0"] in lines
    assert ["distil", "0123abcd", "8", "0", "8", "7,000", "500", "–", "60.0"] in lines


def test_machines_read_the_ledger_too(tmp_path: Path) -> None:
    leave(tmp_path / "shared" / "ledger")
    shared = str(tmp_path / "shared")
    found = json.loads(ALONE.ok("ledger", "--json", AWARENESS_TEACHER_CACHE=shared).stdout)
    assert [(one["model"], one["stage"]) for one in found] == [
        ("0123abcd", "distil"),
        ("big@1", "reverse"),
    ]
    assert found[1]["cost"] == 0.0125


def test_where_nothing_was_asked_the_ledger_is_empty(tmp_path: Path) -> None:
    assert json.loads(ALONE.ok("ledger", "--json").stdout) == []
    assert ALONE.ok("ledger").exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["tasks", "traces"])
def test_limits_of_the_command_line_stand_over_the_environment(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def stages(settings: Settings, names: list[str]) -> work.Work:
        limits.append((settings.teacher.max_cost, settings.teacher.max_tokens))
        return work.Work((), 0.0)

    monkeypatch.setattr(work, "run_stages", stages)
    env = {"AWARENESS_TEACHER_MAX_COST": "3", "AWARENESS_TEACHER_MAX_TOKENS": "900"}
    ALONE.ok(command)
    ALONE.ok(command, **env)
    ALONE.ok(command, "--max-cost", "0.5", **env)
    ALONE.ok(command, "--max-cost", "0.5", "--max-tokens", "7", **env)
    assert limits == [(None, None), (3.0, 900), (0.5, 900), (0.5, 7)]


def test_traces_take_what_is_asked_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stages(settings: Settings, names: list[str]) -> work.Work:
        asked.append((names, settings.distil))
        return work.Work((), 0.0)

    monkeypatch.setattr(work, "run_stages", stages)
    ALONE.ok("traces", "--recipe", "full")
    ALONE.ok("traces", "--target", "both", "--edit-form", "unified", "--multi-hop")
    ALONE.ok("traces", "--styles", "message, issue")
    (names, usual), (_, changed), (_, two) = asked
    assert names == ["distil"]
    assert (usual.target, usual.edit_form, usual.multi_hop_only) == (
        "teacher",
        "search-replace",
        False,
    )
    assert (changed.target, changed.edit_form, changed.multi_hop_only) == ("both", "unified", True)
    assert two.styles == ("issue", "message")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--styles=issue,haiku", "--styles takes some of issue, imperative, terse, message, not"),
        ("--styles=,", "not none"),
        ("--target=none", "Invalid value for '--target'"),
        ("--edit-form=prose", "Invalid value for '--edit-form'"),
    ],
)
def test_what_traces_cannot_be_is_refused(option: str, said: str) -> None:
    refused = ALONE("traces", option)
    assert refused.exit_code == 2
    assert said in refused.output


def test_styles_and_the_judge_are_chosen_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = []

    def stages(settings: Settings, names: list[str]) -> work.Work:
        chosen.append((names, settings.reverse.styles, settings.reverse.judge))
        return work.Work((), 0.0)

    monkeypatch.setattr(work, "run_stages", stages)
    usual = Reverse()
    ALONE.ok("tasks")
    ALONE.ok("tasks", "--styles", "terse,issue", "--judge")
    ALONE.ok("tasks", "--styles", " terse ", "--no-judge")
    assert chosen == [
        (["reverse"], usual.styles, usual.judge),
        (["reverse"], ("issue", "terse"), True),
        (["reverse"], ("terse",), False),
    ]
    for wrong in ("epic", "terse,epic", "message", ","):
        refused = ALONE("tasks", "--styles", wrong)
        assert refused.exit_code == 2
        assert "--styles takes some of issue, imperative, terse" in refused.output


def test_work_left_pending_is_not_called_done() -> None:
    def work_of(counts: Counts) -> work.Work:
        return work.Work((Standing("reverse", "task_prompts", counts, 1.0, partitions=1),), 0.0)

    assert work_of(Counts(3, 3)).nothing_to_do
    assert not work_of(Counts(4, 3, {"pending": 1})).nothing_to_do


@pytest.mark.parametrize("option", ["--max-cost=-1", "--max-tokens=-1", "--max-tokens=some"])
def test_a_limit_that_is_none_is_refused(option: str) -> None:
    assert ALONE("tasks", option).exit_code == 2
