"""The documents are true: each command in them is a command that takes these words, each file,
variable and error text that they name is there. What needs no model and no network is run.

Programs that are not ours count by what they are given: files, services. Limits: commands within
a line of text are checked by name and options alone, and what they print is not compared.
"""

import ast
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
import typer.main
import yaml
from dagster._cli import create_dagster_cli
from dagster_dg_cli.cli import create_dg_cli
from typer.testing import CliRunner

from awareness_pipeline.cli import app
from awareness_pipeline.config import PROJECT

CHECKED = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "docs").glob("*.md")),
)
TEXT = {name: (PROJECT / name).read_text() for name in CHECKED}
BLOCK = re.compile(r"^```(?:sh|bash)?\n(.*?)^```", re.S | re.M)
COMMAND = re.compile(
    r"(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(?:awareness|dg|dagster|make|docker|helm|kubectl) "
)
SPAN = re.compile(r"`((?:awareness|make|dg) [a-z][^`]*)`")
QUOTED = re.compile(r"^\| `([^`]+)` \|", re.M)
GAP = "…"
"""What stands for the part of an error text that differs each time."""
RUN = (
    "awareness full --local ~/code",
    "awareness stats --local ~/code",
    "awareness export --version code -o commits",
    "awareness run commits --local ~/code --partition all",
    "awareness retry --local ~/code",
    "awareness extract ~/code/shop -o commits.jsonl",
    "awareness plan --target 100000",
    "awareness metrics --out awareness.prom",
    "awareness ledger",
    "awareness report",
    "awareness opt-out OWNER/NAME",
    "awareness reprocess --all --stage curate",
    "awareness retry",
    "awareness reshard 512",
    "awareness stats",
)
"""Commands of the guide that are run."""


@cache
def programs() -> dict[str, click.Command]:
    """Return the commands that are ours, or Dagster's, by the name a user types."""
    return {
        "awareness": typer.main.get_command(app),
        "dg": create_dg_cli(),
        "dagster": create_dagster_cli(),
    }


@cache
def services() -> dict[str, dict[str, str]]:
    """Return the services of docker/compose.yaml."""
    found: dict[str, dict[str, str]] = yaml.safe_load(
        (PROJECT / "docker" / "compose.yaml").read_text()
    )["services"]
    return found


@cache
def targets() -> set[str]:
    """Return what `make` can make."""
    return set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))


@cache
def said() -> tuple[str, ...]:
    """Return every text in the source of both packages, docstrings apart, and the Makefile's."""
    found = [(PROJECT / "Makefile").read_text()]
    for package in ("awareness_pipeline", "awareness_model"):
        for path in sorted((PROJECT / package).rglob("*.py")):
            found += _texts(ast.parse(path.read_text()))
    return tuple(found)


def _texts(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return []
    if isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else GAP for one in node.values]
        return ["".join(str(part) for part in parts)]
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    return [text for child in ast.iter_child_nodes(node) for text in _texts(child)]


def is_said(quote: str) -> bool:
    """Return whether one text of the source has these pieces in this order."""
    pattern = re.compile(".*".join(map(re.escape, quote.split(GAP))), re.S)
    return any(pattern.search(text) for text in said())


def commands(name: str) -> list[list[str]]:
    """Return the words of every command in a document's shell blocks, lines joined at `\\`."""
    lines = "\n".join(BLOCK.findall(TEXT[name])).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if COMMAND.match(line)]


def fault(words: list[str], *, whole: bool = True) -> str:
    """Return what is wrong with the command of ours that is among these words; empty: nothing.

    `whole`: they are all it is given; else some arguments may be missing.
    """
    while words and "=" in words[0]:
        words = words[1:]
    program = Path(words[0]).name if words else ""
    if program == "make":
        wrong = {word for word in words[1:] if "=" not in word} - targets()
        return f"no such target: {', '.join(sorted(wrong))}" if wrong else ""
    if program not in programs():
        return ""
    command, rest = programs()[program], words[1:]
    while isinstance(command, click.Group):
        named = command.get_command(click.Context(command), rest[0]) if rest else None
        if named is None:
            return f"no such command: {' '.join(words)}"
        command, rest = named, rest[1:]
    return _refused(command, rest) if whole else _unknown(command, rest)


def _refused(command: click.Command, rest: list[str]) -> str:
    try:
        command.make_context(command.name, list(rest))
    except click.exceptions.Exit:  # --help
        return ""
    except click.ClickException as error:
        return f"{command.name} {' '.join(rest)}: {error.format_message()}"
    return ""


