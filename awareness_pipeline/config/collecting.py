"""Settings of the stages that collect: discover, clone, extract and curate.

Limits: a section holds values and does not check them; the stage that reads a value does.
"""

from dataclasses import dataclass, field

from awareness_pipeline.config.fingerprint import RUN_ONLY


@dataclass(frozen=True, slots=True)
class Discover:
    """Which repositories to look for."""

    languages: tuple[str, ...] = ()
    """Languages asked for; empty: every language of the tiers included."""
    min_stars: int = 50
    """Least stars in the mainstream tier; niche asks for at most 20, emerging for at most 10."""
    include_niche: bool = True
    include_emerging: bool = True
    target: int = field(default=100_000, metadata=RUN_ONLY)
    """Stop asking once so many repositories are found; as many at most are cloned."""
    cap_per_language: int = field(default=0, metadata=RUN_ONLY)
    """Stop asking for a language once so many of it are found; 0: no cap."""
    sampling: str = field(default="stars", metadata=RUN_ONLY)
    """Which `target` of the repositories found are cloned: `stars` or `stratified`."""
    seed: int = field(default=0, metadata=RUN_ONLY)
    """Of the stratified choice."""
    mode: str = field(default="resume", metadata=RUN_ONLY)
    """`resume` asks what was not asked yet, `refresh` everything again, `incremental` what was
    pushed since."""


@dataclass(frozen=True, slots=True)
class Clone:
    """How repositories are fetched."""

    max_size_kb: int = 2_000_000
    max_blob_bytes: int = 0
    """Leave out files of this size and more, whose changes become `omitted`; 0: none."""
    concurrency: int = field(default=10, metadata=RUN_ONLY)
    timeout_s: float = field(default=3600.0, metadata=RUN_ONLY)
    order: str = field(default="stars", metadata=RUN_ONLY)
    """`stars` or `random`."""
    disk_budget_gb: float = field(default=0.0, metadata=RUN_ONLY)
    """Most that the clones of a version may take together; 0: no bound."""
    min_free_gb: float = field(default=1.0, metadata=RUN_ONLY)
    """Free space on the disk below which nothing is fetched."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What of a history becomes commit rows."""

    max_commits: int = 0
    """Newest commits per repository; 0: all."""
    max_file_diff_bytes: int = 1_000_000
    max_commit_diff_bytes: int = 4_000_000
    merges: str = "label"
    """`label`: merges are rows without a diff; `first-parent`: with the diff to their first parent,
    which is the whole branch that they bring in."""
    plain: bool = False
    """Write `.jsonl` instead of `.jsonl.zst`."""
    workers: int = field(default=2, metadata=RUN_ONLY)


@dataclass(frozen=True, slots=True)
class Curate:
    """Which commits go on, and how repositories are split."""

    held_out_fraction: float = 1 / 3
    """Share of repositories kept from training, by a stateless hash: a split never moves."""
    near_duplicate: float = 0.7
    """Jaccard similarity of two patches from which one of them goes (BigCode's threshold)."""
    shared_commits: float = 0.1
    """Share of the smaller repository's commits, the same or nearly so, that keeps two
    repositories on one side of the split."""
