"""Processes that train: their environment, lock, DeepSpeed's noise and its compiled operation.

One process per rank: alone on loopback, or started by the `deepspeed` launcher, whose environment
variables are kept. Limits: Linux for ending with the parent; elsewhere that is left out.
"""

import ctypes
import fcntl
import logging
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from awareness_model.config import UserError
from awareness_model.hosts import free_port

PR_SET_PDEATHSIG = 1
LOCK_WAIT_S = 20.0
"""How long to wait for a predecessor that is being ended."""
OPERATION = "ShareMemCommBuilder"
"""What DeepSpeed compiles on CPU at first use: collectives between ranks of one machine."""


def rank() -> int:
    """Return this process's number among those of its training."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def mean(values: Sequence[float]) -> list[float]:
    """Return the mean of each number over all ranks that have joined a group."""
    from torch import distributed, tensor

    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return list(values)
    from deepspeed.accelerator import get_accelerator

    held = tensor(values, device=get_accelerator().current_device_name())
    distributed.all_reduce(held)
    return (held / distributed.get_world_size()).tolist()


def set_environment(device: str) -> None:
    """Set what DeepSpeed reads from the environment, where a launcher has not set it: CPU as the
    accelerator, and a group of one on loopback. The interpreter's own tools go first on PATH, so
    that its `ninja` is found without an activated environment."""
    if device == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    for name, value in alone.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    tools = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join((tools, os.environ.get("PATH", os.defpath)))


def end_with_parent() -> None:
    """Have Linux send SIGTERM to this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold a lock file while the block runs; the kernel frees it whatever ends the process.

    Raises:
        UserError: another process still holds it after `wait_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_s
    with path.open("a") as file:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() >= until:
                raise UserError(
                    f"another process is at work in {path.parent}: wait for it or end it"
                )
            time.sleep(0.1)
        yield


@contextmanager
def noise_to(log: Path) -> Iterator[None]:
    """Send what DeepSpeed and its compiler say to a file: all output and warnings while the block
    runs, and its logger for good."""
    with log.open("a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout.flush()
        sys.stderr.flush()
        kept = os.dup(1), os.dup(2)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            with redirect_stdout(file), redirect_stderr(file):
                _move_logger(log)
                yield
                file.flush()
        finally:
            for number, copy in enumerate(kept, start=1):
                os.dup2(copy, number)
                os.close(copy)


def build_operation() -> None:
    """Build (or find built) and load the operation that DeepSpeed needs on CPU.

    PyTorch marks a build by a file that a killed process leaves behind, on which every later one
    would wait for ever; builds are therefore serialised by a lock that the kernel frees, and under
    it a mark is a leftover.

    Raises:
        UserError: no C++ compiler, or it fails; the line says what to install.
    """
    from deepspeed.accelerator import get_accelerator

    builder = get_accelerator().create_op_builder(OPERATION)
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UserError(
            f"DeepSpeed compiles a small CPU operation at first use and finds no {compiler}: "
            "install g++ and Python's headers (Debian: apt install g++ python3-dev)"
        )
    folder = _build_folder(builder.name)
    with locked(folder.with_name(f".{builder.name}.lock"), wait_s=900.0):
        (folder / "lock").unlink(missing_ok=True)
        try:
            builder.load(verbose=False)
        except (RuntimeError, OSError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"DeepSpeed's CPU operation cannot be built ({reason}): "
                "are g++ and Python's headers (Debian: python3-dev) installed?"
            ) from error


def _build_folder(name: str) -> Path:
    """Return where PyTorch builds an extension, making it."""
    from torch.utils import cpp_extension

    return Path(cpp_extension._get_build_directory(name, verbose=False))


def _move_logger(log: Path) -> None:
    """Replace the handlers of DeepSpeed's logger, which write to stdout, by one for a file."""
    from deepspeed.utils import logger

    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.addHandler(logging.FileHandler(log, delay=True))
