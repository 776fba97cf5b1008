"""Secrets stay in memory: after a flow in which all went wrong, nothing it wrote or said has one.

The run is the command line itself, as processes, on a sandbox whose hosts refuse, break off, stall
and lie, and which is killed in the middle. Every secret we know of is set and marked.
"""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from awareness_pipeline.cli import app
from awareness_pipeline.config import PROJECT
from awareness_pipeline.sandbox import build, server
from awareness_pipeline.sandbox.faults import Fault, FaultKind
from awareness_pipeline.sandbox.gitfaults import GitFault, GitFaultKind
from tests.pipeline import leaks
from tests.pipeline.teacher import scripted

pytestmark = [pytest.mark.xdist_group("secrets"), pytest.mark.timeout(600)]

GIT_FAULTS = (
    GitFault(GitFaultKind.PASSWORD),
    GitFault(GitFaultKind.BLOCKED),
    GitFault(GitFaultKind.DOWN),
    GitFault(GitFaultKind.CORRUPT, only="git-upload-pack"),
    GitFault(GitFaultKind.CUT, only="POST"),
    GitFault(GitFaultKind.REDIRECT, place="http://127.0.0.1:1/elsewhere.git"),
)
API_FAULTS = (
    Fault(FaultKind.SERVER_ERROR, status=502),
    Fault(FaultKind.TOO_MANY, retry_after=1),
    Fault(FaultKind.CUT),
)


@pytest.fixture(scope="module")
def universe(tmp_path_factory: pytest.TempPathFactory) -> build.Universe:
    folder = tmp_path_factory.mktemp("universe")
    return build.build(folder, project=folder, folders=())


@pytest.fixture
def sandbox(universe: build.Universe) -> Iterator[server.Sandbox]:
    with server.serve(universe, tokens=(f"{leaks.MARK}good", f"{leaks.MARK}hub")) as served:
        yield served


class Runs:
    """Commands as processes with every secret set; all they say is kept in a folder."""

    def __init__(self, folder: Path, sandbox: server.Sandbox) -> None:
        self.folder = folder
        self.said = folder / "said"
        self.said.mkdir()
        git = shutil.which("git")
        assert git
        shim = leaks.noting_git(folder / "bin", git)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWARENESS_", "GITHUB_", "DAGSTER_"))
        }
        self.env = {
            **clean,
            **leaks.SECRETS,
            "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
            "AWARENESS_RECIPE": "demo",
            "AWARENESS_LOG": "json",
            "AWARENESS_GITHUB_URL": sandbox.api_url,
            "AWARENESS_SEARCH_INTERVAL_S": "0.001",
            "AWARENESS_ROOT": str(folder / "data"),
        }

    def start(self, *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        path = self.said / f"{len(list(self.said.iterdir())):02d}-{arguments[0]}"
        with path.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "awareness_pipeline", *arguments],
                cwd=self.folder,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def status(self, *arguments: str, **env: str) -> int:
        with self.start(*arguments, **env) as process:
            return process.wait(300)

    def last(self) -> str:
        return max(self.said.iterdir()).read_text()


def test_nothing_that_a_faulty_flow_wrote_or_said_holds_a_secret(
    sandbox: server.Sandbox, tmp_path: Path
) -> None:
    runs = Runs(tmp_path, sandbox)
    with leaks.watched_processes() as seen:
        collect(runs, sandbox)
        ask(runs)
        look(runs)
    assert {200, 401} <= {call.status for call in sandbox.calls}, "no token was tried"
    assert seen == []
    assert (tmp_path / "bin" / "git.argv").stat().st_size > 0
    assert leaks.in_folder(tmp_path) == []


def collect(runs: Runs, sandbox: server.Sandbox) -> None:
    """Discover with dead tokens on a host in trouble; clone, killed once; extract and curate."""
    sandbox.faults.add(*API_FAULTS)
    assert runs.status("discover", "--languages", "Go") == 0, runs.last()
    sandbox.git_faults.add(GitFault(GitFaultKind.STALL, only="POST"))
    with runs.start("download", "--concurrency", "2") as process:
        assert sandbox.git_faults.stalled.wait(120)
        process.send_signal(signal.SIGKILL)
    sandbox.git_faults.release()
    sandbox.git_faults.add(*GIT_FAULTS)
    assert runs.status("download", "--concurrency", "2") == 0, runs.last()
    assert runs.status("process") == 0, runs.last()


