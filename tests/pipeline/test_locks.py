"""Lock files: who holds one, who is told that it is held, and who waits."""

import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from awareness_pipeline.config import PROJECT
from awareness_pipeline.locks import hold

HOLDING = """
import sys
from pathlib import Path
from awareness_pipeline.locks import hold

with hold(Path(sys.argv[1]), wait=True):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_and_a_later_one_has_it(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with hold(lock, wait=True) as first, hold(lock, wait=False) as second:
        assert (first, second) == (True, False)
    with hold(lock, wait=False) as third:
        assert third


def test_who_is_refused_frees_nothing(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with hold(lock, wait=False):
        for _ in range(2):
            with hold(lock, wait=False) as held:
                assert not held


def test_who_waits_has_it_once_it_is_free(tmp_path: Path) -> None:
    lock, said = tmp_path / ".lock", []

    def later() -> None:
        with hold(lock, wait=True) as held:
            said.append(held)

    waiting = Thread(target=later)
    with hold(lock, wait=False):
        waiting.start()
        waiting.join(0.05)
        assert said == []
    waiting.join()
    assert said == [True]


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with pytest.raises(BlockingIOError), hold(lock, wait=False):
        raise BlockingIOError
    with hold(lock, wait=False) as held:
        assert held


def test_the_lock_goes_with_a_killed_holder(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLDING, str(lock)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with hold(lock, wait=False) as held:
            assert not held
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold(lock, wait=False) as held:
        assert held
