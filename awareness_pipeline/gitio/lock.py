"""One process at a time in a folder, with the git processes that it has started.

The lock is the kernel's (flock), so it goes when its holders end, however they end. git inherits
it: what a killed run left behind is still at work in the folder, and the next run waits for that,
which is seconds. A run that is alive is not waited for. Limits: locks of network file systems may
not hold; a holder in another container is waited for, since its process id says nothing here.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from awareness_pipeline.config import UserError
from awareness_pipeline.logs import tell

__all__ = ["alone"]


@contextmanager
def alone(path: Path) -> Iterator[int]:
    """Hold the lock file `path`; yields its file descriptor, for git to inherit.

    Raises:
        UserError: a process that is alive holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse_living(lock, path)
            tell(f"{path}: waiting for what a killed run left running")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock.fileno()


def _refuse_living(lock: IO[str], path: Path) -> None:
    lock.seek(0)
    holder = lock.read()
    if holder.isdecimal() and _alive(int(holder)):
        raise UserError(f"process {holder} is at work there ({path}): wait for it to end")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
