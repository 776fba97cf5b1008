"""The flow's surroundings, all of which can die: host of repositories, LLM endpoint, catalog, disk.

The servers are forks with fixed ports that end by themselves, in the middle of an answer, at a
request chosen by whoever sets their fuse; `Service.mind` starts them again. The catalog is on
PostgreSQL where it is installed, else in a file. Everything lies in one folder.
"""

import mmap
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any

import psycopg

from awareness_pipeline import config
from awareness_pipeline.sandbox import build, server
from awareness_pipeline.sandbox.universe import Universe
from tests import postgres as pg
from tests.faults import forks
from tests.faults.flow_run import small
from tests.pipeline.teacher import scripted

READY_S = 60
CONCURRENCY = 4
ANSWER_S = 0.02
"""What the endpoint takes for an answer: long enough to die meanwhile."""


class Fuse:
    """So many requests until a server ends; shared with the processes that are forked later."""

    def __init__(self) -> None:
        self._left = mmap.mmap(-1, 8)

    def set(self, requests: int) -> None:
        """0: it does not burn."""
        self._left[:] = requests.to_bytes(8, "little")

    def burn(self) -> None:
        """Answer one request, or end instead."""
        left = int.from_bytes(self._left[:], "little")
        if left == 1:
            self.set(0)
            os.kill(os.getpid(), signal.SIGKILL)
        self.set(max(left - 1, 0))


@dataclass
class Service:
    """A server on a port of its own."""

    name: str
    log: Path
    work: Callable[["Service"], int]
    fuse: Fuse = field(default_factory=Fuse)
    port: int = 0
    pid: int = 0
    deaths: int = 0

    def start(self) -> None:
        """Start it on the port that it had, and wait until it listens."""
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        self.pid = forks.fork(lambda: self.work(self), self.log)
        ends = time.monotonic() + READY_S
        while not _listens(self.port):
            assert time.monotonic() < ends, f"{self.name} does not start: {self.log.read_text()}"
            time.sleep(0.005)

    def mind(self) -> bool:
        """Start it again if it has died; return whether it had."""
        if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self.deaths += 1
        self.start()
        return True

    def stop(self) -> None:
        """End it for good."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Database:
    """A catalog's sessions on PostgreSQL, which can be ended."""

    server: pg.Server
    url: str

    def end_sessions(self, *, harshly: bool) -> int:
        """End every session on it; return how many. Harshly: one of its processes is killed, after
        which PostgreSQL ends all of them and recovers."""
        name = self.server.name(self.url)
        where = f"datname = '{name}' AND backend_type = 'client backend'"
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            if not harshly:
                asked = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {where}"
                return len(connection.execute(asked).fetchall())
            found = connection.execute(
                f"SELECT pid FROM pg_stat_activity WHERE {where} LIMIT 1"
            ).fetchall()
        for (pid,) in found:
            os.kill(pid, signal.SIGKILL)
        return len(found)


@dataclass
class World:
    """Where things are."""

    folder: Path
    sandbox: Service
    endpoint: Service
    postgres: pg.Server | None

    def settings(self, root: Path, database: str, *, remote: bool) -> config.Settings:
        """Return the settings of a small flow; `remote`: an endpoint is the teacher, not the model
        on this machine."""
        url = f"http://127.0.0.1:{self.sandbox.port}/api/v3"
        made = small(root, url, self.folder / "model")
        made = replace(made, paths=config.Paths(root=root, database=database))
        if not remote:
            return made
        url = f"http://127.0.0.1:{self.endpoint.port}/v1"
        teacher = config.Teacher(url=url, model="m", concurrency=CONCURRENCY)
        # This endpoint cannot be forced along a text.
        return replace(made, teacher=teacher, distil=replace(made.distil, target="teacher"))

    @contextmanager
    def database(self) -> Iterator[Database | None]:
        """Make a catalog's database for a run, if there is a server."""
        if self.postgres is None:
            yield None
            return
        with self.postgres.database() as url:
            yield Database(self.postgres, url)

    def asked(self) -> list[str]:
        """What the endpoint was asked so far, a digest for each request."""
        path = self.folder / "asked"
        return path.read_text().split() if path.is_file() else []


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start everything in `folder`, and end it after."""
    log = folder / "services.log"
    universe = build.build(folder / "universe", project=folder, folders=())
    _end(forks.fork(lambda: forks.save_model(folder / "model"), log), log)
    made = World(
        folder,
        Service("sandbox", log, lambda one: _serve_universe(universe, one)),
        Service("endpoint", log, lambda one: _serve_answers(folder / "asked", one)),
        None,
    )
    with ExitStack() as running:
        if binaries := pg.binaries():
            made.postgres = running.enter_context(pg.server(binaries))
            # A killed PostgreSQL keeps what it said was committed, unlike the tests' quick one.
            made.postgres.run("ALTER ROLE awareness SET synchronous_commit = on")
        for service in (made.sandbox, made.endpoint):
            service.start()
            running.callback(service.stop)
        yield made


def _end(child: int, log: Path) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, log.read_text()


def _serve_universe(universe: Universe, service: Service) -> int:
    answers = server._Handler._head

    def mortal(self: Any, status: int, headers: Any) -> None:
        service.fuse.burn()
        answers(self, status, headers)

    server._Handler._head = mortal  # type: ignore[method-assign]
    with server.serve(universe, port=service.port):
        Event().wait()
    return 0


def _serve_answers(asked: Path, service: Service) -> int:
    def answer(payload: Mapping[str, Any]) -> dict[str, Any]:
        said = blake2b(repr(sorted(payload.items())).encode(), digest_size=8).hexdigest()
        with asked.open("ab", buffering=0) as file:
            file.write(said.encode() + b"\n")
        time.sleep(ANSWER_S)
        service.fuse.burn()
        return scripted.echo(payload)

    with scripted.serve(scripted.Script(answer), service.port):
        Event().wait()
    return 0
