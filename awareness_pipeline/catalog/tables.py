"""The catalog's tables (SQLAlchemy 2). Times are ISO 8601 strings in UTC, as GitHub gives them.

`stage_progress` is an index: it can be rebuilt from the records beside the artifacts at any time.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Root of the catalog's schema."""


class RepositoryRow(Base):
    """A repository; `repo_id` is the hash of (host, external_id), never a counter."""

    __tablename__ = "repositories"
    __table_args__ = (
        UniqueConstraint("host", "external_id", name="uq_repositories_host_external_id"),
        Index("ix_repositories_host_language", "host", "language"),
    )

    repo_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    host: Mapped[str]
    external_id: Mapped[str]
    node_id: Mapped[str]
    full_name: Mapped[str]
    language: Mapped[str]
    stars: Mapped[int]
    forks: Mapped[int]
    size_kb: Mapped[int]
    default_branch: Mapped[str]
    licence: Mapped[str | None]
    fork: Mapped[bool]
    archived: Mapped[bool]
    disabled: Mapped[bool]
    topics: Mapped[str] = mapped_column(Text)
    created_at: Mapped[str]
    updated_at: Mapped[str]
    pushed_at: Mapped[str]
    local_path: Mapped[str | None]
    discovered_at: Mapped[str]
    checked_at: Mapped[str]
    """When a search or the liveness sweep last saw it, or missed it."""
    state: Mapped[str]
    """`alive`, `gone` (404), `blocked` (451) or `private`."""
    selected: Mapped[bool]
    """Whether it is to be cloned: the choice of `--sampling`."""
    listed: Mapped[bool]
    """Asked for by name (`--from-file`): always selected."""


class DiscoveryProgressRow(Base):
    """A search range, asked or still to ask. A split replaces it by its halves."""

    __tablename__ = "discovery_progress"
    __table_args__ = (
        UniqueConstraint(
            "host",
            "tier",
            "language",
            "stars_min",
            "stars_max",
            "created_min",
            "created_max",
            "pushed_min",
            name="uq_discovery_progress_range",
        ),
        Index("ix_discovery_progress_host_language_state", "host", "language", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str]
    tier: Mapped[str]
    language: Mapped[str]
    stars_min: Mapped[int]
    stars_max: Mapped[int]
    """-1: no upper end."""
    created_min: Mapped[str]
    """Empty: no bound."""
    created_max: Mapped[str]
    pushed_min: Mapped[str]
    """Set in the ranges of an incremental pass; empty in those of a full one."""
    expected: Mapped[int | None]
    """`total_count` as the host gave it, or what subtraction left for a sibling."""
    got: Mapped[int]
    state: Mapped[str]
    """`open`, `done`, or `short`: done with fewer rows than expected."""


class DiscoveryPassRow(Base):
    """How far the asking of one language is: the pass in hand, and the last one that ended."""

    __tablename__ = "discovery_passes"

    host: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """`full` or `incremental`."""
    round: Mapped[int]
    """The refresh it belongs to; 0: none."""
    started_at: Mapped[str]
    """The server's time at its first answer; empty before."""
    finished_at: Mapped[str]
    """Empty while there is something left to ask."""
    covered_from: Mapped[str]
    """When the last finished pass began: what was pushed before is known. Empty: none finished."""
    expected: Mapped[int | None]
    """`total_count` of the whole language at the first answer of the last full pass."""
    calls: Mapped[int]


class CrawlRunRow(Base):
    """A round of refreshing over several languages, which a killed command goes on with."""

    __tablename__ = "crawl_runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str]
    kind: Mapped[str]
    started_at: Mapped[str]
    finished_at: Mapped[str | None]


class SlotRow(Base):
    """When the next search may be sent to a host: one pace for all processes."""

    __tablename__ = "slots"

    host: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[float]
    """UTC epoch seconds."""
    held_until: Mapped[float]
    """Nothing at all may be asked before: the host's secondary limit."""


class StageProgressRow(Base):
    """How far a repository is in a stage of a version."""

    __tablename__ = "stage_progress"

    version: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    repo_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repositories.repo_id"), primary_key=True
    )
    state: Mapped[str]
    """`done` or `failed`."""
    attempts: Mapped[int]
    last_error: Mapped[str]


class OptOutRow(Base):
    """An owner or repository that asked to be left out, honoured at every stage."""

    __tablename__ = "opt_outs"

    host: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    """`owner` or `owner/name`, lower case."""
    external_id: Mapped[str]
    """Of a repository, once it was seen: a new name does not bring it back. Empty before."""
