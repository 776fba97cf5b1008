"""Opening a catalog, and what it says when that fails."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Timer
from traceback import format_exception

import pytest
from sqlalchemy import text

from awareness_pipeline import config
from awareness_pipeline.artifacts import place
from awareness_pipeline.catalog import Catalog, SearchRange
from awareness_pipeline.catalog.engine import open_engine
from awareness_pipeline.config import UserError
from tests.pipeline.catalog.rows import HOST, RANGE, repository
from tests.postgres import PASSWORD_FOR, Server

SECRET = "s3cret"
MIGRATE = "awareness_pipeline.catalog.engine._migrate"


def said_by(url: str) -> str:
    """Return the one line that opening this catalog ends with."""
    with pytest.raises(UserError) as caught:
        Catalog(url)
    assert SECRET not in "".join(format_exception(caught.value))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sqlite_runs_in_wal_mode_with_foreign_keys(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/catalog.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    engine.dispose()


def test_new_file_that_another_process_writes_to_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself refuses to change such a file's mode at once, whatever the timeout."""
    path = tmp_path / "catalog.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    timer = Timer(0.2, writer.rollback)
    timer.start()
    Catalog(f"sqlite:///{path}").close()
    timer.join()
    writer.close()


def test_a_catalog_of_today_is_opened_without_migrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    Catalog(url).close()
    monkeypatch.setattr(MIGRATE, lambda _: pytest.fail("migrated"))
    with Catalog(url) as catalog:
        assert catalog.count(HOST) == 0


