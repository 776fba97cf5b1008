"""Commands that look: what machines and people get to read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from awareness_pipeline.artifacts import Counts
from awareness_pipeline.catalog import Catalog, Pass, SearchRange
from awareness_pipeline.cli import work
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.flow import STAGES
from awareness_pipeline.github.tiers import TIERS, search_names
from awareness_pipeline.records import Repository, repo_id_of
from awareness_pipeline.standing import standings
from tests.pipeline.cli.conftest import Awareness
from tests.pipeline.test_report import EVALUATION, EVIDENCE, leave

pytestmark = pytest.mark.xdist_group("cli")

ALONE = Awareness({})
"""The command line without a sandbox."""


HOST = "api.github.com"
SINCE, UNTIL = "2026-07-01T03:00:00Z", "2026-07-01T03:58:12Z"


def settings_at(root: Path) -> Settings:
    return replace(demo(), paths=Paths(root=root))


def test_report_prints_numbers_of_the_newest_version(finished: tuple[Path, Result]) -> None:
    root = finished[0]
    found = json.loads(ALONE.ok("report", "--root", root, "--json").stdout)
    assert found["version"] == "demo"
    assert [one["name"] for one in found["stages"]] == list(STAGES)
    by_name = {one["name"]: one for one in found["stages"]}
    assert by_name["curate"]["in"] == by_name["extract"]["out"] > 0
    dropped = sum(by_name["curate"]["dropped"].values())
    assert by_name["curate"]["in"] == by_name["curate"]["out"] + dropped
    assert found["evaluation"] is None


def test_report_writes_a_page_and_says_where(tmp_path: Path) -> None:
    leave(settings_at(tmp_path / "data"), "repositories", "Go", Counts(1, 1))
    result = ALONE.ok("report")
    assert result.stdout == "data/report/demo/index.html\n"
    assert (tmp_path / "data" / "report" / "demo" / "index.html").read_text().endswith("</html>\n")


def test_the_version_can_come_from_the_environment(tmp_path: Path) -> None:
    leave(settings_at(tmp_path / "data"), "repositories", "Go", Counts(1, 1))
    assert ALONE("report", "--json", AWARENESS_VERSION="other").exit_code == 2
    assert ALONE("report", "--json", AWARENESS_VERSION="demo").exit_code == 0


def test_a_recipe_stands_for_the_version_it_names(tmp_path: Path) -> None:
    leave(settings_at(tmp_path / "data"), "repositories", "Go", Counts(1, 1))
    assert ALONE("report", "--recipe", "pilot", "--json").exit_code == 2
    assert ALONE("report", "--recipe", "demo", "--json").exit_code == 0
    assert ALONE("digest", "--recipe", "pilot").exit_code == 2


def test_digest_is_the_same_for_the_same_outputs(finished: tuple[Path, Result]) -> None:
    root = finished[0]
    found = json.loads(ALONE.ok("digest", "--root", root, "--json").stdout)
    shown = ALONE.ok("digest", "--root", root).stdout
    assert f"{found['digest']}  version demo" in shown
    assert f"{found['artifacts']['commits']['digest']}  commits" in shown


def test_two_runs_of_the_flow_leave_equal_digests(
    awareness: Awareness, finished: tuple[Path, Result], tmp_path: Path
) -> None:
    awareness.ok("full", "--root", tmp_path / "again")
    one, two = (
        json.loads(ALONE.ok("digest", "--root", root, "--json").stdout)
        for root in (finished[0], tmp_path / "again")
    )
    assert one == two


def test_doctor_answers_machines_and_ends_with_one_where_something_is_missing(
    tmp_path: Path,
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    good = ALONE("doctor", "--json", AWARENESS_MODEL=str(model), GITHUB_TOKEN="hidden-token")
    assert good.exit_code == 0
    assert {one["state"] for one in json.loads(good.stdout)} == {"ok"}
    assert "hidden-token" not in good.output
    bad = ALONE("doctor", AWARENESS_MODEL=str(tmp_path / "absent"))
    assert bad.exit_code == 1
    assert "missing   model" in bad.stdout
    assert "make models" in bad.stdout


def put_language(
    catalog: Catalog, language: str, *, found: int, expected: int, state: str = "done"
) -> None:
    """Store repositories of a language, found by one search that announced `expected`."""
    rows = [
        Repository(
            repo_id=repo_id_of(HOST, f"{language}{number}"),
            host=HOST,
            external_id=f"{language}{number}",
            full_name=f"owner/{language}{number}",
            language=language,
            stars=100,
            forks=0,
            size_kb=1,
            default_branch="main",
            licence=None,
            fork=False,
            archived=False,
            created_at="",
            pushed_at="",
        )
        for number in range(found)
    ]
    catalog.upsert(rows)
    searches = catalog.searches(HOST)
    tier = next(tier.name for tier in TIERS if language in tier.languages)
    part = SearchRange(tier, language, 10, -1)
    searches.begin(Pass(language, "full"), [part])
    searches.asked(language, 2, SINCE, expected)
    if state == "open":
        searches.count(part, expected, found)
        return
    searches.finish(part, found if state == "done" else expected, found)
    searches.end(language, UNTIL)


def cells(said: str) -> list[list[str]]:
    """The rows of every table printed."""
    lines = [line for line in said.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """The root of a catalog whose languages are short, half asked, and drifted."""
    root = tmp_path / "data"
    with Catalog(settings_at(root).paths.database_url) as catalog:
        put_language(catalog, "Python", found=6, expected=8, state="short")
        put_language(catalog, "Go", found=3, expected=1_203, state="open")
        put_language(catalog, "Haskell", found=4, expected=5)
        put_language(catalog, "Zig", found=2, expected=2)
        catalog.mark(repo_id_of(HOST, "Zig1"), "private")
        catalog.mark(repo_id_of(HOST, "Zig0"), "gone")
    return root


def test_stats_show_what_was_announced_got_and_missing(searched: Path) -> None:
    said = ALONE.ok("stats", "--root", searched, "--recipe", "full").stdout
    assert f"14 repositories of {HOST} (alive 13, gone 1, private 1, selected 15)" in said
    rows = cells(said)
    dates = ["2026-07-01 03:00", "2026-07-01 03:58"]
    begun = ["2026-07-01 03:00", "–"]
    missing = ["1,202: 2 short, 1,200 not asked", "1 short, 1 open"]
    assert ["mainstream", "1 of 15", "9", "full", "4", "1,211", "9", *missing] in rows
    assert ["niche", "1 of 31", "4", "full", "2", "5", "4", "1 drift", "1 done"] in rows
    languages = [row for row in rows if len(row) == 10]
    assert [row[0] for row in languages if row[0]] == ["Python", "Haskell", "Go", "Zig"]
    assert languages[0][1:] == ["6", *dates, "full", "2", "8", "6", "2 short", "1 short"]
    assert languages[2][1:] == [
        "3",
        *begun,
        "full",
        "2",
        "1,203",
        "3",
        "1,200 not asked",
        "1 open",
    ]
    assert languages[3][1:] == ["1", *dates, "full", "2", "2", "2", "–", "1 done"]


def test_stats_name_the_languages_never_asked_in_a_line(searched: Path) -> None:
    (line,) = [
        line
        for line in ALONE.ok(
            "stats", "--root", searched, "--recipe", "pilot", "--version", "x"
        ).stdout.splitlines()
        if line.startswith("never asked: ")
    ]
    assert line.startswith("never asked: JavaScript, TypeScript, Java, Rust, C++")
    assert "Unison" not in line


def test_stats_give_machines_the_same(searched: Path) -> None:
    found = json.loads(ALONE.ok("stats", "--root", searched, "--recipe", "full", "--json").stdout)
    assert found["states"] == {"alive": 13, "gone": 1, "private": 1, "selected": 15}
    by_language = {one["language"]: one for one in found["passes"]}
    python = by_language["Python"]
    assert {name: python[name] for name in ("expected", "got", "missing", "short", "drift")} == {
        "expected": 8,
        "got": 6,
        "missing": 2,
        "short": 2,
        "drift": 0,
    }
    assert (python["kind"], python["started_at"], python["finished_at"]) == ("full", SINCE, UNTIL)
    assert by_language["Go"]["finished_at"] == ""
    assert by_language["Haskell"]["drift"] == 1
    (niche,) = [one for one in found["coverage"] if one["tier"] == "niche"]
    assert (niche["finished"], niche["languages"], niche["found"], niche["calls"]) == (1, 31, 4, 2)
    assert "Rust" in found["never_asked"]
    assert found["unknown_to_search"] == ["Unison", "Vale"]


def test_stats_of_all_languages_are_a_row_each(tmp_path: Path) -> None:
    root = tmp_path / "data"
    names = [name for tier in TIERS for name in tier.languages if search_names(name)]
    with Catalog(settings_at(root).paths.database_url) as catalog:
        for number, name in enumerate(names):
            put_language(catalog, name, found=number % 7, expected=number % 7)
    said = ALONE.ok("stats", "--root", root, "--recipe", "full").stdout
    rows = [row for row in cells(said) if len(row) == 10]
    assert sorted(row[0] for row in rows) == sorted(names)
    assert [int(row[1]) for row in rows] == sorted((int(row[1]) for row in rows), reverse=True)
    assert "never asked" not in said
    assert max(len(line) for line in said.splitlines()) <= 150


def test_stats_show_a_full_pass_that_lacks_something_below_the_incremental_one(
    searched: Path,
) -> None:
    with Catalog(settings_at(searched).paths.database_url) as catalog:
        searches = catalog.searches(HOST)
        for name, tier in (("Python", "mainstream"), ("Haskell", "niche")):
            part = SearchRange(tier, name, 10, -1, pushed_min=SINCE)
            full = searches.passes()[name].expected
            began = Pass(name, "incremental", 1, covered_from=SINCE, expected=full)
            searches.begin(began, [part])
            searches.asked(name, 1, "2026-07-08T03:00:00Z", 1)
            searches.finish(part, 1, 1)
    said = ALONE.ok("stats", "--root", searched, "--recipe", "full").stdout
    rows = [row for row in cells(said) if len(row) == 10]
    first, second, third = rows[:3]
    assert (first[0], first[4], first[8]) == ("Python", "incremental", "–")
    assert (second[0], second[4], second[8]) == ("", "full", "2 short")
    assert (third[0], third[4]) == ("Haskell", "incremental")


@pytest.mark.parametrize("as_machine", [True, False])
def test_a_finished_flow_tells_its_evidence_and_its_evaluation(
    as_machine: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_at(tmp_path / "data")
    leave(settings, "commits", "000", Counts(9, 7, {"bot": 2}), seconds=3.25)
    leave(settings, "evaluation", "all", Counts(12, 12), extra=EVALUATION)
    leave(settings, "data_evidence", "all", Counts(2, 1), extra=EVIDENCE)
    found = standings(settings.paths, "demo", {"evaluate": 1})
    work.tell(settings, work.Work(found, 4.0), as_machine=as_machine)
    said = capsys.readouterr().out
    if as_machine:
        assert json.loads(said)["evaluation"]["kv"]["S"] == 1.48
        assert json.loads(said)["evidence"] == EVIDENCE
        return
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()]
    assert ["extract", "9", "7", "bot 2", "3.2", "done"] in lines
    assert ["evaluate", "12", "12", "–", "1.5", "fresh (1)"] in lines
    assert ["reverse", "0", "0", "–", "0.0", "not run"] in lines
    assert ["kv", "1.06", "2.54", "2.92", "0.69", "1.48 [1.10, 1.90]", "0.83"] in lines
    compared = ["issue prompts", "another commit of the repository"]
    assert [*compared, "1,200", "9", "1.000", "1.200", "0.200", "0.100 to 0.300"] in lines
    assert f"not clear of 0: {EVIDENCE['unclear'][0]}" in said
    assert ["latent", "2.50", "2.60", "2.92", "0.69", "0.10 [-0.10, 0.30]", "–"] in lines
    assert "done in 4 s" in said
