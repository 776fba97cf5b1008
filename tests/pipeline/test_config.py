"""Settings: recipes, what the environment may replace, and `.env.example` kept true."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from awareness_pipeline import config
from awareness_pipeline.config import PROJECT, RECIPES, Settings, UserError, identity, load

EXAMPLE = PROJECT / ".env.example"
READ_ELSEWHERE = {
    "AWARENESS_EXECUTOR": "awareness_pipeline/defs",
    "AWARENESS_PARTITIONS_PER_RUN": "awareness_pipeline/defs",
    "AWARENESS_AUTOMATION": "awareness_pipeline/defs",
    "AWARENESS_AUTOMATION_HOURS": "awareness_pipeline/defs",
    "AWARENESS_AUTOMATION_MAX_REPOSITORIES": "awareness_pipeline/defs",
    "AWARENESS_AUTOMATION_MAX_GB": "awareness_pipeline/defs",
    "AWARENESS_WEBHOOK_URL": "awareness_pipeline/defs",
    "AWARENESS_SANDBOX_REPOS": "awareness_pipeline/sandbox",
    "AWARENESS_LOG": "awareness_pipeline",
}
"""Variables that a named part of the pipeline reads; `WANDB_API_KEY` is handed on, see below."""

HONOURED = [
    ("AWARENESS_ROOT", "/elsewhere", lambda s: str(s.paths.root)),
    ("AWARENESS_REPOS_PATH", "/repos", lambda s: str(s.paths.artifact("clones"))),
    ("AWARENESS_OUTPUT_PATH", "/training", lambda s: str(s.paths.artifact("commits"))),
    ("AWARENESS_DB_PATH", "/db/state.db", lambda s: s.paths.database_url[len("sqlite:///") :]),
    ("AWARENESS_DB_PATH", "postgresql://host/name", lambda s: s.paths.database_url),
    ("GITHUB_TOKEN", "one", lambda s: ",".join(s.source.tokens)),
    ("GITHUB_TOKENS", "one,two", lambda s: ",".join(s.source.tokens)),
    ("AWARENESS_GITHUB_URL", "https://host/api/v3", lambda s: s.source.url),
    ("AWARENESS_SEARCH_INTERVAL_S", "0.25", lambda s: str(s.source.search_interval_s)),
    ("AWARENESS_LOCAL", "/folder", lambda s: str(s.source.local)),
    ("AWARENESS_RECIPE", "full", lambda s: s.recipe),
    ("AWARENESS_VERSION", "2026-11", lambda s: s.version),
    ("AWARENESS_MODEL", "owner/model", lambda s: s.model),
    ("DEVICE", "cuda:1", lambda s: s.device),
    ("AWARENESS_TEACHER_URL", "http://host:8000/v1", lambda s: s.teacher.url),
    ("AWARENESS_TEACHER_MODEL", "owner/teacher", lambda s: s.teacher.model),
    ("AWARENESS_TEACHER_REVISION", "2026-11", lambda s: s.teacher.revision),
    ("AWARENESS_TEACHER_KEY", "sk-1", lambda s: s.teacher.key),
    ("AWARENESS_TEACHER_CONCURRENCY", "32", lambda s: str(s.teacher.concurrency)),
    ("AWARENESS_TEACHER_RPM", "500.0", lambda s: str(s.teacher.requests_per_minute)),
    ("AWARENESS_TEACHER_TPM", "90000.0", lambda s: str(s.teacher.tokens_per_minute)),
    ("AWARENESS_TEACHER_TIMEOUT_S", "30.0", lambda s: str(s.teacher.timeout_s)),
    ("AWARENESS_TEACHER_PROMPT_LOGPROBS", "7", lambda s: str(s.teacher.prompt_logprobs)),
    ("AWARENESS_TEACHER_TOP_LOGPROBS", "5", lambda s: str(s.teacher.top_logprobs)),
    ("AWARENESS_TEACHER_PREFILL", "1", lambda s: str(int(s.teacher.prefill))),
    ("AWARENESS_TEACHER_PARAMETERS", '{"seed": 1}', lambda s: s.teacher.parameters),
    ("AWARENESS_TEACHER_PRICE_IN", "0.5", lambda s: str(s.teacher.price_in)),
    ("AWARENESS_TEACHER_PRICE_OUT", "1.5", lambda s: str(s.teacher.price_out)),
    ("AWARENESS_TEACHER_MAX_COST", "20.0", lambda s: str(s.teacher.max_cost)),
    ("AWARENESS_TEACHER_MAX_TOKENS", "1000", lambda s: str(s.teacher.max_tokens)),
    ("AWARENESS_TEACHER_CACHE", "/shared", lambda s: str(s.teacher.cache)),
    ("AWARENESS_SHARDS", "16", lambda s: str(s.shards)),
]


def example() -> list[tuple[str, str]]:
    """The lines of `.env.example` that set a variable, each with the line before it."""
    lines = EXAMPLE.read_text().splitlines()
    return [
        (line.partition("=")[0], before)
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"[A-Z_]+=", line)
    ]


class Asked(Mapping[str, str]):
    """An empty environment that remembers which variables were looked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_builds_and_each_stage_has_a_stable_identity(recipe: str) -> None:
    settings = load(recipe, {})
    assert settings.recipe == recipe
    sections = [getattr(settings, item.name) for item in fields(settings)]
    for section in sections:
        if is_dataclass(section) and not isinstance(section, config.Paths):
            identity(section)


@pytest.mark.parametrize(("name", "value", "seen"), HONOURED)
def test_environment_replaces_what_the_recipe_says(name: str, value: str, seen: Any) -> None:
    assert seen(load(None, {})) != value
    assert seen(load(None, {name: value})) == value


