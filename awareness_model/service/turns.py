"""One answer at a time: a thread that works, a bounded line before it, and a way out for each.

A turn's pieces reach the event loop through a queue. Whoever leaves sets `cancelled`: a turn that
waits never starts, one that writes ends at its next token. Limits: reading the prompt is one step
and is not interrupted.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from awareness_model.service.refusal import Wrong

LOG = logging.getLogger(__name__)


class Turn:
    """One piece of work under way; `queue` gives its pieces (str), then its result or error."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.cancelled = Event()

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.cancelled.set()


class Turns:
    """The line before the one thread that computes."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.held = 0
        """Turns that wait or work."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    def start(self, work: Callable[[Callable[[str], None], Callable[[], bool]], Any]) -> Turn:
        """Put work in the line; it is given `hear(piece)` and `is_cancelled()`.

        Raises:
            Wrong: the line is full.
        """
        if self.held > self.waiting:
            raise Wrong(f"{self.waiting} requests wait already: try again later", "queue_full", 429)
        turn, loop = Turn(), asyncio.get_running_loop()
        self.held += 1

        def tell(item: Any) -> None:
            loop.call_soon_threadsafe(turn.queue.put_nowait, item)

        def run() -> None:
            try:
                done = None if turn.cancelled.is_set() else work(tell, turn.cancelled.is_set)
            except Exception as error:  # carried to the one who waits, who raises it
                done = error
            loop.call_soon_threadsafe(self._left)
            tell(done)

        self._thread.submit(run)
        return turn

    def between(self, work: Callable[[], None]) -> None:
        """Have work done in the thread after what is in the line now; its fault goes to the log."""
        self._thread.submit(work).add_done_callback(_logged)

    def close(self) -> None:
        """End the thread after the work in hand."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _left(self) -> None:
        self.held -= 1


def _logged(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        LOG.error("work between answers failed", exc_info=error)
