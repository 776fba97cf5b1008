"""A lock file: one process at a time, held by the kernel (flock), so it goes with its holder.

Limits: locks on network file systems may not hold. `gitio/lock.py` has the lock that git inherits.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(path: Path, *, wait: bool, shared: bool = False) -> Iterator[bool]:
    """Hold the lock file `path` while the block runs; it is made where there is none.

    Args:
        wait: until it is free; else False is given where another process holds it.
        shared: with others who share it; only one who wants it alone waits for all of them.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("w") as file:
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        yield held
