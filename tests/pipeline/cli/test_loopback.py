"""Servers that a command starts listen on loopback, unless told otherwise."""

import inspect
import json
import os
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest

from awareness_pipeline.cli import PANELS, memory
from awareness_pipeline.config import PROJECT
from awareness_pipeline.sandbox.process import process

pytestmark = pytest.mark.xdist_group("cli")


def listening(pid: int, seconds: float = 120.0) -> set[str]:
    """The addresses on which a process and its children listen, once there are any."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            sockets = [one for member in family for one in member.net_connections("inet")]
        except psutil.NoSuchProcess:
            break
        if found := {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}:
            return found
        time.sleep(0.02)
    raise AssertionError("it never listened")


def test_the_sandbox_listens_on_loopback(tmp_path: Path) -> None:
    with process(tmp_path / "universe", tmp_path / "log") as served:
        assert {ip_address(one).is_loopback for one in listening(served.pid)} == {True}


def test_the_server_of_memories_listens_on_loopback(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "llama"}))
    command = [sys.executable, "-m", "awareness_pipeline", "serve", str(tmp_path)]
    command += ["--port", "0", "--model", str(model)]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            assert listening(child.pid) == {"127.0.0.1"}
        finally:
            child.kill()


def test_every_command_that_takes_a_host_has_loopback_by_default() -> None:
    hosts = {
        name: inspect.signature(command).parameters["host"].default
        for commands in PANELS.values()
        for name, command in commands.items()
        if "host" in inspect.signature(command).parameters
    }
    assert hosts == {"serve": "127.0.0.1"}
    assert memory.serve is PANELS["The memory"]["serve"]
