"""From the first schema to this one and back, with rows in every table."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from awareness_pipeline.catalog import Catalog, Pass
from awareness_pipeline.catalog.engine import _engine, _migrate, _parsed, open_engine
from awareness_pipeline.catalog.tables import Base
from tests.pipeline.catalog.rows import HOST, RANGE, repository

FIRST = repository(1)
ROWS: dict[str, list[dict[str, Any]]] = {
    "repositories": [
        {
            "repo_id": FIRST.repo_id,
            "host": HOST,
            "external_id": "1",
            "node_id": "R_1",
            "full_name": "Owner/R1",
            "language": "Nim",
            "stars": 30,
            "forks": 2,
            "size_kb": 10,
            "default_branch": "main",
            "licence": "MIT",
            "fork": False,
            "archived": True,
            "topics": '["a"]',
            "created_at": "2020-01-01T00:00:00Z",
            "pushed_at": "2021-01-01T00:00:00Z",
            "local_path": None,
            "discovered_at": "2025-01-01T00:00:00Z",
            "checked_at": "2025-02-01T00:00:00Z",
        }
    ],
    "stage_progress": [
        {
            "version": "v",
            "stage": "clone",
            "repo_id": FIRST.repo_id,
            "state": "done",
            "attempts": 2,
            "last_error": "",
        }
    ],
    "opt_outs": [{"host": HOST, "name": "owner/r1"}, {"host": HOST, "name": "somebody"}],
    "crawl_runs": [
        {"host": HOST, "started_at": "2025-01-02T00:00:00Z", "finished_at": None, "calls": 3}
    ],
    "discovery_progress": [
        {
            "host": HOST,
            "tier": "niche",
            "language": "Nim",
            "stars_min": low,
            "stars_max": high,
            "created_min": "",
            "created_max": "",
            "expected": expected,
            "got": got,
            "state": state,
        }
        for low, high, expected, got, state in [
            (20, 99, 5, 5, "done"),
            (100, 199, 5, 4, "short"),
            (200, -1, None, 0, "open"),
        ]
    ],
}

DROPPED = {"crawl_runs": {"calls"}}
"""Columns of the first schema that are no longer there, for they told nothing."""


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    """A catalog of the first schema, with rows."""
    made = _engine(_parsed(empty_url))
    _migrate(made, to="0001")
    with made.begin() as connection:
        for table, rows in ROWS.items():
            names = rows[0].keys()
            values = ", ".join(f":{name}" for name in names)
            connection.execute(
                text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"), rows
            )
    yield made
    made.dispose()


def rows_of(engine: Engine, table: str) -> list[dict[str, Any]]:
    order = ", ".join(inspect(engine).get_pk_constraint(table)["constrained_columns"])
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}"))
        return [dict(row) for row in found.mappings()]


def keeps(engine: Engine) -> bool:
    """Whether every row of the first schema is there, whatever columns it has now."""
    for table, before in ROWS.items():
        names = before[0].keys() - DROPPED.get(table, set())
        then, now = (
            [{name: row[name] for name in names} for row in rows]
            for rows in (before, rows_of(engine, table))
        )
        assert now == then
    return True


def differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)


def test_migrations_give_the_schema_of_the_tables(empty_url: str) -> None:
    engine = open_engine(empty_url)
    assert differences(engine) == []
    engine.dispose()


def test_old_catalog_keeps_every_row(engine: Engine) -> None:
    _migrate(engine)
    assert keeps(engine)
    assert differences(engine) == []
    (row,) = rows_of(engine, "repositories")
    assert (row["disabled"], row["listed"], row["selected"]) == (False, False, True)
    assert (row["state"], row["updated_at"]) == ("alive", "")
    assert [row["kind"] for row in rows_of(engine, "crawl_runs")] == ["full"]


def test_old_catalog_goes_on_where_it_stopped(engine: Engine, empty_url: str) -> None:
    """Finished ranges belong to a pass, so they are not asked again."""
    with Catalog(empty_url) as catalog:
        searches = catalog.searches(HOST)
        begun = Pass("Nim", "full", started_at="2025-01-02T00:00:00Z")
        assert searches.passes() == {"Nim": begun}
        assert [one.stars_min for one in searches.ranges(state="open")] == [200]
        assert searches.found() == 9


def test_old_opt_out_holds_after_a_rename(engine: Engine, empty_url: str) -> None:
    with Catalog(empty_url) as catalog:
        assert [one.external_id for one in catalog.opt_outs(HOST)] == ["1", ""]
        catalog.upsert([repository(1, full_name="new/name")])
        assert catalog.repositories(HOST) == []


def test_down_and_up_again_keeps_what_the_old_schema_holds(engine: Engine) -> None:
    _migrate(engine)
    _migrate(engine, command.downgrade, "0001")
    assert keeps(engine)
    assert set(inspect(engine).get_table_names()) == {*ROWS, "alembic_version"}
    assert [row["calls"] for row in rows_of(engine, "crawl_runs")] == [0]
    _migrate(engine)
    assert keeps(engine)
    assert differences(engine) == []


def test_down_leaves_out_incremental_ranges(engine: Engine, empty_url: str) -> None:
    _migrate(engine)
    with Catalog(empty_url) as catalog:
        start = replace(RANGE, stars_max=99, pushed_min="2026-01-01T00:00:00Z")
        catalog.searches(HOST).begin(Pass("Nim", "incremental"), [start])
    _migrate(engine, command.downgrade, "0001")
    assert keeps(engine)


def test_old_schema_refuses_what_the_new_one_refuses(engine: Engine) -> None:
    """The way back leaves the constraint on ranges in place, under a name the way up finds."""
    _migrate(engine)
    _migrate(engine, command.downgrade, "0001")
    (found,) = inspect(engine).get_unique_constraints("discovery_progress")
    assert "pushed_min" not in found["column_names"]
    assert len(found["column_names"]) == 7


def test_rows_stay_bound_to_their_repository(engine: Engine) -> None:
    _migrate(engine)
    (key,) = inspect(engine).get_foreign_keys("stage_progress")
    assert key["referred_table"] == "repositories"
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_opening_a_current_catalog_changes_nothing(empty_url: str) -> None:
    Catalog(empty_url).close()
    engine = _engine(_parsed(empty_url))
    before = rows_of(engine, "alembic_version")
    Catalog(empty_url).close()
    assert rows_of(engine, "alembic_version") == before == [{"version_num": "0003"}]
    engine.dispose()
