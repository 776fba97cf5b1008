"""Real repositories served beside the generated ones, from bare copies.

This project's own, with its true history, where the package runs from a clone; and every git
repository directly inside the folders that `AWARENESS_SANDBOX_REPOS` names. A copy holds the branch
that is checked out and is made anew when that branch has moved. Repositories without commits are
passed over, shallow ones too: their history is not true.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from awareness_pipeline.clock import iso, utc
from awareness_pipeline.config import UserError
from awareness_pipeline.sandbox import git
from awareness_pipeline.sandbox.universe import SandboxRepo

REPOS_VARIABLE = "AWARENESS_SANDBOX_REPOS"
OWN_NAME = "awareness/awareness"
OWN_ID = 700_000_001
_FIRST_FOUND_ID = 1 << 40  # above every generated id
_STARS = 100
_LATEST = 4_102_444_800  # the year 2100: commits may claim any time
_LANGUAGES = {
    ".c": "C", ".cc": "C++", ".cpp": "C++", ".cs": "C#", ".go": "Go", ".h": "C", ".hs": "Haskell",
    ".java": "Java", ".js": "JavaScript", ".jsx": "JavaScript", ".kt": "Kotlin", ".lua": "Lua",
    ".mjs": "JavaScript", ".php": "PHP", ".py": "Python", ".rb": "Ruby", ".rs": "Rust",
    ".scala": "Scala", ".sh": "Shell", ".swift": "Swift", ".ts": "TypeScript",
    ".tsx": "TypeScript", ".zig": "Zig",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A repository on this machine and what the sandbox calls it."""

    path: Path
    full_name: str
    id: int
    language: str | None = None
    """Known beforehand; None: guessed from the files."""
    license: str | None = None


def folders_named_in(environment: Mapping[str, str]) -> list[Path]:
    """The folders of `AWARENESS_SANDBOX_REPOS`; UserError where one is not a folder."""
    folders = [Path(p) for p in environment.get(REPOS_VARIABLE, "").split(os.pathsep) if p]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{REPOS_VARIABLE} names {folder}, which is not a folder")
    return folders


def find(project: Path, folders: Iterable[Path], configuration: Path) -> list[Found]:
    """Every repository to serve; UserError where two of them would have the same name."""
    found = (
        [Found(project, OWN_NAME, OWN_ID, "Python", "MIT")]
        if _is_root(project, configuration)
        else []
    )
    for folder in folders:
        for child in sorted(folder.iterdir()):
            if (child / ".git").exists() or (child / "HEAD").is_file():
                name = f"{_owner(folder)}/{_name(child)}"
                mark = blake2b(name.lower().encode(), digest_size=5).digest()
                found.append(Found(child, name, _FIRST_FOUND_ID + int.from_bytes(mark, "big")))
    twice = [name for name, n in Counter(one.full_name.lower() for one in found).items() if n > 1]
    if twice:
        raise UserError(f"two repositories below {REPOS_VARIABLE} are called {twice[0]}")
    return [one for one in found if _has_history(one.path, configuration)]


def copy(found: Found, target: Path, aside: Path, configuration: Path) -> SandboxRepo:
    """Bring the bare copy at `target` up to date and return its row; made in `aside` first."""
    head = git.run("-C", str(found.path), "rev-parse", "HEAD", configuration=configuration)
    served = git.ask("-C", str(target), "rev-parse", "HEAD") if target.is_dir() else None
    if served != head.strip():
        shutil.rmtree(aside, ignore_errors=True)
        _clone(found.path, aside, configuration)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(target)
    return _row(found, target)


def _clone(source: Path, target: Path, configuration: Path) -> None:
    options = ("--quiet", "--bare", "--single-branch", "--no-tags", "--template=")
    url = str(source.resolve())
    git.run("clone", *options, "--", url, str(target), configuration=configuration)
    if git.ask("-C", str(target), "symbolic-ref", "--quiet", "HEAD") is None:
        git.run("-C", str(target), "update-ref", "refs/heads/main", "HEAD")
        git.run("-C", str(target), "symbolic-ref", "HEAD", "refs/heads/main")


def _row(found: Found, copied: Path) -> SandboxRepo:
    where = ("-C", str(copied))
    roots = git.run(*where, "rev-list", "--max-parents=0", "--timestamp", "HEAD").splitlines()
    counted = git.run(*where, "count-objects", "-v").splitlines()
    sizes = dict(line.split(": ") for line in counted)
    return SandboxRepo(
        id=found.id,
        full_name=found.full_name,
        language=found.language or _language(copied),
        stars=_STARS,
        created_at=_time(min(int(line.split()[0]) for line in roots)),
        pushed_at=_time(int(git.run(*where, "log", "-1", "--format=%ct", "HEAD"))),
        license=found.license,
        size=max(1, int(sizes["size"]) + int(sizes["size-pack"])),
        default_branch=git.run(*where, "symbolic-ref", "--short", "HEAD").strip(),
    )


def _language(copied: Path) -> str | None:
    """The language with the most bytes at HEAD, None where no ending is known."""
    amounts: Counter[str] = Counter()
    listed = git.run("-C", str(copied), "ls-tree", "-r", "-l", "-z", "HEAD")
    for size, path in _sizes(listed.split("\0")):
        if language := _LANGUAGES.get(PurePosixPath(path).suffix.lower()):
            amounts[language] += size
    return max(sorted(amounts), key=lambda name: amounts[name]) if amounts else None


def _sizes(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for line in lines:
        head, _, path = line.partition("\t")
        size = head.split()[-1] if path else "-"
        if size != "-":
            yield int(size), path


def _is_root(folder: Path, configuration: Path) -> bool:
    """Whether `folder` is itself a work tree, not merely inside one."""
    top = git.ask("-C", str(folder), "rev-parse", "--show-toplevel", configuration=configuration)
    return top is not None and Path(top).resolve() == folder.resolve()


def _has_history(folder: Path, configuration: Path) -> bool:
    where = ("-C", str(folder), "rev-parse")
    shallow = git.ask(*where, "--is-shallow-repository", configuration=configuration)
    if shallow is None:
        raise UserError(f"{folder} looks like a git repository, but git cannot read it")
    head = git.ask(*where, "--verify", "--quiet", "HEAD^{commit}", configuration=configuration)
    return shallow == "false" and head is not None


def _owner(folder: Path) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", folder.resolve().name).strip("-") or "local"


def _name(folder: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name.removesuffix(".git"))
    return name.lstrip(".-") or "repository"


def _time(seconds: int) -> str:
    return iso(utc(min(max(seconds, 0), _LATEST)))
