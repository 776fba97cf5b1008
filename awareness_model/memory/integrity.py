"""Whether a record is what was written, and what it holds.

The checksum is a crc32 over identity, shape and tensors: it tells a damaged record, not a forged
one. `payload_digest` is for comparing stores.
"""

import zlib
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import torch

from awareness_model.config import UserError


class Damaged(UserError):
    """Stored bytes are not what was written."""


_NAMED = ("content_hash", "encoder_fingerprint", "layout", "pooling", "span_start", "span_end")
_TOLD = ("record_id", *_NAMED, "tokens", "chunks", "shape", "dtype")


def checksum(row: Mapping[str, Any]) -> int:
    """Return the crc32 over what a record is and holds."""
    state = zlib.crc32("\0".join(str(row[name]) for name in _TOLD).encode())
    for part in (row["K"], row["V"], row["scale"], _route(row)):
        state = zlib.crc32(part or b"", zlib.crc32(str(part and len(part)).encode(), state))
    return state


def payload_digest(row: Mapping[str, Any]) -> str:
    """Return the blake2b-128 of a row's tensors and routing vector."""
    state = blake2b(digest_size=16)
    for part in (row["K"], row["V"] or b"", row["scale"] or b"", _route(row)):
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def _route(row: Mapping[str, Any]) -> bytes:
    return torch.tensor(row["route"] or []).float().numpy().tobytes()
