"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere; and told to
whoever listens in the same context, such as Dagster."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from awareness_pipeline import logs
from awareness_pipeline.logs import structured

LINE_EVERY_S = 5.0
FORMS = {
    "loss": "loss {:.3f}",
    "S": "S {:+.3f}",
    "tokens_per_second": "{:,.0f} tokens/s",
    "mfu": "MFU {:.1%}",
    "memory_mib": "{:,.0f} MiB",
}
"""The numbers of a training that are shown, in this order."""

Listener = Callable[[int, int, Mapping[str, float]], None]
"""Called with (done, total, numbers)."""
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener` told of work that has numbers to show, while the block runs."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(done: int, total: int, numbers: Mapping[str, float]) -> None:
    """Tell the listener, if there is one."""
    if (listener := _LISTENER.get()) is not None and numbers:
        listener(done, total, numbers)


def in_words(numbers: Mapping[str, float]) -> str:
    """Return the numbers of a training as people read them."""
    return ", ".join(form.format(numbers[name]) for name, form in FORMS.items() if name in numbers)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[..., None]]:
    """Yield `advance(n=1, said="")`, `said` being shown beside the count. Nothing is shown for a
    total of 0; the clock only paces printing."""
    if total == 0:
        yield lambda n=1, said="": None
    elif sys.stderr.isatty() and not structured():
        with _rich_bar(label, total) as advance:
            yield advance
    else:
        with _lines(label, total) as advance:
            yield advance


@contextmanager
def _rich_bar(label: str, total: int) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total, said="")
        yield lambda n=1, said="": progress.update(task, advance=n, said=said)


@contextmanager
def _lines(label: str, total: int) -> Iterator[Callable[..., None]]:
    done = 0
    printed = time.monotonic()

    def advance(n: int = 1, said: str = "") -> None:
        nonlocal done, printed
        done += n
        now = time.monotonic()
        if done >= total or now - printed >= LINE_EVERY_S:
            printed = now
            line = f"{label}: {done}/{total}"
            logs.tell(f"{line}  {said}" if said else line, label=label, done=done, total=total)

    yield advance
