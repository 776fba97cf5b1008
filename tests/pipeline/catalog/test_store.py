"""Repositories and stage progress."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import NoResultFound

from awareness_pipeline.catalog import Catalog
from awareness_pipeline.records import repo_id_of, shard_of
from tests.pipeline.catalog.rows import HOST, repository

ONE, TWO, THREE = (repository(number).repo_id for number in (1, 2, 3))
LONG_AGO, SOME_DAY, NEVER = (f"{year}-01-01T00:00:00Z" for year in (2001, 2002, 2999))


def ids(rows: list[Any]) -> set[str]:
    return {row.external_id for row in rows}


def chosen(catalog: Catalog, host: str = HOST) -> set[str]:
    selected = catalog.selected(host)
    return {row.external_id for row in catalog.repositories(host) if row.repo_id in selected}


def seen(catalog: Catalog, repo_id: int, time: str) -> None:
    """Let a repository be one that was last heard of at `time`."""
    with catalog._engine.begin() as connection:
        connection.execute(
            text("UPDATE repositories SET checked_at = :time WHERE repo_id = :id"),
            {"time": time, "id": repo_id},
        )


def test_what_is_stored_comes_back_as_it_was(catalog: Catalog) -> None:
    rows = [
        repository(1, updated_at="2026-01-01T00:00:00Z", fork=True, stars=2**31 - 1),
        repository(2, licence=None, topics=(), archived=True, disabled=True, node_id="R_2"),
        repository(3, external_id=str(2**53), repo_id=2**63 - 1, default_branch="ü/🌍"),
    ]
    assert catalog.upsert(rows) == 3
    assert catalog.repositories(HOST) == sorted(rows, key=lambda row: row.repo_id)


def test_storing_again_changes_nothing_and_counts_nothing_new(catalog: Catalog) -> None:
    rows = [repository(number) for number in range(1, 1_200)]
    assert catalog.upsert(rows) == 1_199
    before = catalog.rows()
    assert catalog.upsert(rows) == 0
    assert catalog.upsert([*rows[:3], repository(5_000)]) == 1
    assert [row for row in catalog.rows() if row["external_id"] != "5000"] == before


def test_nothing_is_stored_of_nothing(catalog: Catalog) -> None:
    assert catalog.upsert([]) == 0
    assert catalog.rows() == []


def test_the_same_repository_twice_in_one_answer_is_one_row(catalog: Catalog) -> None:
    assert catalog.upsert([repository(1, stars=3), repository(1, stars=4)]) == 1
    assert [row.stars for row in catalog.repositories(HOST)] == [4]


def test_renamed_and_transferred_repository_is_the_same_row(catalog: Catalog) -> None:
    catalog.upsert([repository(1)])
    moved = repository(1, full_name="new-owner/new-name", stars=99, language="C")
    assert catalog.upsert([moved]) == 0
    assert catalog.repositories(HOST) == [moved]
    assert catalog.named(HOST) == {"new-owner/new-name": repo_id_of(HOST, "1")}


def test_new_owner_of_an_old_name_is_another_row(catalog: Catalog) -> None:
    catalog.upsert([repository(1)])
    catalog.upsert([repository(1, full_name="new/name"), repository(2, full_name="owner/r1")])
    assert catalog.named(HOST) == {"new/name": ONE, "owner/r1": TWO}


def test_seeing_again_keeps_when_it_was_found_and_how_far_it_is(catalog: Catalog) -> None:
    catalog.upsert([repository(1)])
    catalog.note("demo", "clone", ONE)
    with catalog._engine.begin() as connection:
        connection.execute(text(f"UPDATE repositories SET discovered_at = '{LONG_AGO}'"))
    catalog.upsert([repository(1, stars=99, pushed_at="2026-01-01T00:00:00Z")])
    with catalog._engine.connect() as connection:
        found = connection.execute(text("SELECT discovered_at, checked_at FROM repositories"))
        discovered, checked = found.one()
    assert discovered == LONG_AGO
    assert checked > LONG_AGO
    assert catalog.progress("demo") == {"clone": {"done": 1}}


def test_hosts_do_not_mix(catalog: Catalog) -> None:
    catalog.upsert([repository(1)])
    assert catalog.repositories("github.com") == []
    assert catalog.count("github.com") == 0
    assert catalog.named("github.com") == {}
    assert catalog.states("github.com") == {"selected": 0}
    assert catalog.unchecked("github.com", NEVER) == []


def test_language_is_matched_whatever_its_case(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2, language="C#")])
    assert ids(catalog.repositories(HOST, language="nim")) == {"1"}
    assert catalog.repositories(HOST, language="") == []
    assert catalog.count(HOST, "NIM") == 1
    assert catalog.count(HOST) == 2


def test_only_repositories_below_the_local_folder_are_returned(
    catalog: Catalog, tmp_path: Path
) -> None:
    inside, beside = tmp_path / "a" / "one", tmp_path / "ab" / "two"
    catalog.upsert([repository(1, local_path=str(inside)), repository(2, local_path=str(beside))])
    assert ids(catalog.repositories(HOST, under=tmp_path / "a")) == {"1"}


def test_a_shard_is_what_its_number_says(catalog: Catalog) -> None:
    rows = [repository(number) for number in range(20)]
    rows.append(repository(99, repo_id=2**63 - 1))
    catalog.upsert(rows)
    catalog.select(HOST, {row.repo_id for row in rows[::2]})
    for number in range(3):
        of_shard = {row.repo_id for row in rows if shard_of(row.repo_id, 3) == f"{number:03d}"}
        found = catalog.repositories(HOST, shard=(number, 3))
        assert {row.repo_id for row in found} == of_shard
        selected = catalog.selected(HOST)
        assert catalog.selected(HOST, (number, 3)) == of_shard & selected
        assert of_shard & selected


def test_namesakes_are_those_that_share_a_name_whatever_its_case(catalog: Catalog) -> None:
    rows = [repository(1), repository(2, full_name="Owner/R1"), repository(3)]
    catalog.upsert([*rows, repository(4, host="github.com", full_name="owner/r3")])
    assert ids(catalog.namesakes(HOST)) == {"1", "2"}
    catalog.opt_out(HOST, "owner")
    assert catalog.namesakes(HOST) == []


@pytest.mark.parametrize(
    ("state", "shown"), [("gone", True), ("blocked", False), ("private", False)]
)
def test_withdrawn_repositories_are_hidden_until_they_are_back(
    catalog: Catalog, state: str, shown: bool
) -> None:
    catalog.upsert([repository(1), repository(2)])
    catalog.mark(ONE, state)
    assert ids(catalog.repositories(HOST)) == ({"1", "2"} if shown else {"2"})
    assert catalog.states(HOST) == {"alive": 1, state: 1, "selected": 2}
    assert catalog.count(HOST) == 2
    catalog.upsert([repository(1)])
    assert ids(catalog.repositories(HOST)) == {"1", "2"}


def test_marking_what_nobody_knows_is_an_error(catalog: Catalog) -> None:
    with pytest.raises(NoResultFound):
        catalog.mark(ONE, "gone")


def test_unchecked_are_those_unheard_of_longest_ago_first(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2), repository(3), repository(4, full_name="out/x")])
    catalog.opt_out(HOST, "out")
    catalog.mark(TWO, "private")
    for repo_id, time in [(ONE, SOME_DAY), (TWO, LONG_AGO)]:
        seen(catalog, repo_id, time)
    seen(catalog, repository(4).repo_id, LONG_AGO)
    assert [row.external_id for row in catalog.unchecked(HOST, "2025-01-01T00:00:00Z")] == [
        "2",
        "1",
    ]
    assert [row.external_id for row in catalog.unchecked(HOST, SOME_DAY)] == ["2"]
    catalog.mark(TWO, "gone")
    assert [row.external_id for row in catalog.unchecked(HOST, "2025-01-01T00:00:00Z")] == ["1"]
    catalog.upsert([repository(1)])
    assert catalog.unchecked(HOST, "2025-01-01T00:00:00Z") == []
    assert ids(catalog.unchecked(HOST, NEVER)) == {"1", "2", "3"}


def test_everything_found_is_selected_at_first(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2)])
    assert chosen(catalog) == {"1", "2"}


def test_choice_marks_and_keeps_everything(catalog: Catalog) -> None:
    catalog.upsert([repository(number) for number in (1, 2, 3)])
    catalog.select(HOST, {ONE})
    assert chosen(catalog) == {"1"}
    assert len(catalog.repositories(HOST)) == 3
    assert catalog.states(HOST) == {"alive": 3, "selected": 1}
    catalog.select(HOST, [TWO, THREE, 12345])
    assert chosen(catalog) == {"2", "3"}


def test_seeing_again_keeps_the_choice(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2)])
    catalog.select(HOST, {ONE})
    catalog.upsert([repository(1, stars=5), repository(2, stars=5), repository(3)])
    assert chosen(catalog) == {"1", "3"}


def test_choice_of_one_host_leaves_the_others_alone(catalog: Catalog) -> None:
    elsewhere = repository(9, host="github.com", repo_id=repo_id_of("github.com", "9"))
    catalog.upsert([repository(1), elsewhere])
    catalog.select(HOST, [])
    assert catalog.selected(HOST) == set()
    assert chosen(catalog, "github.com") == {"9"}


def test_asked_for_by_name_is_selected_whatever_is_chosen(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2)])
    catalog.select(HOST, [])
    catalog.upsert([repository(2), repository(3)], listed=True)
    assert chosen(catalog) == {"2", "3"}
    catalog.select(HOST, {ONE})
    catalog.upsert([repository(2), repository(3)])
    assert chosen(catalog) == {"1", "2", "3"}


def test_known_repositories_can_be_asked_for_by_name(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2)])
    catalog.select(HOST, [])
    catalog.enlist([])
    catalog.enlist([TWO])
    catalog.select(HOST, [])
    assert chosen(catalog) == {"2"}


def test_progress_counts_repositories_by_stage_and_state(catalog: Catalog) -> None:
    catalog.upsert([repository(1), repository(2)])
    catalog.note("demo", "clone", ONE)
    catalog.note("demo", "clone", TWO, "gone")
    catalog.note("demo", "extract", ONE)
    catalog.note("other", "clone", ONE)
    assert catalog.progress("demo") == {"clone": {"done": 1, "failed": 1}, "extract": {"done": 1}}
    catalog.note("demo", "clone", TWO)
    assert catalog.progress("demo")["clone"] == {"done": 2}


def test_digest_rows_hold_neither_times_nor_this_machines_paths(catalog: Catalog) -> None:
    catalog.upsert([repository(2, local_path="/somewhere"), repository(1)])
    rows = catalog.rows()
    assert [row["repo_id"] for row in rows] == sorted(row["repo_id"] for row in rows)
    assert not {"local_path", "discovered_at", "checked_at"} & rows[0].keys()
