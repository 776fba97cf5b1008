"""Several ranks: the command line of DeepSpeed's launcher, and the hostfile it reads.

    one machine       python -m deepspeed.launcher.launch …   N processes on this machine
    several machines  python -m deepspeed.launcher.runner --hostfile FILE …   over pdsh and ssh

A hostfile has a line `HOST slots=N` per machine. The same command is run everywhere, so every
machine needs this environment, the model, the store and the output folder at the same paths.
Limits: nothing here is started; passwordless ssh between the machines is the user's.
"""

import base64
import json
import re
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from awareness_model.config import UserError

LINE = re.compile(r"(\S+)\s+slots=([1-9]\d*)(\s+#.*)?")
HERE = ("localhost", "127.0.0.1")
MODULE = "awareness_model.train"


def read_hostfile(path: Path) -> dict[str, int]:
    """Return ranks by host, in the file's order.

    Raises:
        UserError: no such file, no host in it, a host twice, or a line of another form.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the hostfile {path}: {error}") from None
    found: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = LINE.fullmatch(text)
        if match is None or text.startswith("-"):
            raise UserError(f"{path}, line {number}: write `HOST slots=N`, not {text!r}")
        if match[1] in found:
            raise UserError(f"{path}, line {number}: {match[1]} stands there twice")
        found[match[1]] = int(match[2])
    if not found:
        raise UserError(f"{path} names no host: write a line `HOST slots=N` for each machine")
    return found


def command(arguments: Sequence[str], ranks: int = 1, hostfile: Path | None = None) -> list[str]:
    """Return what starts a training on several ranks; `arguments` are those of each.

    Raises:
        UserError: a hostfile that is none, both ways at once, or a launcher that is not installed.
    """
    if hostfile is None:
        return _on_this_machine(arguments, ranks)
    if ranks != 1:
        raise UserError("choose one: --ranks for this machine, or --hostfile for several")
    hosts = read_hostfile(hostfile)
    if len(hosts) == 1 and next(iter(hosts)) in HERE:
        return _on_this_machine(arguments, *hosts.values())
    for tool in ("pdsh", "ssh"):
        if shutil.which(tool) is None:
            raise UserError(
                f"--hostfile starts the other machines with {tool}, which is not installed "
                "(Debian: apt install pdsh openssh-client)"
            )
    launcher = [sys.executable, "-m", "deepspeed.launcher.runner", "--hostfile", str(hostfile)]
    # With one machine in the file the launcher would otherwise start it here, wherever it is.
    return [*launcher, "--force_multi", "--module", MODULE, *arguments]


def ranks_of(ranks: int, hostfile: Path | None) -> int:
    """Return how many ranks these two options mean. Raises UserError as `read_hostfile` does."""
    return ranks if hostfile is None else sum(read_hostfile(hostfile).values())


def _on_this_machine(arguments: Sequence[str], ranks: int) -> list[str]:
    if ranks < 1:
        raise UserError(f"--ranks is 1 or more, not {ranks}")
    world = base64.urlsafe_b64encode(json.dumps({"localhost": list(range(ranks))}).encode())
    where = ["--master_addr=127.0.0.1", f"--master_port={free_port()}", "--log_level=error"]
    launcher = [sys.executable, "-m", "deepspeed.launcher.launch", f"--world_info={world.decode()}"]
    return [*launcher, *where, "--module", MODULE, *arguments]


def free_port() -> int:
    """Return a port of loopback that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
