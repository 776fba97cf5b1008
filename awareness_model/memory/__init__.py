"""The latent memory store: records of encoded documents, the snapshots that lead to them, selection
by scope and by routing vector, and batches of memory for a reader."""

from awareness_model.memory.store import Document, LatentMemoryStore

__all__ = ["Document", "LatentMemoryStore"]
