"""The command line as a whole: quick to answer, documented, complete."""

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from awareness_pipeline.cli import app
from awareness_pipeline.config import PROJECT

pytestmark = pytest.mark.xdist_group("cli")

COMMANDS = {
    "discover", "download", "clone", "process", "stats", "opt-out", "export", "ledger",
    "refresh", "reprocess", "full", "tasks",
    "traces", "audit", "encode", "train", "eval", "report", "digest", "demo", "doctor", "extract",
    "ui", "index", "ask", "edit", "remember", "watch", "memory", "serve",
    "checkpoint", "metrics", "plan", "reshard", "retry", "run", "bring",
}  # fmt: skip
HEAVY = (
    "alembic", "dagster", "deepspeed", "httpx", "lance", "matplotlib", "numpy", "pyarrow", "pygit2",
    "sqlalchemy", "torch", "transformers", "tree_sitter",
)  # fmt: skip


def test_every_command_is_there_and_nothing_else() -> None:
    assert set(get_command(app).commands) == COMMANDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_and_option_says_what_it_does(command: str) -> None:
    found = get_command(app).commands[command]  # type: ignore[attr-defined]
    assert found.help
    options = [item for item in found.params if item.param_type_name == "option"]
    assert [item.name for item in options if not item.help] == []
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert found.help.split("(")[0].strip()[:60] in result.output


def test_help_loads_nothing_heavy() -> None:
    check = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from awareness_pipeline.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "awareness_pipeline", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "discover" in done.stdout


def test_no_command_shows_help() -> None:
    assert "Usage" in CliRunner().invoke(app, []).output
