"""Digests: equal for identical outputs, whatever the times and layouts; different otherwise."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lance
import pyarrow as pa
import pytest

from awareness_pipeline.artifacts import Counts, Place, place, writing
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.digest import digests, file_digest, lance_digest
from awareness_pipeline.records import Repository
from awareness_pipeline.units import Outcome, Unit, close, finish_unit

Make = Callable[..., Settings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make the outputs of a small run below a folder."""

    def run(name: str, *, text: str = "row\n", seconds: float = 1.0, stars: int = 5) -> Settings:
        settings = replace(demo(), paths=Paths(root=tmp_path / name))
        here = place(settings, "commits", "000", {"max_commits": 3})
        leave(here, text, seconds)
        with Catalog(settings.paths.database_url) as catalog:
            catalog.upsert([repository(stars, str(tmp_path / name))])
        return settings

    return run


def leave(here: Place, text: str, seconds: float) -> None:
    with writing(here.folder / "7.jsonl") as aside:
        aside.write_text(text)
    unit = Unit("7", {"clones": "digest"})
    finish_unit(here, unit, Outcome(Counts(2, 1, {"bot": 1}), ("7.jsonl",)), seconds)
    close(here, [unit], fresh=1, seconds=seconds)


def repository(stars: int, local_path: str) -> Repository:
    return Repository(
        repo_id=7,
        host="127.0.0.1",
        external_id="1",
        full_name="owner/name",
        language="Go",
        stars=stars,
        forks=0,
        size_kb=1,
        default_branch="main",
        licence=None,
        fork=False,
        archived=False,
        created_at="2024-01-01T00:00:00Z",
        pushed_at="2024-01-01T00:00:00Z",
        local_path=local_path,
    )


def whole(settings: Settings) -> str:
    return str(digests(settings.paths, "demo")["digest"])


def test_same_outputs_made_elsewhere_in_other_times_have_the_same_digest(make: Make) -> None:
    assert digests(make("a").paths, "demo") == digests(make("b", seconds=9.0).paths, "demo")


def test_a_changed_file_changes_its_artifact_and_the_whole_and_nothing_else(make: Make) -> None:
    one, two = make("a"), make("b", text="other\n")
    before, after = digests(one.paths, "demo"), digests(two.paths, "demo")
    changed = {
        noun
        for noun, found in before["artifacts"].items()
        if found["digest"] != after["artifacts"][noun]["digest"]
    }
    assert changed == {"commits"}
    assert before["catalog"] == after["catalog"]
    assert before["digest"] != after["digest"]


def test_bytes_count_even_where_size_and_record_stay(make: Make) -> None:
    settings = make("a")
    before = whole(settings)
    (settings.paths.root / "commits" / "demo" / "000" / "7.jsonl").write_text("ROW\n")
    assert whole(settings) != before


def test_catalog_rows_count(make: Make) -> None:
    assert whole(make("a")) != whole(make("b", stars=6))


def test_a_later_crawl_with_the_same_findings_changes_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make("a")
    before = whole(settings)
    monkeypatch.setattr("awareness_pipeline.catalog.store.utc_now", lambda: "2030-01-01T00:00:00Z")
    with Catalog(settings.paths.database_url) as catalog:
        catalog.upsert(catalog.repositories("127.0.0.1"))
    assert whole(settings) == before


def test_what_other_versions_left_does_not_count(make: Make) -> None:
    settings = make("a")
    before = whole(settings)
    leave(place(replace(settings, version="other"), "commits", "000", {}), "row\n", 1.0)
    assert whole(settings) == before


def table(path: Path, parts: list[list[tuple[str, bytes]]]) -> Path:
    for part in parts:
        columns = {"id": [key for key, _ in part], "payload": [value for _, value in part]}
        lance.write_dataset(pa.table(columns), str(path), mode="append")
    return path


def test_lance_rows_count_and_their_order_and_fragments_do_not(tmp_path: Path) -> None:
    rows = [("a", b"1"), ("b", b"2"), ("c", b"3")]
    one = table(tmp_path / "one.lance", [rows])
    two = table(tmp_path / "two.lance", [[rows[2]], [rows[1], rows[0]]])
    other = table(tmp_path / "other.lance", [[rows[0], rows[1], ("c", b"4")]])
    assert lance_digest(one) == lance_digest(two)
    assert lance_digest(one) != lance_digest(other)


def test_when_a_lance_row_was_written_does_not_count(tmp_path: Path) -> None:
    for name, time in (("one", 1), ("two", 2)):
        lance.write_dataset(pa.table({"id": ["a"], "written": [time]}), str(tmp_path / name))
    assert lance_digest(tmp_path / "one") == lance_digest(tmp_path / "two")


def test_lance_tables_below_an_artifact_are_part_of_its_digest(make: Make) -> None:
    settings = make("a")
    before = digests(settings.paths, "demo")
    table(settings.paths.root / "memory_shards" / "demo" / "store" / "memory.lance", [[("a", b"")]])
    after = digests(settings.paths, "demo")
    assert before["artifacts"]["memory_shards"] != after["artifacts"]["memory_shards"]
    assert before["artifacts"]["commits"] == after["artifacts"]["commits"]


def test_file_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    for name, text in (("a", "x" * 3_000_000), ("b", "x" * 3_000_000), ("c", "x" * 2_999_999)):
        (tmp_path / name).write_text(text)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")
