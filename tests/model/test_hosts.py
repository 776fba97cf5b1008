"""Several ranks: what DeepSpeed's launcher is told, and which hostfiles are refused."""

import base64
import json
import sys

import pytest

from awareness_model import hosts
from awareness_model.config import UserError

JOB = ["--job", "job.json"]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Have pdsh and ssh on PATH, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pdsh", "ssh"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def written(tmp_path, text):
    path = tmp_path / "hosts.txt"
    path.write_text(text)
    return path


def test_a_hostfile_is_read_in_its_order(tmp_path):
    path = written(tmp_path, "# ours\n\nworker-2 slots=8\nworker-1   slots=4  # old\n")
    assert list(hosts.read_hostfile(path).items()) == [("worker-2", 8), ("worker-1", 4)]
    assert hosts.ranks_of(1, path) == 12
    assert hosts.ranks_of(3, None) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no host"),
        ("# nobody\n", "names no host"),
        ("worker-1\n", "line 1: write `HOST slots=N`"),
        ("a slots=1\nb slots=0\n", "line 2: write"),
        ("a slots=2 max_slots=4\n", "write `HOST slots=N`"),
        ("--launcher=openmpi slots=1\n", "write `HOST slots=N`"),
        ("a slots=1\na slots=2\n", "line 2: a stands there twice"),
    ],
)
def test_other_forms_are_refused_in_a_line(tmp_path, tools, text, said):
    with pytest.raises(UserError, match=said) as caught:
        hosts.command(JOB, hostfile=written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_several_machines_are_started_by_deepspeeds_runner(tmp_path, tools):
    path = written(tmp_path, "worker-1 slots=2\nworker-2 slots=2\n")
    command = hosts.command(JOB, hostfile=path)
    assert command[:3] == [sys.executable, "-m", "deepspeed.launcher.runner"]
    from deepspeed.launcher import runner

    seen = runner.parse_args(command[3:])
    assert (seen.hostfile, seen.module, seen.force_multi) == (str(path), True, True)
    assert (seen.user_script, seen.user_args) == ("awareness_model.train", JOB)
    assert dict(runner.fetch_hostfile(seen.hostfile)) == {"worker-1": 2, "worker-2": 2}


def test_one_other_machine_is_not_mistaken_for_this_one(tmp_path, tools):
    command = hosts.command(JOB, hostfile=written(tmp_path, "worker-1 slots=2\n"))
    assert "--force_multi" in command


@pytest.mark.parametrize("how", ["ranks", "hostfile"])
def test_ranks_of_this_machine_are_started_without_ssh(tmp_path, how):
    given = {"ranks": 2}
    if how == "hostfile":
        given = {"hostfile": written(tmp_path, "localhost slots=2\n")}
    command = hosts.command(JOB, **given)
    assert command[:3] == [sys.executable, "-m", "deepspeed.launcher.launch"]
    world = command[3].removeprefix("--world_info=")
    assert json.loads(base64.urlsafe_b64decode(world)) == {"localhost": [0, 1]}
    assert command[-4:] == ["--module", "awareness_model.train", *JOB]


def test_what_is_missing_is_named(tmp_path, tools):
    path = written(tmp_path, "a slots=1\nb slots=1\n")
    with pytest.raises(UserError, match="choose one"):
        hosts.command(JOB, ranks=2, hostfile=path)
    with pytest.raises(UserError, match="1 or more"):
        hosts.command(JOB, ranks=0)
    (tools / "pdsh").unlink()
    with pytest.raises(UserError, match="pdsh, which is not installed"):
        hosts.command(JOB, hostfile=path)
