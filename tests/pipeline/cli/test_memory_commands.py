"""The commands about a folder's memory: what they hand over, and to whom.

The model package is played by one of the same name that writes down how it was started.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from awareness_pipeline.config import PROJECT

pytestmark = pytest.mark.xdist_group("cli")

PLAYED = """
import json, os, sys
print(json.dumps({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd()}))
sys.exit(7)
"""


@pytest.fixture
def told(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Run `awareness` with a model package that tells how it was started."""
    played = tmp_path / "played.py"
    played.write_text(PLAYED)
    runs = (
        "import sys\n"
        "from awareness_pipeline.cli import main, memory\n"
        "usual = memory.os.execve\n"
        f"play = lambda run, argv, env: usual(run, [run, {str(played)!r}, *argv[1:]], env)\n"
        "memory.os.execve = play\n"
        "main()\n"
    )

    def run(*args: str, **env: str) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-c", runs, *args],
            env={**os.environ, "PYTHONPATH": str(PROJECT), **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 7, done.stderr
        return dict(json.loads(done.stdout))

    return run


def given(found: dict[str, object]) -> list[str]:
    argv = found["argv"]
    assert isinstance(argv, list)
    return argv[1:]


@pytest.mark.parametrize(
    ("args", "entry", "about", "options"),
    [
        (["index", "src"], "agent", ["src"], ["index", "--layout=kv"]),
        (["watch", ".", "--memory", "s3://b/m"], "agent", ["."], ["watch", "--memory=s3://b/m"]),
        (
            ["ask", "why?", "--file", "a.py", "--scope", "src/**", "--json"],
            "agent",
            ["why?"],
            ["ask", "--file=a.py", "--scope=src/**", "--json", "--max-tokens=256"],
        ),
        (["ask", "--", "--help"], "agent", ["--help"], ["ask", "--scope=**"]),
        (
            ["edit", "rename f", "--file", "-x.py", "--apply", "--root", "there"],
            "agent",
            ["rename f"],
            ["edit", "--file=-x.py", "--apply", "--root=there"],
        ),
        (["remember", "I like tea"], "agent", ["I like tea"], ["remember"]),
        (["memory", "gc", "--older-than", "1"], "agent", ["gc"], ["memory", "--older-than=1.0"]),
        (
            ["serve", "a", "b=c", "--port", "0", "--layout", "latent", "--reader", "r"],
            "serve",
            ["a", "b=c"],
            ["--port=0", "--layout=latent", "--reader=r", "--host=127.0.0.1"],
        ),
    ],
)
def test_a_command_becomes_the_model_packages_program(
    told,  # type: ignore[no-untyped-def]
    args: list[str],
    entry: str,
    about: list[str],
    options: list[str],
) -> None:
    argv = given(told(*args))
    assert argv[:2] == ["-m", f"awareness_model.{entry}"]
    end = argv.index("--")
    assert argv[end + 1 :] == about
    assert set(options) <= set(argv[2:end])


def test_our_secrets_stay_behind_and_the_model_is_found_from_anywhere(
    told,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    found = told("index", ".", GITHUB_TOKEN="ghp_x", AWARENESS_SERVE_TOKEN="mine")
    env = found["env"]
    assert isinstance(env, dict)
    assert "GITHUB_TOKEN" not in env
    assert env["AWARENESS_SERVE_TOKEN"] == "mine"
    assert found["cwd"] == str(tmp_path)
    model = env.get("AWARENESS_MODEL")
    assert model is None or Path(model).is_absolute()
    chosen = told("index", ".", AWARENESS_MODEL="other")["env"]
    assert isinstance(chosen, dict)
    assert chosen["AWARENESS_MODEL"] == "other"


def test_the_real_program_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "awareness_pipeline", "ask", "x"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no memory in")
    assert done.stderr.count("\n") == 1
