"""Documents that become memory: what to encode, which tree holds it, what an encode run left.

Documents are named by their bytes and encoded once; a tree reaches them by its snapshot rows alone.
Limits: text only, and no row says which model encoded it (memory records do).
"""

from dataclasses import dataclass

LAYOUTS = ("kv", "latent")
"""Memory layouts: `kv`, the decoder's own keys and values; `latent`, encoder states."""
READINGS = ("kv", "kv_trained", "latent")
"""What an evaluation tells apart: `kv` untrained, `kv` by the reader that comes with the package
(where one does for the model), `latent` by the checkpoint."""


@dataclass(frozen=True, slots=True)
class EncodeDocument:
    """A document to encode once, named by what it holds: `content_hash` of its bytes."""

    content_hash: str
    text: str


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """Which tree holds which document: the only way readers reach memory records."""

    repo_id: int
    sha: str
    path: str
    content_hash: str
    scope: str = "repository"
    acl: str = "public"


@dataclass(frozen=True, slots=True)
class EncodeReport:
    """What one encode run leaves: counts by layout, and the digest of what was asked."""

    documents: int
    encoded: dict[str, int]
    """Documents encoded in this run, by layout: 0 when all were there already."""
    records: dict[str, int]
    """Memory records the asked documents hold, by layout."""
    tokens: dict[str, int]
    bytes: dict[str, int]
    digest: str
    """blake2b over the sorted record ids of the asked documents."""
    by_document: dict[str, int]
    """Memory records of each asked document, all layouts together, by content hash."""
