"""Run an entry point of the model package as a child process.

The child prints `{"progress": {"label", "done", "total", "values"}}` lines on stdout, which become
a bar and are told to who listens (`progress`); `values`, numbers by name, may be left out.
Everything else it says goes to a log file. It ends with its parent: on Linux the kernel is asked to
terminate it (`PR_SET_PDEATHSIG`), so a killed stage leaves no orphan that goes on writing.
"""

import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from awareness_pipeline.config import UserError
from awareness_pipeline.progress import bar, in_words, tell

PR_SET_PDEATHSIG = 1
TAIL_LINES = 30
PACKAGE = "awareness_model"
DISK = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EROFS: "the file system is read-only: mend that or choose another folder",
}
PROBE_BYTES = 1 << 16
"""More than what a full disk may still have in its last block."""
SECRETS = (
    "GITHUB_TOKEN",
    "GITHUB_TOKENS",
    "AWARENESS_DB_PATH",
    "AWARENESS_TEACHER_KEY",
    "OPENAI_API_KEY",
    "AWARENESS_WEBHOOK_URL",
)
"""What the model has no business with: tokens, keys, and a catalog's password."""
SERVE_TOKEN = "AWARENESS_SERVE_TOKEN"
"""Goes to the server of memories alone, not to a stage's child."""


def run_model(entry: str, args: list[str], label: str, log: Path) -> None:
    """Run `python -m awareness_model.<entry> ARGS`.

    Args:
        entry: name of the module, such as `generate`.
        args: its arguments; never secrets, they show in the process list.
        label: what the progress bar says.
        log: file that receives the child's output; replaced.

    Raises:
        UserError: the child ended with status 2 (the message is its `error:` line), was killed, or
            found the disk full or read-only.
        RuntimeError: it ended otherwise; the message holds the end of the log.
    """
    command = [sys.executable, "-m", f"{PACKAGE}.{entry}", *args]
    log.parent.mkdir(parents=True, exist_ok=True)
    hidden = (*SECRETS, SERVE_TOKEN)
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    # Waiting threads sleep: on shared cores, spinning ones take the time of those that compute.
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with log.open("w") as out, _start(command, env, out.fileno()) as child:
        try:
            _follow(child, label, out.fileno())
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        _raise(entry, child.returncode, log)


def _start(command: list[str], env: dict[str, str], log: int) -> "subprocess.Popen[str]":
    with warnings.catch_warnings():
        # Lance warns of any fork once it is imported; this one only starts another program.
        warnings.filterwarnings("ignore", message="lance is not fork-safe")
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=env,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _follow(child: "subprocess.Popen[str]", label: str, log: int) -> None:
    """Turn the child's progress lines into bars until it closes its output: the first is called
    `label`, and one that counts something else next is called as the child calls it."""
    assert child.stdout is not None
    with ExitStack() as shown:
        advance, done, counted = None, 0, ""
        for line in child.stdout:
            step = _progress(line)
            if step is None:
                os.write(log, line.encode())
                continue
            if advance is None or step.label != counted:
                shown.close()
                called = label if advance is None else step.label
                advance = shown.enter_context(bar(called, step.total))
                done, counted = 0, step.label
            advance(max(step.done - done, 0), in_words(step.values))
            tell(step.done, step.total, step.values)
            done = step.done


@dataclass(frozen=True, slots=True)
class _Step:
    """What a line of progress says."""

    label: str
    done: int
    total: int
    values: Mapping[str, float]


def _progress(line: str) -> _Step | None:
    if not line.startswith('{"progress"'):
        return None
    step = json.loads(line)["progress"]
    values = step.get("values", {})
    return _Step(step["label"], int(step["done"]), int(step["total"]), values)


def _raise(entry: str, status: int, log: Path) -> None:
    with log.open(errors="replace") as file:
        tail = deque(file, TAIL_LINES)
    if status == 2:
        said = [line for line in tail if line.startswith("error: ")]
        if said:
            raise UserError(said[-1].removeprefix("error: ").strip())
    if status < 0:
        name = signal.Signals(-status).name
        raise UserError(
            f"the {entry} process was ended by {name} (SIGKILL can mean too little memory): "
            "run the same command again, it goes on where it stopped"
        )
    if trouble := _disk_trouble(log.parent, tail):
        raise UserError(f"{trouble}, then run again ({entry} goes on)")
    raise RuntimeError(f"{PACKAGE}.{entry} ended with {status}; its log ends:\n{''.join(tail)}")


def _disk_trouble(folder: Path, tail: Collection[str]) -> str:
    """Return what is wrong with the disk, if anything is. A full one does not take a child's last
    words either, so where they tell nothing it is tried."""
    for number, said in DISK.items():
        if any(os.strerror(number) in line for line in tail):
            return said
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
    except OSError as error:
        return DISK.get(error.errno or 0, "")
    return ""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
