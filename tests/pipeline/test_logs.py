"""What is said on stderr: as it is, or as JSON lines that a machine can read."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awareness_pipeline import logs
from awareness_pipeline.cli import app
from awareness_pipeline.config import UserError
from awareness_pipeline.progress import bar


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the handlers and levels of others as they were."""
    root, ours = logging.getLogger(), logging.getLogger(logs.OURS)
    handlers, level, own = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(own)


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.SWITCH, "json")


def lines(said: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.splitlines()]


def test_a_plain_line_is_the_message_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(logs.SWITCH, raising=False)
    logs.tell("clone: 3 out", stage="clone", rows_out=3)
    assert capsys.readouterr().err == "clone: 3 out\n"


@pytest.mark.usefixtures("as_json")
def test_a_json_line_has_its_fields_and_stays_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.tell('two\nlines and "quotes"', stage="clone", rows_out=3)
    (row,) = lines(capsys.readouterr().err)
    assert str(row.pop("time")).endswith("Z")
    assert row == {
        "level": "info",
        "logger": "awareness_pipeline",
        "message": 'two\nlines and "quotes"',
        "stage": "clone",
        "rows_out": 3,
    }


@pytest.mark.usefixtures("as_json")
def test_what_modules_log_comes_as_json_with_tracebacks_inside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up()
    logging.getLogger("awareness_pipeline.github.client").warning("%s rests", "host")
    logging.getLogger("httpx").info("a request")
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("awareness_pipeline.x").exception("it broke")
    first, second = lines(capsys.readouterr().err)
    assert (first["level"], first["message"]) == ("warning", "host rests")
    assert first["logger"] == "awareness_pipeline.github.client"
    assert (second["level"], second["message"]) == ("error", "it broke")
    assert str(second["exception"]).endswith("ValueError: bad")


@pytest.mark.usefixtures("as_json")
def test_progress_is_told_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("clone 000", 2) as advance:
        advance(2)
    (row,) = lines(capsys.readouterr().err)
    assert (row["label"], row["done"], row["total"]) == ("clone 000", 2, 2)


@pytest.mark.usefixtures("as_json")
def test_an_error_of_a_command_is_a_json_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["stats", "--recipe", "absent"])
    assert result.exit_code == 2
    (row,) = lines(result.stderr)
    assert (row["level"], row["status"]) == ("error", 2)
    assert "unknown recipe" in str(row["message"])


def test_an_unknown_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.SWITCH, "xml")
    with pytest.raises(UserError, match="AWARENESS_LOG is plain or json"):
        logs.set_up()
