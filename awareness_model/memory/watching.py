"""What changed below some folders, as the system reports it.

Limits: on network file systems the system may report nothing. A folder that is made and filled at
once is reported as the folder.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Event

from watchfiles import watch

from awareness_model.config import UserError
from awareness_model.memory import folder
from awareness_model.memory.scopes import SCOPES

DEBOUNCE_MS = 200
"""Changes that follow one another so closely are seen as one."""


def changed(
    roots: Collection[Path], stop: Event, debounce_ms: int = DEBOUNCE_MS
) -> Iterator[dict[Path, set[str]]]:
    """Yield changed paths that may be documents by their root, until `stop` is set; an empty one
    where nothing changed for a while. The first is empty: from then on nothing is missed.

    Args:
        roots: real paths, as `folder.root_of` gives them.

    Raises:
        UserError: the system refuses to watch.
    """
    batches = watch(
        *roots,
        watch_filter=lambda _, path: any(is_ours(root, path) for root in roots),
        debounce=debounce_ms,
        stop_event=stop,
        rust_timeout=debounce_ms,
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    try:
        begun = False
        for batch in batches:
            if not begun:
                yield {}
                begun = True
            paths = {path for _, path in batch}
            by_root = {root: {one for one in paths if is_ours(root, one)} for root in roots}
            yield {root: ours for root, ours in by_root.items() if ours}
    except OSError as error:
        raise UserError(
            f"the system refuses to watch ({error.strerror or error}): raise its limit "
            "(fs.inotify.max_user_watches), or do without"
        ) from None


def is_ours(root: Path, path: str) -> bool:
    """Tell whether a changed path can be a document: not the memory's own files, nor git's."""
    try:
        parts = folder.relative(root, path).split("/")
    except UserError:
        return False
    if parts[0] == folder.HOME:
        return folder.scope_of("/".join(parts)) != SCOPES[0]
    return folder.SKIPPED.isdisjoint(parts)
