"""What a training writes down: lines that can be gone on with, and event files of the same."""

import json
import sys
from types import SimpleNamespace

import pytest

from awareness_model.training.journal import METRICS, PROBE, Journal, read

ROWS = [{"step": step, "loss": 1.0 / step} for step in (1, 2, 3)]


@pytest.fixture(autouse=True)
def no_account(monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


def write(folder, rows, done=0, **more):
    with Journal(folder, done, **more) as journal:
        for row in rows:
            journal.write(METRICS, row)


def events(folder):
    """Return (step, tag, value) of every scalar in the event files."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.append((event.step, value.tag, round(value.tensor.float_val[0], 3)))
    return found


def test_lines_beyond_the_checkpoint_and_torn_ones_are_cut_off(tmp_path):
    write(tmp_path, ROWS, tensorboard=False)
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 4, "lo')
    assert read(tmp_path / METRICS) == ROWS
    write(tmp_path, [{"step": 3, "loss": 9.0}], done=2, tensorboard=False)
    assert read(tmp_path / METRICS) == [*ROWS[:2], {"step": 3, "loss": 9.0}]


def test_rows_of_steps_that_were_not_looked_at_are_no_gap(tmp_path):
    with Journal(tmp_path, 0, tensorboard=False) as journal:
        for row in ({"step": 2, "S": 0.1}, {"step": 4, "S": 0.2}):
            journal.write(PROBE, row)
    Journal(tmp_path, 3, tensorboard=False)
    assert read(tmp_path / PROBE) == [{"step": 2, "S": 0.1}]


def test_nothing_is_made_before_the_first_row(tmp_path):
    with Journal(tmp_path / "out", 0):
        pass
    assert not (tmp_path / "out").exists()


def test_event_files_say_what_the_lines_say_after_a_kill_too(tmp_path):
    write(tmp_path, ROWS)
    write(tmp_path, [{"step": 3, "loss": 9.0}], done=2)
    assert events(tmp_path) == [
        (1, "metrics/loss", 1.0),
        (2, "metrics/loss", 0.5),
        (3, "metrics/loss", 9.0),
    ]


def test_without_tensorboard_a_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    write(tmp_path, ROWS)
    assert capsys.readouterr().err == "note: no TensorBoard files (pip install tensorboard)\n"
    assert read(tmp_path / METRICS) == ROWS


def test_weights_and_biases_is_asked_only_where_it_is_set(tmp_path, monkeypatch, capsys):
    logged, began = [], []

    def init(**given):
        began.append(given)
        return SimpleNamespace(
            log=lambda numbers, step: logged.append((step, numbers)),
            finish=lambda: logged.append("finished"),
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    write(tmp_path, ROWS[:1], tensorboard=False)
    assert not began
    monkeypatch.setenv("WANDB_MODE", "offline")
    write(tmp_path, ROWS[:1], tensorboard=False)
    assert logged == [(1, {"metrics/loss": 1.0}), "finished"]
    assert began[0]["resume"] == "allow"
    monkeypatch.setitem(sys.modules, "wandb", None)
    write(tmp_path, ROWS[:1], tensorboard=False)
    assert "pip install wandb" in capsys.readouterr().err


def test_the_lines_are_json(tmp_path):
    write(tmp_path, ROWS, tensorboard=False)
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == ROWS
