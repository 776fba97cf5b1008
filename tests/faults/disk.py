"""A disk that fails, or that ends processes, at a chosen moment: the Python side of `disk.cpp`.

A moment is right before or right after a call that changes what lies below `root`: files made,
written, renamed, synced, removed. `build()` compiles the library once into a folder; `environment`
loads it into a process and all that it starts; whoever holds the `Disk` decides what happens. It
works for any user, root too, and needs no mount. Limits: those of `disk.cpp`; Linux.
"""

import ctypes
import mmap
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("disk.cpp")
FLAGS = ("-O1", "-shared", "-fPIC", "-std=c++17", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra")


class Action(IntEnum):
    """What happens at the moment `at`."""

    NONE = 0
    KILL_CALLER = 1
    """Whoever makes the call ends."""
    KILL_GROUP = 2
    """The process group `group` ends."""
    FULL = 3
    """From then on nothing more fits on the disk."""
    READ_ONLY = 4
    """From then on nothing can be changed."""


class Kind(IntFlag):
    """Kinds of calls."""

    MAKE = 1
    WRITE = 2
    NAME = 4
    SYNC = 8
    REMOVE = 16


ALL = Kind.MAKE | Kind.WRITE | Kind.NAME | Kind.SYNC | Kind.REMOVE
DURABLE = Kind.NAME | Kind.SYNC | Kind.REMOVE
"""Where one file begins to stand for another: the moments between them matter most."""


class _State(ctypes.Structure):
    _fields_ = (
        ("root", ctypes.c_char * 512),
        ("only", ctypes.c_char * 64),
        ("path", ctypes.c_char * 512),
        ("call", ctypes.c_char * 16),
        ("at", ctypes.c_int64),
        ("count", ctypes.c_int64),
        ("action", ctypes.c_int32),
        ("kinds", ctypes.c_int32),
        ("driver", ctypes.c_int32),
        ("group", ctypes.c_int32),
        ("hit", ctypes.c_int32),
        ("caller", ctypes.c_int32),
        ("after", ctypes.c_int32),
    )


def build(folder: Path) -> Path:
    """Compile the library into `folder`; return its path."""
    library = folder / "disk.so"
    subprocess.run(["g++", *FLAGS, "-o", library, SOURCE, "-ldl"], check=True)
    return library


def environment(library: Path, state: Path) -> dict[str, str]:
    """Make the state's file; return what loads the library into a process."""
    state.write_bytes(bytes(ctypes.sizeof(_State)))
    return {"LD_PRELOAD": str(library), "FAULTS_DISK": str(state)}


class Disk:
    """What the library is told, and what it saw."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def watch(self, root: Path, driver: int = 0) -> None:
        """Say below which folder calls count, and which process is left alone."""
        self._state.root, self._state.driver = str(root.resolve()).encode(), driver

    def arm(
        self, action: Action, at: int = 1, *, kinds: Kind = ALL, only: str = "", group: int = 0
    ) -> None:
        """Count moments from now on and act at the one numbered `at`, from 1.

        Args:
            only: paths without this text do not count.
            group: the process group that `KILL_GROUP` ends.
        """
        state = self._state
        state.action = Action.NONE
        state.at, state.count, state.hit = at, 0, 0
        state.kinds, state.only, state.group = kinds, only.encode(), group
        state.path = state.call = b""
        state.action = action

    def release(self) -> None:
        """Let nothing more happen."""
        self._state.action = Action.NONE

    @property
    def hit(self) -> bool:
        """Whether the moment has come."""
        return bool(self._state.hit)

    @property
    def where(self) -> tuple[str, str, int]:
        """The call at the moment (`after rename`), the path, and the process."""
        state = self._state
        when = "after" if state.after else "before"
        path = state.path.decode(errors="replace")
        return f"{when} {state.call.decode()}", path, int(state.caller)


@contextmanager
def disk(state: Path) -> Iterator[Disk]:
    """Hold the state's file that `environment` made."""
    with (
        state.open("r+b") as file,
        mmap.mmap(file.fileno(), ctypes.sizeof(_State)) as memory,
    ):
        shared = _State.from_buffer(memory)
        held = Disk(shared)
        try:
            yield held
        finally:
            held.release()
            # The map cannot be closed while something points into it.
            held._state = None
            del shared
