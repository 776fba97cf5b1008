"""Served folders followed live: a thread that sees changes, and the model's thread that takes them.

The watching thread only notes paths. Whatever touches the model is done between answers, in the
thread that computes them, `STEP` paths at a time, so that an answer waits for at most one such step
and every answer asked after a change was seen reads the new text. At first each folder is compared
as a whole: what changed since it was indexed, before the watch began.
Limits: a change is seen some 0.1 s after it (`DEBOUNCE_MS`); beyond `MOST_NOTED` paths the folder
is compared as a whole; that is one step, as is a folder that came whole.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock, Thread

from awareness_model.config import UserError
from awareness_model.memory.live import Changes, LiveMemory
from awareness_model.memory.watching import changed

LOG = logging.getLogger(__name__)
STEP = 4
"""Changed paths taken in between two answers: files of 1 KB as kv of SmolLM2-135M take some 5 s."""
MOST_NOTED = 10_000
"""Changed paths of a folder that are noted."""

Told = Callable[[str, Changes], None]
Between = Callable[[Callable[[], None]], None]
"""Has work done in the model's thread, after what was asked before it."""


@contextmanager
def following(
    memories: Mapping[str, LiveMemory], between: Between, told: Told | None
) -> Iterator[None]:
    """Follow the folders of memories meanwhile.

    Args:
        told: given a memory's name and what changed in it; None: nothing is followed.
    """
    if told is None:
        yield
        return
    noted = _Noted(memories, between, told)
    thread = Thread(target=noted.watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        noted.end()
        thread.join()


class _Noted:
    """Changed paths by memory that wait for the model's thread; None: the whole folder."""

    def __init__(self, memories: Mapping[str, LiveMemory], between: Between, told: Told) -> None:
        self._memories, self._between, self._told = memories, between, told
        self._paths: dict[str, set[str] | None] = {}
        self._asked = False
        """A step waits for its turn: one at a time."""
        self._lock = Lock()
        self._stop = Event()

    def end(self) -> None:
        """Ask for no turn any more: the model's thread is about to end."""
        with self._lock:
            self._stop.set()

    def watch(self) -> None:
        """Note what changes until the end; a refusal of the system is said once."""
        try:
            begun = False
            for batch in changed({one.root for one in self._memories.values()}, self._stop):
                if not begun:
                    self._note(dict.fromkeys(self._memories))
                    begun = True
                self._note(
                    {
                        name: batch[memory.root]
                        for name, memory in self._memories.items()
                        if memory.root in batch
                    }
                )
        except UserError as error:
            LOG.error("changes are not followed: %s", error)

    def _note(self, paths: Mapping[str, set[str] | None]) -> None:
        with self._lock:
            for name, ones in paths.items():
                held = self._paths.get(name, set())
                merged = None if held is None or ones is None else held | ones
                self._paths[name] = merged if merged and len(merged) <= MOST_NOTED else None
            self._ask()

    def _ask(self) -> None:
        if self._paths and not self._asked and not self._stop.is_set():
            self._asked = True
            self._between(self._step)

    def _step(self) -> None:
        """Take in some paths, in the model's thread, and ask for another turn where more wait."""
        with self._lock:
            name = next(iter(self._paths))
            paths = self._paths.pop(name)
            taken = sorted(paths or ())[:STEP]
            if paths and len(paths) > STEP:
                self._paths[name] = paths.difference(taken)
        try:
            memory = self._memories[name]
            done = memory.update(*taken) if taken else memory.index()
            if done.any or done.left_out:
                self._told(name, done)
        except UserError as error:
            LOG.error("%s: changes were not taken in: %s", name, error)
        finally:
            with self._lock:
                self._asked = False
                self._ask()
