"""The rows handed from stage to stage, and what identifies a repository.

A repository is known by a 63-bit hash of its API host and the host's own id, so renames and
transfers change nothing. Its shard and its split are pure functions of that number. Rows are
frozen; their JSON form keeps field order.
"""

import dataclasses
import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

COMMIT_SCHEMA_VERSION = 2

SPLITS = ("train", "held_out")


def repo_id_of(host: str, external_id: str) -> int:
    """Return the 63-bit identity of a repository: blake2b of API host and the host's own id."""
    state = blake2b(f"{host}\0{external_id}".encode(), digest_size=8)
    return int.from_bytes(state.digest(), "big") >> 1


def shard_of(repo_id: int, shards: int) -> str:
    """Return the partition key of a repository."""
    return f"{repo_id % shards:03d}"


def split_of(repo_id: int, held_out_fraction: float) -> str:
    """Return `held_out` or `train`: a stateless draw, so that a split once given never moves."""
    state = blake2b(f"split\0{repo_id}".encode(), digest_size=8)
    draw = int.from_bytes(state.digest(), "big") / 2**64
    return "held_out" if draw < held_out_fraction else "train"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the catalog knows it."""

    repo_id: int
    host: str
    external_id: str
    full_name: str
    language: str
    stars: int
    forks: int
    size_kb: int
    default_branch: str
    licence: str | None
    """SPDX identifier, or None where the host names none."""
    fork: bool
    archived: bool
    created_at: str
    pushed_at: str
    node_id: str = ""
    topics: tuple[str, ...] = ()
    local_path: str | None = None
    """Set for repositories found in a local folder; they are cloned from there."""
    disabled: bool = False
    """The host has switched it off: listed, but not to be cloned."""
    updated_at: str = ""
    """When the host last changed its description of it; empty where unknown."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a commit. Binary and omitted files and submodules have no line counts."""

    path: str
    old_path: str | None
    status: str
    """`added`, `modified`, `deleted`, `renamed`, `copied`, `type`."""
    kind: str
    """`text`, `binary`, `symlink`, `submodule`, `mode`, or `omitted`: left out of the clone."""
    additions: int | None
    deletions: int | None
    diff_bytes: int = 0
    """Bytes of this file's part of the diff as git printed it, cut or not."""
    blob_bytes: int | None = None
    """Size of what a `binary` or `omitted` file became (of what it was, when deleted), if known."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. The first nine fields are the user's (name and meaning kept)."""

    repo: str
    sha: str
    parent_sha: str | None
    message: str
    language: str
    files_changed: tuple[str, ...]
    additions: int
    deletions: int
    diff: str
    repo_id: int
    parents: tuple[str, ...]
    author_date: str
    committer_date: str
    files: tuple[FileChange, ...]
    labels: tuple[str, ...]
    truncated: bool
    """Whether diff, files or message were cut; `additions` and `deletions` are whole even then."""
    encoding_lossy: bool
    """Whether something was not UTF-8: U+FFFD stands in its place."""
    diff_bytes: int = 0
    """Bytes of the whole diff as git printed it, cut or not."""
    schema_version: int = COMMIT_SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of a commit's text that must not be read: a secret, or what names a person."""

    kind: str
    """`private_key`, `key`, `password`, `email`, `ip`."""
    field: str
    """`message` or `diff`."""
    start: int
    end: int
    """In characters of the stored text, half open."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What curation says of one commit; the commit itself is never rewritten."""

    repo_id: int
    sha: str
    keep: bool
    reason: str
    """Why it was dropped; empty for a commit that is kept."""
    split: str
    duplicate_of: str = ""
    """`<repo_id>:<sha>` of the commit that is kept in its place."""
    licence: str = "NOASSERTION"
    """SPDX identifier, several joined by `AND`; `NOASSERTION`: unknown; `no_license`: none."""
    licence_class: str = "unknown"
    """`permissive`, `copyleft`, `no_license`, `unknown`."""
    findings: tuple[Finding, ...] = ()
    """What to replace wherever the commit is given out; in order, disjoint within a field."""

    def __post_init__(self) -> None:
        """Take findings as JSON holds them, as dicts."""
        found: tuple[Any, ...] = self.findings
        rows = tuple(Finding(**one) if isinstance(one, dict) else one for one in found)
        object.__setattr__(self, "findings", rows)


@dataclass(frozen=True, slots=True)
class TaskPrompt:
    """The task that a commit answers, as a language model put it, or as its message does."""

    repo_id: int
    repo: str
    sha: str
    parent_sha: str | None
    style: str
    """`issue`, `imperative`, `terse`, or `message`: the cleaned commit message, no model asked."""
    prompt: str
    accepted: bool
    reject_reason: str
    """Empty for an accepted prompt."""
    finish_reason: str
    """As the teacher ended; empty where it was not asked."""
    model: str
    prompt_fingerprint: str
    prompt_tokens: int
    completion_tokens: int
    leak: float
    """Share of the prompt's names and literals that stand in added lines alone: neither in the tree
    at `parent_sha` nor in the cleaned message. Scores are 0 to 1; `teacher/quality` has them."""
    grounding: float
    """Share of its code-like names that are in that tree or message; 1.0 if it has none."""
    copy_overlap: float
    """Longest run of words shared with the added lines, as a share of the prompt's words."""
    words: int
    english: float
    self_contained: float
    judge: float | None
    """1 to 5 by a language model; None: it was not asked."""


def to_json(row: Any) -> str:
    """Return a row as one line of JSON, keys in field order, non-ASCII text as it is."""
    return json.dumps(dataclasses.asdict(row), ensure_ascii=False, separators=(",", ":"))
