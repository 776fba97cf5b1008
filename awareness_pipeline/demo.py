"""The demo's settings: recipe `demo()` against the sandbox, which is served while it runs.

Only settings differ from a run on GitHub: the API's address and the pause between searches. The
same values go to child processes as environment variables, so `awareness demo` and Dagster's demo
read and write the same folders with the same fingerprints. No token ever goes to the sandbox.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from awareness_model.config import LOCAL_MODEL, model_folder
from awareness_pipeline import config
from awareness_pipeline.config import PROJECT, Paths, Settings, Source
from awareness_pipeline.sandbox.process import process

SEARCH_INTERVAL_S = 0.001
"""The sandbox has no limit worth waiting for."""


def demo_settings(api_url: str, root: Path | None = None, version: str | None = None) -> Settings:
    """Return the demo's settings against a sandbox; paths, model and device as the user set them.

    Raises:
        UserError: the model is not there.
    """
    settings = config.load("demo")
    return replace(
        settings,
        version=version or settings.version,
        model=demo_model(),
        # Nor does it touch what others share.
        paths=replace(settings.paths, root=root or settings.paths.root, store=""),
        source=Source(url=api_url, search_interval_s=SEARCH_INTERVAL_S),
        # A demo never spends money: the model on this machine answers.
        teacher=replace(settings.teacher, url="", key=""),
    )


def demo_model() -> str:
    """Return `AWARENESS_MODEL`, or the folder where `make models` put the local model.

    Raises:
        UserError: no model is there; the line says what to run.
    """
    local = LOCAL_MODEL if LOCAL_MODEL.is_dir() else PROJECT / LOCAL_MODEL
    if not local.is_dir():
        local = LOCAL_MODEL
    chosen = os.environ.get("AWARENESS_MODEL") or str(local)
    model_folder(chosen)
    return chosen


@contextmanager
def sandbox(root: Path) -> Iterator[str]:
    """Serve the sandbox below `root` while the block runs; yield its API address.

    Raises:
        UserError: it does not come up; the line names its log.
    """
    with process(root / "sandbox", root / "logs" / "sandbox.log") as served:
        yield served.api_url


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that make `config.load()` in a child process give these settings.

    Tokens are left as the environment has them. Values are absolute, so the child may run anywhere;
    empty ones hide what the user's own environment says.
    """
    paths, source = settings.paths, settings.source
    model = Path(settings.model)
    return {
        "AWARENESS_RECIPE": settings.recipe,
        "AWARENESS_VERSION": settings.version,
        "AWARENESS_SHARDS": str(settings.shards),
        "AWARENESS_ROOT": str(paths.root.absolute()),
        "AWARENESS_REPOS_PATH": _absolute(paths.repos),
        "AWARENESS_OUTPUT_PATH": _absolute(paths.commits),
        "AWARENESS_DB_PATH": _database(paths),
        "AWARENESS_STORE": paths.store,
        "AWARENESS_GITHUB_URL": source.url,
        "AWARENESS_SEARCH_INTERVAL_S": str(source.search_interval_s),
        "AWARENESS_LOCAL": _absolute(source.local),
        "AWARENESS_FROM_FILE": _absolute(source.listing),
        "AWARENESS_MODEL": str(model.absolute()) if model.is_dir() else settings.model,
        "DEVICE": settings.device,
        "AWARENESS_TEACHER_CACHE": _absolute(settings.teacher.cache),
    }


def demo_environment(settings: Settings) -> dict[str, str]:
    """Return `environment_of` the demo's settings, with the user's tokens and endpoint hidden."""
    hidden = ("GITHUB_TOKEN", "GITHUB_TOKENS", "AWARENESS_TEACHER_URL", "AWARENESS_TEACHER_KEY")
    return {**environment_of(settings), **dict.fromkeys(hidden, "")}


def _absolute(path: Path | None) -> str:
    return str(path.absolute()) if path else ""


def _database(paths: Paths) -> str:
    chosen = paths.database
    return chosen if not chosen or "://" in chosen else str(Path(chosen).absolute())
