"""The latent memory store: records of encoded documents, the snapshots that lead to them, selection
by scope and by routing vector, and batches of memory for a reader.

The store is loaded when it is asked for: a reader that is handed its memory needs no Lance.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from awareness_model.memory.store import Document, LatentMemoryStore

__all__ = ["Document", "LatentMemoryStore"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from awareness_model.memory import store

    return getattr(store, name)
