"""`awareness eval --eval-type`: what is asked of the model package, and what is told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awareness_pipeline.cli import app
from awareness_pipeline.stages import evaluate


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Have the child leave a report instead of measuring; returns the arguments it is given."""
    given = []

    def left(entry: str, args: list[str], label: str, log: Path) -> None:
        given.append([entry, *args])
        out = Path(args[args.index("--out") + 1])
        out.mkdir(parents=True)
        (out / "report.json").write_text(json.dumps({"needle": []}))

    monkeypatch.setattr(evaluate, "run_model", left)
    return given


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["eval", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_page_is_named_and_the_numbers_are_printed(
    asked: list[list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "there"
    said = run("--eval-type", "needle", "--output-dir", str(out), "--root", str(tmp_path))
    assert said.strip() == str(out / "report.html")
    words = ["--eval-type", "all", "--reader", "none", "--lines", "20", "--json"]
    assert json.loads(run(*words, "--root", str(tmp_path))) == {"needle": []}
    assert asked[0][asked[0].index("--eval-type") + 1] == "needle"
    assert asked[0][asked[0].index("--reader") + 1] == "none"
    assert asked[1][asked[1].index("--lines") + 1] == "20"