def test_commits_and_clones_lie_below_the_root_unless_moved() -> None:
    paths = load(None, {"AWARENESS_ROOT": "/r", "AWARENESS_REPOS_PATH": "/c"}).paths
    assert [paths.artifact(name) for name in ("clones", "commits")] == [
        Path("/c"),
        Path("/r/commits"),
    ]


def test_every_variable_of_the_example_has_a_comment_above_it() -> None:
    assert [name for name, before in example() if not before.startswith("# ")] == []


def test_every_variable_of_the_example_is_read_by_the_code() -> None:
    asked = Asked()
    load(None, asked)
    for name, folder in READ_ELSEWHERE.items():
        sources = (path.read_text() for path in (PROJECT / folder).rglob("*.py"))
        if any(f'"{name}"' in source for source in sources):
            asked.names.add(name)
    assert {name for name, _ in example()} == asked.names | {"WANDB_API_KEY"}


def test_the_example_as_it_stands_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, _ in example():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    before = load()
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    assert load() == before


def test_process_environment_stands_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("AWARENESS_VERSION=file\nDEVICE=mps\n")
    monkeypatch.setenv("AWARENESS_VERSION", "process")
    monkeypatch.delenv("DEVICE", raising=False)
    assert (load().version, load().device) == ("process", "mps")


def test_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(UserError, match="unknown recipe 'hyper': choose one of demo, pilot, full"):
        load("hyper", {})


def test_a_number_that_is_none_names_its_variable() -> None:
    with pytest.raises(UserError, match="AWARENESS_SEARCH_INTERVAL_S must be a number"):
        load("demo", {"AWARENESS_SEARCH_INTERVAL_S": "soon"})


def test_tokens_do_not_show_when_settings_are_printed() -> None:
    settings = load("demo", {"GITHUB_TOKENS": "hidden-one,hidden-two"})
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(identity(settings.source))


@pytest.mark.parametrize(
    ("url", "given", "key"),
    [
        ("https://api.openai.com/v1", {"OPENAI_API_KEY": "sk-1"}, "sk-1"),
        (
            "https://api.openai.com/v1",
            {"OPENAI_API_KEY": "sk-1", "AWARENESS_TEACHER_KEY": "2"},
            "2",
        ),
        ("https://teacher.example/v1", {"AWARENESS_TEACHER_KEY": "2"}, "2"),
        ("https://teacher.example/v1", {"OPENAI_API_KEY": "sk-1"}, ""),
        ("http://api.openai.com/v1", {"OPENAI_API_KEY": "sk-1"}, ""),
        ("https://api.openai.com.example/v1", {"OPENAI_API_KEY": "sk-1"}, ""),
        ("https://notopenai.com/v1", {"OPENAI_API_KEY": "sk-1"}, ""),
        ("https://api.openai.com@teacher.example/v1", {"OPENAI_API_KEY": "sk-1"}, ""),
        ("", {"OPENAI_API_KEY": "sk-1"}, ""),
    ],
)
def test_openais_key_goes_to_openai_alone(url: str, given: dict[str, str], key: str) -> None:
    assert load("demo", {"AWARENESS_TEACHER_URL": url, **given}).teacher.key == key


def test_the_teachers_key_does_not_show_when_settings_are_printed() -> None:
    settings = load("demo", {"AWARENESS_TEACHER_KEY": "hidden-key"})
    assert settings.teacher.key == "hidden-key"
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(identity(settings.teacher))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWARENESS_TEACHER_PARAMETERS", "[1]"),
        ("AWARENESS_TEACHER_PARAMETERS", "{seed: 1}"),
        ("AWARENESS_TEACHER_RPM", "-1"),
        ("AWARENESS_TEACHER_MAX_COST", "nan"),
        ("AWARENESS_TEACHER_CONCURRENCY", "many"),
    ],
)
def test_a_teachers_variable_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be"):
        load("demo", {name: value})


def test_every_command_spends_from_zero() -> None:
    one, other = load("demo", {}), load("demo", {})
    assert one.teacher.run != other.teacher.run
    assert one == other, "which run it is makes no difference to what it does"


@pytest.mark.parametrize(
    ("api", "git"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://host/api/v3", "https://host"),
        ("http://127.0.0.1:8000/api/v3", "http://127.0.0.1:8000"),
    ],
)
def test_clone_urls_follow_from_the_api_root(api: str, git: str) -> None:
    assert load(None, {"AWARENESS_GITHUB_URL": api}).source.git_url == git


def test_wandb_key_of_the_file_reaches_the_model_and_nothing_that_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "shows.py").write_text(
        "import os; print('key', len(os.environ['WANDB_API_KEY']))"
    )
    (tmp_path / ".env").write_text("WANDB_API_KEY=hidden-key\n")
    (tmp_path / "start.py").write_text(
        textwrap.dedent(
            """
            from pathlib import Path
            from awareness_pipeline import cli, launch
            launch.PACKAGE = "entries"
            cli.app = lambda: launch.run_model("shows", [], "train", Path("shows.log"))
            cli.main()
            """
        )
    )
    env = {key: value for key, value in os.environ.items() if key != "WANDB_API_KEY"}
    done = subprocess.run(
        [sys.executable, "start.py"],
        cwd=tmp_path,
        env={**env, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shows.log").read_text() == "key 10\n"
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".env"]
    assert not [path for path in written if b"hidden-key" in path.read_bytes()]
    assert "hidden-key" not in done.stdout + done.stderr


def test_settings_are_frozen() -> None:
    settings: Settings = load("demo", {})
    with pytest.raises(AttributeError):
        settings.version = "other"  # type: ignore[misc]
