"""Seeded encodings and rows for tests of the memory."""

from dataclasses import dataclass

import torch

from awareness_model.config import MemoryConfig
from awareness_model.memory import Document, LatentMemoryStore
from awareness_model.schema import SnapshotRow


@dataclass
class Encoded:
    keys: torch.Tensor
    values: torch.Tensor | None
    route: torch.Tensor
    tokens: int
    span: tuple[int, int]


def encoded(seed, slots=3, start=0, layout="kv", route=8):
    draw = torch.Generator().manual_seed(seed)
    shape = (slots, 2, 2, 4) if layout == "kv" else (slots, 2, 8)
    keys = torch.randn(shape, generator=draw)
    values = torch.randn(shape, generator=draw) if layout == "kv" else None
    vector = torch.nn.functional.normalize(torch.randn(route, generator=draw), dim=0)
    return Encoded(keys, values, vector, slots, (start, start + 10))


def opened(folder, dtype="float32", **settings):
    return LatentMemoryStore(MemoryConfig(str(folder), dtype, **settings))


def row(path, content, repo_id=1, sha="s1", acl="public", scope="repository"):
    return SnapshotRow(repo_id, sha, path, content, scope, acl)


def document(path, seed, content=None, **settings):
    """A live document whose hash tells its seed."""
    return Document(path, content or f"hash{seed}", [encoded(seed)], **settings)


def put(store, path, seed, **settings):
    return store.put_documents([document(path, seed, **settings)], "kv", "f")


def seen(reader, scope="**"):
    """What a reader finds: tensors by path; fails where a path has no records."""
    found = reader.documents(scope)
    chunks = reader.chunks(list(found.values()), "kv", "f")
    assert all(chunks), "a path without records"
    return {path: held[0].keys for path, held in zip(found, chunks, strict=True)}