def ask(runs: Runs) -> None:
    """Ask an endpoint that repeats the key in its refusals, one that is gone, a broken model."""

    def repeats(code: int) -> scripted.Fault:
        def fault(one: scripted.Handler) -> None:
            told = {"error": {"message": f"bad key {one.headers['Authorization']}"}}
            scripted.status(code, told)(one)

        return fault

    for codes in ((401,), (400,) * 9, (503, 402)):
        script = scripted.Script(faults=[repeats(code) for code in codes])
        with scripted.serve(script) as endpoint:
            teacher = {"AWARENESS_TEACHER_URL": endpoint.url, "AWARENESS_TEACHER_MODEL": "m"}
            assert runs.status("tasks", AWARENESS_TEACHER_CONCURRENCY="1", **teacher) == 2
        assert script.headers[0]["authorization"].startswith(f"Bearer {leaks.MARK}")
    broken = runs.folder / "model"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    assert runs.status("tasks", AWARENESS_MODEL=str(broken)) != 0


def look(runs: Runs) -> None:
    """Whatever shows what is there; then a catalog that does not answer."""
    for command in ("stats", "metrics"):
        assert runs.status(command) in (0, 1), runs.last()
    assert runs.status("stats", AWARENESS_DB_PATH=leaks.DATABASE) == 2
    assert "catalog" in runs.last()


@pytest.mark.parametrize(
    "env",
    [
        {"AWARENESS_DB_PATH": f"postgresql://u:{leaks.MARK}@host:port/db"},
        {"AWARENESS_DB_PATH": f"postgresql://u:{leaks.MARK}@x@host/db"},
        {"AWARENESS_DB_PATH": f"mysql://u:{leaks.MARK}@host/db"},
        {"AWARENESS_GITHUB_URL": f"https://{leaks.MARK}@host/api/v3"},
        {"AWARENESS_GITHUB_URL": f"https://u:{leaks.MARK}@host/api/v3"},
        {"GITHUB_TOKEN": f"{leaks.MARK}\N{EN DASH}"},
        {"GITHUB_TOKEN": f"{leaks.MARK} x"},
        {"AWARENESS_TEACHER_PARAMETERS": f'{{"key": "{leaks.MARK}"'},
    ],
)
def test_settings_that_cannot_be_right_are_told_without_their_secret(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["discover", "--languages", "Zig"], env=env)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert leaks.MARK not in result.output
    assert leaks.in_folder(tmp_path) == []


@pytest.mark.parametrize("alignment", ["", "x", "xx", "xxx", "xxxx"])
def test_the_search_finds_a_mark_in_every_form(alignment: str, tmp_path: Path) -> None:
    text = f"{alignment}{leaks.MARK}:tail".encode()
    for number, data in enumerate((text, b64encode(text), text.hex().encode())):
        assert leaks.holds(data), data
        (tmp_path / f"{number}.txt").write_bytes(data)
        (tmp_path / f"{number}.zst").write_bytes(zstandard.compress(data))
        (tmp_path / f"{number}.gz").write_bytes(gzip.compress(data))
    rows = pa.table({"said": [text.decode()]})
    pq.write_table(rows, tmp_path / "rows.parquet", compression="zstd")
    (tmp_path / leaks.MARK).touch()
    (tmp_path / "clean").write_text("nothing")
    assert len(leaks.in_folder(tmp_path)) == 11


def test_the_watch_sees_a_secret_on_a_command_line() -> None:
    mark = f"seen-by-{os.getpid()}"  # of its own: others may watch this machine for the usual one
    command = [sys.executable, "-c", "input()", mark]
    pipe = subprocess.PIPE
    watched = leaks.watched_processes(lambda line: mark.encode() in line)
    with watched as seen, subprocess.Popen(command, stdin=pipe) as one:
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            time.sleep(0.02)
        one.kill()
    assert seen