def test_folder_is_made_and_any_name_will_do(tmp_path: Path) -> None:
    path = tmp_path / "new % folder" / "cat alog.db"
    with Catalog(f"sqlite:///{path}") as catalog:
        catalog.opt_out("h", "owner")
    assert path.is_file()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_understood(postgres: Server, scheme: str) -> None:
    url = postgres.url("migrated").replace("postgresql", scheme, 1)
    with Catalog(url) as catalog:
        assert catalog.count(HOST) == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///{}/folder", "cannot open the catalog: unable to open"),
        ("sqlite:///{}/text", "cannot open the catalog: file is not a database"),
        ("sqlite:///{}/text/x.db", "cannot create the catalog's folder"),
        ("nonsense://me:s3cret@host/x", "AWARENESS_DB_PATH cannot be nonsense: set a file's path"),
        ("postgresql+nodriver://me:s3cret@host/x", "cannot be postgresql+nodriver"),
        ("://", "AWARENESS_DB_PATH is no URL"),
        ("postgresql://me@host:s3cret/x", "AWARENESS_DB_PATH is no URL"),
        ("postgresql://me:pass@s3cret@host/x", "in a password as %40"),
        ("postgresql://me:s3cret@127.0.0.1:1/x", "connection refused"),
        ("postgresql://me:s3cret@/x?host=/nowhere", "No such file or directory"),
        ("postgresql://me:s3cret@127.0.0.1:1/x?sslmode=odd", "invalid sslmode"),
        ("postgresql://me:s3cret@127.0.0.1:1/x?nonsense=1", 'option "nonsense"'),
    ],
)
def test_what_cannot_be_opened_says_so_in_one_line(tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("this is no database " * 100)
    assert says.lower() in said_by(url.format(tmp_path)).lower()


@pytest.mark.parametrize(
    ("database", "user", "says"),
    [
        ("nowhere", "awareness", 'database "nowhere" does not exist: check AWARENESS_DB_PATH'),
        ("migrated", "nobody", 'role "nobody" does not exist'),
        ("migrated", f"{PASSWORD_FOR}:{SECRET}", "password authentication failed"),
        ("migrated", PASSWORD_FOR, "no password supplied"),
        ("postgres", f"{PASSWORD_FOR}:right", "permission denied for schema public"),
    ],
)
def test_server_that_lets_nobody_in_is_heard(
    postgres: Server, database: str, user: str, says: str
) -> None:
    assert says in said_by(postgres.url(database, user))


def test_password_is_in_no_text_of_the_settings_and_in_no_record() -> None:
    url = f"postgresql://me:{SECRET}@host/x"
    settings = config.load("pilot", {"AWARENESS_DB_PATH": url})
    assert settings.paths.database_url == url
    written = place(settings, "clones", "000", config.identity(settings.clone))
    assert SECRET not in f"{settings} {settings!r} {written!r}"


def test_command_ends_in_one_line_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/x"
    done = subprocess.run(
        [sys.executable, "-m", "awareness_pipeline", "stats", "--root", tmp_path],
        env={**os.environ, "PYTHONPATH": str(config.PROJECT), "AWARENESS_DB_PATH": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot open the catalog: ")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stdout + done.stderr


def test_without_psycopg_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install -c constraints.txt 'psycopg[binary]'" in said_by("postgresql://me@host/x")


def test_catalog_of_a_newer_version_is_refused(empty_url: str) -> None:
    with Catalog(empty_url) as catalog, catalog._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "another version" in said_by(empty_url)


def test_full_disk_is_said_and_nothing_stored(tmp_path: Path) -> None:
    with Catalog(f"sqlite:///{tmp_path}/catalog.db") as catalog:
        with catalog._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError, match="catalog cannot be used: database or disk is full"):
            catalog.upsert(repository(number, full_name="n" * 500) for number in range(2_000))
        assert catalog.count(HOST) == 0


@pytest.mark.parametrize(("code", "says"), [("53100", "disk full"), ("53200", "out of memory")])
def test_server_out_of_space_is_said_and_nothing_stored(
    postgres: Server, code: str, says: str
) -> None:
    """The server's own words, through a trigger: its disk cannot be filled here."""
    with postgres.database("migrated") as url, Catalog(url) as catalog:
        with catalog._engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE '{says}' USING ERRCODE = '{code}', HINT = 'free some'; END $$"
            )
            connection.exec_driver_sql(
                "CREATE TRIGGER full_disk BEFORE INSERT ON repositories "
                "FOR EACH ROW EXECUTE FUNCTION full_disk()"
            )
        with pytest.raises(UserError, match=f"^the catalog cannot be used: {says}$"):
            catalog.upsert([repository(1)])
        assert catalog.count(HOST) == 0


def test_database_that_may_only_be_read_can_be_read(postgres: Server) -> None:
    with postgres.database("migrated") as url:
        postgres.run(f"ALTER DATABASE {postgres.name(url)} SET default_transaction_read_only = on")
        with Catalog(url) as catalog:
            assert catalog.repositories(HOST) == []
            with pytest.raises(UserError, match="cannot be used: cannot execute INSERT in a read-"):
                catalog.upsert([repository(1)])


def test_user_without_rights_on_a_table_is_told(postgres: Server) -> None:
    with postgres.database("migrated") as url:
        name = postgres.name(url)
        postgres.run(f"GRANT SELECT ON alembic_version TO {PASSWORD_FOR}", name)
        with (
            Catalog(postgres.url(name, f"{PASSWORD_FOR}:right")) as catalog,
            pytest.raises(UserError, match="permission denied for table repositories"),
        ):
            catalog.count(HOST)


def test_session_that_the_server_ends_is_replaced(postgres: Server) -> None:
    """Discovery runs for days; a restart of the server between two searches is no end of it."""
    with postgres.database("migrated") as url, Catalog(url) as catalog:
        searches = catalog.searches(HOST)
        searches.add([RANGE])
        postgres.end_sessions(url)
        assert searches.ranges() == [RANGE]


def test_session_that_ends_inside_a_transaction_is_one_line(postgres: Server) -> None:
    with postgres.database("migrated") as url, Catalog(url) as catalog:
        catalog.searches(HOST).add([RANGE])

        def ending() -> Iterator[SearchRange]:
            yield replace(RANGE, stars_min=90)
            postgres.end_sessions(url)

        with pytest.raises(UserError, match="cannot be used: terminating connection"):
            catalog.searches(HOST).split(RANGE, ending())
        assert catalog.searches(HOST).ranges() == [RANGE]
