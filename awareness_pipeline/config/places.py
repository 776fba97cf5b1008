"""Where things are: this project, the folders of a run's outputs, and the host of repositories.

Limits: nothing here looks at the disk or the network; a folder that is named need not exist.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from awareness_pipeline.config.fingerprint import RUN_ONLY

PROJECT = Path(__file__).resolve().parent.parent.parent
GITHUB = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where outputs live. Two folders can be moved alone; the catalog may be a database URL."""

    root: Path = Path("data")
    repos: Path | None = None
    """Replaces `<root>/clones`."""
    commits: Path | None = None
    """Replaces `<root>/commits`."""
    database: str = field(default="", repr=False)
    """SQLite path or PostgreSQL URL, which may hold a password; empty: `<root>/crawl_state.db`."""
    store: str = ""
    """`s3://BUCKET/PREFIX`, where the truth is and `root` a worker's own copy; empty: `root` is."""

    def artifact(self, name: str) -> Path:
        """Return the folder that holds every version of an artifact."""
        moved = {"clones": self.repos, "commits": self.commits}.get(name)
        return moved or self.root / name

    def memory(self, version: str) -> str:
        """Return the folder or URL of a version's memory, which the model package reads itself."""
        home = self.store or str(self.root)
        return f"{home}/memory_shards/{version}/store"

    @property
    def database_url(self) -> str:
        """Return the catalog's SQLAlchemy URL."""
        chosen = self.database or str(self.root / "crawl_state.db")
        return chosen if "://" in chosen else f"sqlite:///{Path(chosen).absolute()}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where repositories come from: GitHub's API as `url` stands, or a local folder."""

    url: str = GITHUB
    tokens: tuple[str, ...] = field(default=(), repr=False, metadata=RUN_ONLY)
    search_interval_s: float = field(default=0.0, metadata=RUN_ONLY)
    """Seconds between searches; 0: 2.5 with a token, 6 without (GitHub's 30 and 10 a minute)."""
    local: Path | None = None
    """A folder of git repositories; set, it replaces GitHub."""
    listing: Path | None = field(default=None, metadata=RUN_ONLY)
    """A file of names (`owner/name` or URL, one a line); set, it replaces the search."""

    @property
    def host(self) -> str:
        """Return the first half of a repository's identity. The port is no part of it."""
        return "local" if self.local else (urlsplit(self.url).hostname or "")

    @property
    def git_url(self) -> str:
        """Return the root of clone URLs, derived from the API root and never from an API reply:
        `https://github.com` for GitHub, `https://HOST` for `https://HOST/api/v3`."""
        if self.url.rstrip("/") == GITHUB:
            return "https://github.com"
        return re.sub(r"/api(/v3)?/?$", "", self.url)