def _unknown(command: click.Command, rest: list[str]) -> str:
    known = {one for each in command.params for one in (*each.opts, *each.secondary_opts)}
    unknown = {word for word in rest if word.startswith("--")} - known - {"--help"}
    return f"{command.name}: no option {', '.join(sorted(unknown))}" if unknown else ""


def inner(words: list[str]) -> list[str]:
    """Return what a `docker compose run|exec SERVICE …` starts, else the words themselves."""
    start = next((at for at, word in enumerate(words) if word in ("run", "exec")), None)
    if words[:2] != ["docker", "compose"] or start is None:
        return words
    at = next(at for at in range(start, len(words)) if words[at] in services())
    rest = words[at + 1 :]
    # Its image starts `awareness`, with `train` if nothing is said.
    return ["awareness", *(rest or ["train"])] if words[at] == "train" else rest


@pytest.mark.parametrize(
    ("name", "least"),
    [("README.md", 40), ("docs/guide.md", 50), ("docs/cluster.md", 20), ("docs/export.md", 5)],
)
def test_commands_are_found_where_they_are(name: str, least: int) -> None:
    assert len(commands(name)) >= least


@pytest.mark.parametrize("name", CHECKED)
def test_every_command_is_a_command_that_takes_these_words(name: str) -> None:
    assert [wrong for words in commands(name) if (wrong := fault(inner(words)))] == []


@pytest.mark.parametrize("name", CHECKED)
def test_every_command_within_the_text_has_its_options(name: str) -> None:
    spans = SPAN.findall(BLOCK.sub("", TEXT[name]))
    assert [wrong for span in spans if (wrong := fault(span.split(), whole=False))] == []


@pytest.mark.parametrize("name", CHECKED)
def test_every_file_after_an_option_exists(name: str) -> None:
    given = [word for words in commands(name) for word in words if word.startswith("docker/")]
    assert [path for path in given if not (PROJECT / path).is_file()] == []


@pytest.mark.parametrize("name", CHECKED)
def test_every_link_leads_somewhere(name: str) -> None:
    folder = (PROJECT / name).parent
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT[name])
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("name", ["docs/cluster.md", "docs/guide.md", "docs/observability.md"])
def test_every_file_of_the_project_that_is_named_exists(name: str) -> None:
    named = set(
        re.findall(r"\b((?:docker|docs|tests|dagster_home|results)/[\w./-]*\w)", TEXT[name])
    )
    assert [path for path in sorted(named) if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("name", CHECKED)
def test_every_variable_that_is_named_is_known(name: str) -> None:
    files = (".env.example", "docker/compose.yaml", "tests/postgres.py")
    known = "\n".join((*((PROJECT / path).read_text() for path in files), *said()))
    named = set(re.findall(r"\b(?:AWARENESS|GITHUB)_[A-Z_]*[A-Z]\b", TEXT[name]))
    assert [one for one in sorted(named) if one not in known] == []


def test_every_error_text_stands_in_the_source() -> None:
    quotes = QUOTED.findall(TEXT["docs/troubleshooting.md"])
    assert len(quotes) > 40
    assert [quote for quote in quotes if not is_said(quote)] == []


def test_commands_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in os.environ if one.startswith(("AWARENESS_", "GITHUB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWARENESS_SHARDS", "2")
    shop = tmp_path / "code" / "shop"
    shop.mkdir(parents=True)
    (shop / "cart.py").write_text("def total(prices):\n    return sum(prices)\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "Add the cart")):
        subprocess.run(["git", *words], cwd=shop, check=True)
    there = [" ".join(words) for words in commands("docs/guide.md")]
    for line in RUN:
        assert line in there
        words = line.replace("~", str(tmp_path)).split()
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (line, done.output)
    assert "shop" in (tmp_path / "commits.jsonl").read_text()
    assert (tmp_path / "commits" / "README.md").is_file()


@pytest.mark.parametrize(
    "line",
    [
        "awareness digset",
        "awareness digest --vers x",
        "awareness plan --target many",
        "awareness extract -o out.jsonl",
        "dg lunch",
        "dg launch --asset x",
        "make tea",
    ],
)
def test_wrong_command_would_be_found(line: str) -> None:
    assert fault(line.split())


@pytest.mark.parametrize("quote", ["the disk is flat", "version … has … shards … the disk is full"])
def test_error_text_of_nobody_would_be_found(quote: str) -> None:
    assert not is_said(quote)
