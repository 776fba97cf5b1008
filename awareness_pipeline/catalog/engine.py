"""Opening the catalog's database, and what SQLite and PostgreSQL do differently.

SQLite runs in WAL mode, and every transaction takes the write lock at its start, so processes queue
instead of failing. PostgreSQL is reached through psycopg; transactions that read before they write
queue by name (`in_turn`). Migrations run in one transaction that one process holds at a time: two
that open a new catalog at once give one schema. What the database or its machine is to blame for
becomes a UserError of one line, never with the URL: it may hold a password. No other database is
supported.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Insert, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from awareness_pipeline.config import UserError
from awareness_pipeline.locks import hold

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_S = 60
"""How long a process waits for another one's transaction on SQLite."""
NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""How SQLite's names of errors begin on a disk that is full or read-only; what it says is less
plain ("unable to open database file")."""
NOT_OURS = ("42501", "25006")
"""PostgreSQL's codes for a missing privilege and for a read-only database; they come as classes
that otherwise stand for mistakes in our SQL."""


def open_engine(url: str) -> Engine:
    """Return an engine on a catalog that has the current schema.

    Raises:
        UserError: the database cannot be opened, is none, or is newer than this code.
    """
    engine = _engine(_parsed(url))
    try:
        if not _is_current(engine):
            _migrate(engine)
    except DatabaseError as error:
        engine.dispose()
        raise UserError(
            f"cannot open the catalog: {_first_line(error)}: check AWARENESS_DB_PATH"
        ) from None
    except CommandError as error:
        engine.dispose()
        raise UserError(f"the catalog was made by another version of this code: {error}") from None
    return engine


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the database or its machine is to blame for into a UserError."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlstate", None)
        if isinstance(error, OperationalError) or code in NOT_OURS:
            raise UserError(f"the catalog cannot be used: {_first_line(error)}") from None
        raise


def alone(engine: Engine, name: str, *, wait: bool = False) -> AbstractContextManager[bool]:
    """Hold `name` while the block runs, against every other process on this database.

    Gives False where another holds it, unless it is to `wait` for that one's end. The hold ends
    with the process, however it ends. Limit: it ends unseen when PostgreSQL restarts or ends the
    session.
    """
    if engine.dialect.name == "postgresql":
        return _alone_on_server(engine, name, wait)
    return _alone_on_file(engine.url.database, name, wait)


def in_turn(session: Session, name: str) -> None:
    """Wait until no other transaction that has called this with `name` is left.

    For transactions that read before they write. On SQLite all of them queue already.
    """
    if session.get_bind().dialect.name == "postgresql":
        _lock(session.connection(), "SELECT pg_advisory_xact_lock(:key)", name)


def insert_new(session: Session, table: type[DeclarativeBase]) -> Insert:
    """Return an INSERT that leaves rows alone which another process put there first."""
    dialect = session.get_bind().dialect.name
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return made.on_conflict_do_nothing()


@contextmanager
def _alone_on_server(engine: Engine, name: str, wait: bool) -> Iterator[bool]:
    with plain_errors():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        # Off the pool: the block's end closes the session, and the lock goes with it.
        connection.detach()
        with plain_errors():
            # A machine that loses its power says no goodbye; the default is to wait two hours.
            connection.execute(text("SET tcp_keepalives_idle = 60"))
            ask = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
            held = _lock(connection, f"SELECT {ask}(:key)", name)
        yield held


@contextmanager
def _alone_on_file(database: str | None, name: str, wait: bool) -> Iterator[bool]:
    if not database or database == ":memory:":
        yield True
        return
    mark = blake2b(name.encode(), digest_size=8).hexdigest()
    with ExitStack() as stack:
        try:
            held = stack.enter_context(hold(Path(f"{database}.{mark}.lock"), wait=wait))
        except OSError as error:
            raise UserError(f"the catalog cannot be used: {error}") from None
        yield held


def _lock(connection: Connection, question: str, name: str) -> bool:
    """Ask for an advisory lock; its key is a signed 64-bit hash of the name."""
    key = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    return connection.execute(text(question), {"key": key}).scalar() is not False


def _first_line(error: DBAPIError) -> str:
    said = next(iter(str(error.orig).strip().splitlines()), type(error.orig).__name__)
    if getattr(error.orig, "sqlite_errorname", "").startswith(NO_ROOM):
        said += " (is the disk full or read-only? mend that, then run the same command again)"
    return said


def _parsed(url: str) -> URL:
    """Return the parts of a URL. It may hold a password, so no error repeats it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        raise UserError(
            "AWARENESS_DB_PATH is no URL: write @, :, / and % in a password as %40, %3A, %2F, %25"
        )
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed
    raise UserError(
        f"AWARENESS_DB_PATH cannot be {parsed.drivername}: set a file's path, or "
        "postgresql://USER:PASSWORD@HOST/DATABASE"
    )


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return _shared(url)
    if not url.database or url.database == ":memory:":
        return _sqlite(url)
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create the catalog's folder: {error}") from None
    return _shared(url)


@lru_cache(maxsize=8)
def _shared(url: URL) -> Engine:
    """Return the engine of a catalog: statements that it has compiled once are kept with it, while
    its connections end when the catalog is closed."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        # Discovery runs for days: a connection that the server has closed meanwhile is replaced.
        return create_engine(url, pool_pre_ping=True)
    except ImportError:
        raise UserError(
            "AWARENESS_DB_PATH names PostgreSQL, which needs psycopg: "
            "pip install -c constraints.txt 'psycopg[binary]'"
        ) from None


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None
        _into_wal(connection)
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _immediate(connection: Any) -> None:
        # Processes queue for the write lock from the start: no upgrade of a read lock can deadlock.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _into_wal(connection: sqlite3.Connection) -> None:
    """Turn a file to WAL mode. SQLite refuses that at once while another process writes to a new
    file, whatever the timeout, so the waiting is done here."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


@cache
def _newest() -> str | None:
    return ScriptDirectory(MIGRATIONS).get_current_head()


def _is_current(engine: Engine) -> bool:
    """Tell whether the schema is today's: a catalog is opened for every partition of a run."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found is not None and found == _newest()


def _migrate(
    engine: Engine, move: Callable[[Config, str], None] = command.upgrade, to: str = "head"
) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection, _keys_unchecked(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            _lock(connection, "SELECT pg_advisory_xact_lock(:key)", "awareness migrations")
        config.attributes["connection"] = connection
        move(config, to)


@contextmanager
def _keys_unchecked(connection: Connection) -> Iterator[None]:
    """SQLite alters a table by putting a new one in its place, which rows that refer to it forbid.

    This cannot be switched inside a transaction.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")
