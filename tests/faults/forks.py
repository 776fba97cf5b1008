"""Processes made by forking one that has everything imported: a start costs milliseconds.

`fork` runs a function in a child with its own process group, output going to a file. The model's
entry points, which the pipeline starts as programs, are forked from the stage at work instead
(`forked_models`): the same arguments, pipe, log and end with the parent. Limits: the parent must
have no threads; hashes of texts are seeded alike in all of them.
"""

import ctypes
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from awareness_pipeline import launch

ENTRIES = ("align", "audit", "distil", "encode", "evaluate", "generate", "train")
ALSO = (
    "deepspeed",
    "psycopg",
    "awareness_model.data",
    "awareness_model.decoder",
    "awareness_model.encoder",
    "awareness_model.engine",
    "awareness_model.training",
    "awareness_pipeline.cli.errors",
    "awareness_pipeline.flow",
    "awareness_pipeline.sandbox.server",
    "transformers.models.llama.modeling_llama",
)
FAULT_OF_PROGRAM = 1


def import_all() -> None:
    """Import what children need, as far as it starts no threads."""
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    for name in (*(f"awareness_model.{entry}" for entry in ENTRIES), *ALSO):
        importlib.import_module(name)


def fork(work: Callable[[], int], log: Path, *, pdeath: int = signal.SIGKILL) -> int:
    """Run `work` in a child that leads a process group; return its id.

    Args:
        work: returns the exit status; an error becomes status 1 and a traceback in the log.
        pdeath: the signal that the child gets when its parent ends.
    """
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.setsid()
        _end_with(parent, pdeath)
        with log.open("ab") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        _finish(work)
    return child


def save_model(folder: Path) -> int:
    """Leave a tiny random model in a folder."""
    importlib.import_module("awareness_model.tiny").save_tiny(str(folder), "llama")
    return 0


def forked_models() -> None:
    """Have `launch` fork the model's entry points, in this process and those it forks."""
    launch._start = _start  # type: ignore[assignment]


class _Child:
    """As much of `Popen` as `launch` uses."""

    def __init__(self, pid: int, stdout: Any) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode = 0

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)


def _start(command: list[str], env: dict[str, str], log: int) -> _Child:
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        _end_with(parent, signal.SIGTERM)
        os.dup2(writing, 1)
        os.dup2(log, 2)
        _let_go()
        os.environ.clear()
        os.environ.update(env)
        module = importlib.import_module(command[2])
        sys.argv = [module.__name__, *command[3:]]
        _finish(lambda: module.main(command[3:]))
    os.close(writing)
    return _Child(child, os.fdopen(reading))


def _let_go() -> None:
    """Give up what the parent holds open (locks, sockets, the catalog), as a started program would.
    The numbers stay taken: objects of the parent's still close them when they are collected."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != nothing:
            with suppress(OSError):  # the listing's own
                os.fstat(number)
                os.dup2(nothing, number)


def _end_with(parent: int, number: int) -> None:
    ctypes.CDLL(None).prctl(launch.PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def _finish(work: Callable[[], int]) -> NoReturn:
    status = FAULT_OF_PROGRAM
    try:
        status = work()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else FAULT_OF_PROGRAM
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            # A full disk may refuse the last words.
            try:
                stream.flush()
            except OSError:
                status = status or FAULT_OF_PROGRAM
        os._exit(status)
