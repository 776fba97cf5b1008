"""The sandbox as a process of its own: started, found through a ready file, stopped.

The child serves on a free port unless told otherwise, ends on SIGTERM, and on Linux also when the
process that started it dies, so that a killed demo leaves no server behind.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from awareness_pipeline.config import PROJECT, UserError
from awareness_pipeline.launch import SECRETS

_START_S = 120  # building takes seconds, on a busy machine many
_STOP_S = 10
_TAIL = 2000  # characters of the log that an error shows


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox that runs beside this process."""

    api_url: str
    pid: int


@contextmanager
def process(folder: Path, log_path: Path, *, port: int = 0) -> Iterator[SandboxProcess]:
    """Build the universe in `folder` if need be, and serve it until the block ends.

    UserError where the sandbox does not come up; its output is in `log_path`.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, log_path.open("wb") as log:
        ready = Path(scratch) / "ready.json"
        command = [sys.executable, "-m", "awareness_pipeline.sandbox"]
        command += ["--folder", str(folder), "--port", str(port), "--ready-file", str(ready)]
        command += ["--die-with-parent", str(os.getpid())]
        with subprocess.Popen(
            command, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ) as child:
            try:
                yield _wait_until_ready(child, ready, log_path)
            finally:
                _stop(child)


def _environment() -> dict[str, str]:
    """Ours without secrets, and this package found first: the child may start in any folder."""
    ours = {name: value for name, value in os.environ.items() if name not in SECRETS}
    paths = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
    return {**ours, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _wait_until_ready(
    child: "subprocess.Popen[bytes]", ready: Path, log_path: Path
) -> SandboxProcess:
    deadline = time.monotonic() + _START_S
    while not ready.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            tail = log_path.read_text(errors="replace")[-_TAIL:].strip()
            raise UserError(f"the sandbox did not start; its log {log_path} ends: {tail}")
        time.sleep(0.02)
    found = json.loads(ready.read_text())
    return SandboxProcess(found["api_url"], found["pid"])


def _stop(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
