"""The stages in turn, each a process of its own, until time is over.

A stage may be killed at any time and goes on when it is started again; so at the deadline the
process and its children are killed, and what they left is saved. It is saved every minute as well,
for a machine that goes away sooner. A stage that fails does not keep the next from running; one
whose starter was killed ends by itself (`with_starter`), and only one runs in a folder.

    <at>/work/<stage>/…            what a stage leaves; finished.json last
    <at>/work/standing.json        seconds spent and failures, by stage

Limits: one process group at a time; POSIX.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from awareness_model.config import UserError
from awareness_model.gpu_proof import parts, state
from awareness_model.gpu_proof.plan import MEASURE, STAGES, TRAIN, Stage, stage
from awareness_model.schema import write_atomic

WORK, STANDING, FINISHED, PROGRESS = "work", "standing.json", "finished.json", "progress.json"
CELLS = "cells"
"""Folder of the cells that all measuring stages share: what one has measured the next finds."""
RUNS = "runs.jsonl"
"""What `awareness_model.prove` leaves, a line a run."""
SAVED_EVERY = 60.0
"""Seconds."""
RESERVE = 20.0
"""Seconds kept of the time given, for the last save and the way back."""
LEAST = 10.0
"""Seconds below which no stage is begun."""


def run(
    at: Path,
    out: Path,
    minutes: float,
    device: str,
    names: Sequence[str] = (),
    before: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> int:
    """Run stages that are not finished, in order; return 0, or 1 where one failed.

    Args:
        out: where the state goes.
        minutes: how long at most; 0: to the end.
        names: the stages to run; none: all.
        before: a state to go on from, where this machine has none of its own.
        say: takes lines that tell how it goes; None: they are printed.

    Raises:
        UserError: parts are missing, or there is no such stage.
    """
    parts.ready(at)
    say = say or _print
    wanted = [stage(name) for name in names] or list(STAGES)
    work = at / WORK
    if before is not None and state.restore(before, work):
        say(f"going on from {before}")
    work.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + minutes * 60 - RESERVE if minutes else float("inf")
    failed = False
    for one in wanted:
        if is_finished(work, one.name) or end - time.monotonic() < LEAST:
            continue
        say(f"stage {one.name}")
        failed |= not _one(at, out, one.name, device, end, say)
    files = state.save(work, out, standing(work))
    size = sum(path.stat().st_size for path in files) / 2**20
    say(f"state: {size:.1f} MiB in {len(files)} files")
    return int(failed)


def _print(text: str) -> None:
    print(text, flush=True)


def with_starter(end: Callable[[int], None] = os._exit) -> None:
    """Have this process end when the one that started it does: a thread looks every second."""
    starter = os.getppid()

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(1)
        end(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def alone(work: Path) -> Iterator[None]:
    """Hold the work folder. Raises UserError: a stage is running there."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another stage is running at {work}: wait for it") from None
        yield


def is_finished(work: Path, name: str) -> bool:
    """Return whether a stage is done."""
    return (work / name / FINISHED).is_file()


def standing(work: Path) -> dict[str, Any]:
    """Return where each stage stands: seconds spent, done of total, failure."""
    told = _told(work / STANDING)
    return {
        one.name: {
            "finished": is_finished(work, one.name),
            "seconds": 0.0,
            **told.get(one.name, {}),
            **_told(work / one.name / PROGRESS),
            **_counted(work, one),
        }
        for one in STAGES
    }


def _counted(work: Path, one: Stage) -> dict[str, int]:
    """Return how much is done, where lines of files tell it."""
    if one.kind == TRAIN or not (work / one.name / PROGRESS).is_file():
        return {}
    folder, names = (work / CELLS, "*.jsonl") if one.kind == MEASURE else (work / one.name, RUNS)
    return {"done": sum(path.read_bytes().count(b"\n") for path in folder.glob(names))}


def _one(
    at: Path, out: Path, name: str, device: str, end: float, say: Callable[[str], None]
) -> bool:
    """Run a stage until it ends or time is over; return whether it did not fail."""
    work = at / WORK
    command = [sys.executable, "-m", "awareness_model.gpu_proof", "stage", name]
    command += ["--at", str(at), "--device", device]
    child = subprocess.Popen(command, process_group=0)
    try:
        while child.poll() is None and time.monotonic() < end:
            begun = time.monotonic()
            _wait(child, min(SAVED_EVERY, end - begun))
            _note(work, name, time.monotonic() - begun)
            state.save(work, out, standing(work))
    finally:
        _end(child)
    killed = not is_finished(work, name) and child.returncode == -signal.SIGKILL
    failed = "" if killed or child.returncode == 0 else f"exit status {child.returncode}"
    _note(work, name, 0.0, failed)
    how = "finished" if is_finished(work, name) else failed or "stopped at its deadline"
    say(f"stage {name}: {how}")
    return not failed


def _note(work: Path, name: str, seconds: float, failed: str = "") -> None:
    """Add seconds to a stage's, and say whether it failed."""
    told = _told(work / STANDING)
    spent = told.get(name, {}).get("seconds", 0.0) + seconds
    told[name] = {"seconds": round(spent, 1), "failed": failed}
    write_atomic(work / STANDING, (json.dumps(told, indent=1) + "\n").encode())


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(max(seconds, 0.01))
    except subprocess.TimeoutExpired:
        return


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a stage, its own children too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _told(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def check_device(device: str) -> None:
    """Raise UserError, with what to do instead, where a GPU is asked for and there is none."""
    if not device.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "no GPU that PyTorch can use is here. At tiny size on this machine's CPU: "
            "`python -m awareness_model.gpu_proof all --tiny --device cpu --out outputs/gpu-tiny`; "
            "on a machine that is lent for minutes: docs/gpu.md"
        )
