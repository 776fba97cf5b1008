"""A PostgreSQL server for the tests, from this machine's binaries: started once, gone at the end.

It listens on a Unix socket alone and never waits for the disk. As root it is run as `postgres`,
since it refuses root. Its text is ordered by ICU's rules for English, unlike SQLite's, so what
leans on a database's order shows. AWARENESS_REQUIRE=postgres makes its absence a failure.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from awareness_pipeline.launch import PR_SET_PDEATHSIG

# Read now: tests take AWARENESS_* out of the environment.
REQUIRED = "postgres" in os.environ.get("AWARENESS_REQUIRE", "").split(",")
ABSENT = "PostgreSQL is not installed: apt-get install postgresql"
START_S = 60
SETTINGS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "synchronous_commit=off")
INITDB = (
    "--username=awareness",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--wal-segsize=1",
)
ENGLISH = ("--locale-provider=icu", "--icu-locale=en")
PASSWORD_FOR = "guarded"
"""The role that must give a password."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Its databases are made as copies of others."""

    folder: Path
    _number: Iterator[int] = field(default_factory=count)

    def url(self, database: str, user: str = "awareness") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def name(self, url: str) -> str:
        """Return the database that a URL names."""
        return urlsplit(url).path.removeprefix("/")

    def run(self, sql: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

    def end_sessions(self, url: str) -> None:
        """End every session on the database of a URL, as a restart of the server would."""
        self.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            f"WHERE datname = '{self.name(url)}' AND backend_type = 'client backend'"
        )

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Make a database and yield its URL; drop it at the end, whoever still holds it."""
        name = f"test{next(self._number)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


def binaries() -> Path | None:
    """Return the folder of `initdb` and `postgres`: on the search path, or Debian's newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest else None


@contextmanager
def server(bin_folder: Path) -> Iterator[Server]:
    """Run a server with a new cluster until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="awareness-pg-"))
    try:
        data, log = _cluster(folder, bin_folder), folder / "log"
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        command = [bin_folder / "postgres", "-D", data, "-k", folder, *settings]
        with (
            log.open("wb") as out,
            subprocess.Popen(command, stderr=out, preexec_fn=end_with_parent, **_as()) as process,
        ):
            try:
                yield _ready(Server(folder), process, log)
            finally:
                # At once, without a last checkpoint: nothing of it is kept.
                process.send_signal(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def _cluster(folder: Path, bin_folder: Path) -> Path:
    if user := _as().get("user"):
        shutil.chown(folder, user)
    data = folder / "data"
    made = subprocess.run(
        [bin_folder / "initdb", "-D", data, *INITDB, *ENGLISH],
        capture_output=True,
        text=True,
        check=False,
        **_as(),
    )
    assert made.returncode == 0, made.stderr
    rules = data / "pg_hba.conf"
    rules.write_text(f"local all {PASSWORD_FOR} scram-sha-256\n{rules.read_text()}")
    return data


def _ready(started: Server, process: "subprocess.Popen[bytes]", log: Path) -> Server:
    deadline = time.monotonic() + START_S
    while True:
        try:
            started.run(f"CREATE ROLE {PASSWORD_FOR} LOGIN PASSWORD 'right'")
            return started
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text(errors="replace")) from None
            time.sleep(0.02)


def _as() -> dict[str, Any]:
    """Return who runs it: the user `postgres` if we are root, as `runuser -u postgres` would."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return {"user": user.pw_name, "group": user.pw_gid, "extra_groups": []}


def end_with_parent() -> None:
    """Let a killed test run leave no server behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
