"""Documents whose keys and values are given by hand, without the text they come from."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.schema import content_hash

LARGEST_DOCUMENT = 4 << 30
"""Bytes of a document's tensors in float32: about 90,000 tokens in `kv` on SmolLM2-135M (46 KB
each), a guard against filling the disk by mistake."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """Keys and values as one chunk; values None where they are the keys."""

    keys: Tensor
    values: Tensor | None
    route: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Slots stand for tokens, whose number is not known."""
        return len(self.keys)

    @property
    def span(self) -> tuple[int, int]:
        """All of it."""
        return 0, len(self.keys)

    @property
    def layout(self) -> str:
        """`latent` or `kv`, told by the number of dimensions."""
        return "latent" if self.keys.dim() == 3 else "kv"

    def content_hash(self) -> str:
        """Name the document by its tensors."""
        parts = [self.keys, *([] if self.values is None else [self.values])]
        data = [part.detach().float().cpu().contiguous().numpy().tobytes() for part in parts]
        return content_hash(b"".join(data) + repr([tuple(part.shape) for part in parts]).encode())


def by_hand(path: str, keys: Tensor, values: Tensor) -> ByHand:
    """Return the one chunk of a document.

    Raises:
        UserError: the tensors are empty, too large, or no memory of either layout.
    """
    if keys.dim() not in (3, 4) or keys.shape != values.shape:
        raise UserError(
            f"{path!r}: keys and values are [slots, layers, size] or [slots, layers, heads, size], "
            f"both alike: got {tuple(keys.shape)} and {tuple(values.shape)}"
        )
    if not keys.numel():
        raise UserError(f"{path!r} is empty: there is nothing to remember")
    if (size := 2 * 4 * keys.numel()) > LARGEST_DOCUMENT:
        raise UserError(
            f"{path!r} has {size >> 20} MiB of tensors, at most {LARGEST_DOCUMENT >> 20} are kept: "
            "split it, or leave it out"
        )
    return ByHand(keys, None if torch.equal(keys, values) else values)


def told(path: str, metadata: Mapping[str, str] | None) -> tuple[str, str, str]:
    """Return path, scope and acl label of a document and its metadata.

    Raises:
        UserError: other metadata, which nothing would read.
    """
    given = {"path": path, "scope": "repository", "acl": "public", **(metadata or {})}
    if unknown := set(given) - {"path", "scope", "acl"}:
        raise UserError(f"metadata may name path, scope and acl, not {sorted(unknown)}")
    return given["path"], given["scope"], given["acl"]
