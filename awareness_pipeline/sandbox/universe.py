"""What the sandbox holds: frozen rows as GitHub would list them, and where their git folders lie.

A row may have no git folder: 95,000 rows that only the search sees are a valid universe. Times are
UTC text with second precision, `2024-03-01T12:00:00Z`. Nothing here changes; `live.py` holds a
universe whose rows are replaced while it is served.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_FULL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.)[A-Za-z0-9._-]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class SandboxRepo:
    """One repository as the API lists it; `size` is in KB, `license` an SPDX id.

    `former_names` answer with 301, as GitHub does after a rename or a transfer. A blocked one is in
    no search and answers with 451 where `block_reason` is `dmca`, else with 403.
    """

    id: int
    full_name: str
    language: str | None
    stars: int
    created_at: str
    pushed_at: str
    description: str = ""
    topics: tuple[str, ...] = ()
    license: str | None = None
    size: int = 1
    default_branch: str = "main"
    fork: bool = False
    archived: bool = False
    disabled: bool = False
    private: bool = False
    former_names: tuple[str, ...] = ()
    blocked: bool = False
    block_reason: str = "dmca"

    def __post_init__(self) -> None:
        """Raise ValueError for a name or a time that GitHub could not show."""
        for name in (self.full_name, *self.former_names):
            if not _FULL_NAME.fullmatch(name):
                raise ValueError(f"not an OWNER/NAME: {name!r}")
        for time in (self.created_at, self.pushed_at):
            if not _TIME.fullmatch(time):
                raise ValueError(f"not a UTC time with seconds: {time!r}")


@dataclass(frozen=True, slots=True)
class Universe:
    """All repositories of a sandbox; `git_root` holds OWNER/NAME.git, None where none is served."""

    repos: tuple[SandboxRepo, ...]
    git_root: Path | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where two rows share an id or a name (names ignore case)."""
        _refuse_twice("id", [str(repo.id) for repo in self.repos])
        _refuse_twice("name", [repo.full_name.lower() for repo in self.repos])


def _refuse_twice(what: str, values: list[str]) -> None:
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise ValueError(f"two repositories share the {what} {twice[0]}")


def item(repo: SandboxRepo, root_url: str) -> dict[str, object]:
    """GitHub's JSON for one repository; `root_url` is the server's address without a path."""
    owner, name = repo.full_name.split("/")
    return {
        "id": repo.id,
        "node_id": f"R_sandbox{repo.id}",
        "name": name,
        "full_name": repo.full_name,
        "owner": {"login": owner, "type": "User"},
        "private": repo.private,
        "html_url": f"{root_url}/{repo.full_name}",
        "url": f"{root_url}/api/v3/repos/{repo.full_name}",
        "clone_url": f"{root_url}/{repo.full_name}.git",
        "description": repo.description,
        "fork": repo.fork,
        "archived": repo.archived,
        "disabled": repo.disabled,
        "stargazers_count": repo.stars,
        "language": repo.language,
        "topics": list(repo.topics),
        "license": None if repo.license is None else {"spdx_id": repo.license},
        "size": repo.size,
        "default_branch": repo.default_branch,
        "visibility": "private" if repo.private else "public",
        "created_at": repo.created_at,
        "updated_at": repo.pushed_at,
        "pushed_at": repo.pushed_at,
        "score": 1.0,
    }
