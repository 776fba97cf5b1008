"""The agent's commands on a small folder: index, ask, edit, ask again."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import pytest

from awareness_model import agent, reading
from awareness_model.base import save_tiny
from awareness_model.listing import size
from tests.model.agent_world import FILES
from tests.model.memory.live_world import put


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"), "llama")


@pytest.fixture
def run(tmp_path, tiny, monkeypatch, capsys):
    """Run a command in a folder of three files; returns (status, stdout, stderr)."""
    for path, text in FILES.items():
        put(tmp_path / "shop", path, text)
    monkeypatch.setenv("AWARENESS_MODEL", str(tiny))
    monkeypatch.chdir(tmp_path / "shop")

    def command(*args):
        capsys.readouterr()
        status = agent.main([str(one) for one in args])
        return (status, *capsys.readouterr())

    return command


def ok(done):
    assert done[0] == 0, done[2]
    return done[1]


def test_index_ask_edit_and_ask_again(run, monkeypatch):
    assert ok(run("index", ".")).startswith("3 encoded in ")
    assert ok(run("index", ".")).startswith("3 unchanged in ")
    told = ok(run("ask", "What is DISCOUNT?", "--max-tokens", 4))
    assert "read, by attention mass (" in told
    assert all(path in told for path in FILES)
    usual = reading.answer

    def scripted(*args, **rest):
        edit = "DISCOUNT = 15\n=======\nDISCOUNT = 20\n>>>>>>> REPLACE"
        return dataclasses.replace(usual(*args, **rest), text=edit)

    monkeypatch.setattr(reading, "answer", scripted)
    shown = run("edit", "raise it", "--file", "src/cart.py", "--max-tokens", 4)
    assert "-DISCOUNT = 15\n+DISCOUNT = 20\n" in ok(shown)
    assert shown[2] == "not applied: add --apply\n"
    assert "15" in (agent.Path() / "src/cart.py").read_text()
    done = ok(run("edit", "raise it", "--file", "src/cart.py", "--max-tokens", 4, "--apply"))
    assert done.endswith("1 encoded\n")
    monkeypatch.undo()


def test_an_edit_that_does_not_fit_changes_nothing(run):
    ok(run("index", "."))
    status, told, said = run("edit", "x", "--file", "src/cart.py", "--apply", "--max-tokens", 4)
    assert (status, told) == (2, "")
    assert said.startswith("error: src/cart.py: the model wrote no whole search/replace block")
    assert (agent.Path() / "src/cart.py").read_text() == FILES["src/cart.py"]


def test_remembering_and_looking(run):
    ok(run("index", "."))
    assert ok(run("remember", "I like tea")) == "1 encoded\n"
    listed = json.loads(ok(run("memory", "ls", "--json")))
    assert len(listed) == 4
    assert {one["scope"] for one in listed} == {"repository", "user-profile"}
    table = ok(run("memory", "ls", "--scope", "src/**"))
    assert table.splitlines()[0].split() == [
        "path", "scope", "chunks", "tokens", "bytes", "written",
    ]  # fmt: skip
    assert len(table.splitlines()) == 3
    scopes = {
        one["scope"]: one["documents"] for one in json.loads(ok(run("memory", "scopes", "--json")))
    }
    assert scopes == {"repository": 3, "user-profile": 1, "docs/**": 1, "src/**": 2}
    assert json.loads(ok(run("memory", "versions", "--json")))[-1]["documents"] == 4
    (agent.Path() / "src/auth.py").unlink()
    ok(run("index", "."))
    assert json.loads(ok(run("memory", "gc", "--older-than", 0, "--json")))[0]["records"] == 1


def test_json_for_machines(run):
    changes = json.loads(ok(run("index", ".", "--json")))
    assert changes["encoded"] == sorted(FILES)
    found = json.loads(ok(run("ask", "x?", "--max-tokens", 2, "--json")))
    assert found["completion_tokens"] == 2
    assert {one["path"] for one in found["cited"]} == set(FILES)


def unreadable(root):
    """Put what is no document below a folder; return the reasons by name."""
    put(root, "empty", "")
    put(root, "a\nb.bin", b"\0")
    put(root, "latin", b"\xe9t\xe9")
    with (root / "large.txt").open("wb") as file:
        file.truncate(50_000_000)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "itself").symlink_to(root / "itself")
    (root / "outside.md").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    links = dict.fromkeys(("loop", "itself", "outside.md"), "a symbolic link")
    return {
        "empty": "empty",
        "a\nb.bin": "binary",
        "latin": "not UTF-8 text",
        "large.txt": "larger than ",
        "pipe": "not a file",
        **links,
    }


def test_what_is_left_out_is_said_and_the_rest_is_remembered(run):
    reasons = unreadable(agent.Path())
    status, told, said = run("index", ".")
    assert status == 0
    assert told.startswith("3 encoded")
    lines = [line for line in said.splitlines() if line.startswith("left out: ")]
    assert len(lines) == len(reasons)
    for name, reason in reasons.items():
        (line,) = [one for one in lines if one.startswith(f"left out: {name!r}: ")]
        assert reason in line


def test_what_cannot_be_read_is_refused_by_name_in_one_line(run):
    ok(run("index", "."))
    reasons = unreadable(agent.Path())
    for name, reason in reasons.items():
        for command in (["ask", "x", "--file", name], ["edit", "x", "--file", name, "--apply"]):
            status, _, said = run(*command)
            assert status == 2, name
            assert said.count("\n") == 1
            assert repr(name)[1:-1] in said
            assert reason in said
    assert len(json.loads(ok(run("memory", "ls", "--json")))) == 3


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["ask", "x"], "no memory in"),
        (["index", "absent"], "absent is not a folder"),
        (["index", ".", "--model", "./absent"], "absent"),
        (["index", ".", "--layout", "latent"], "give --reader FOLDER"),
        (["memory", "ls"], "no memory in"),
    ],
)
def test_what_is_missing_is_one_line(run, args, says):
    status, told, said = run(*args)
    assert (status, told) == (2, "")
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["ask", "x", "--scope", "lib/**"], "scope 'lib/**' matches nothing"),
        (["ask", "x", "--scope", "/etc/**"], "leaves the memory's root"),
        (["ask", "x", "--file", "/etc/passwd"], "is not inside"),
        (["ask", "x", "--max-tokens", "0"], "--max-tokens is at least 1"),
        (["ask", "x", "--max-tokens", "5000"], "shorten it"),
        (["edit", " ", "--file", "src/cart.py"], "say what to change"),
        (["edit", "x", "--file", "../cart.py"], "is not inside"),
        (["remember", " "], "there is nothing to remember"),
        (["memory", "ls", "--scope", "lib/**"], "matches nothing in this memory"),
        (["memory", "gc", "--older-than", "-1"], "--older-than is a number of hours"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_loses_nothing(run, args, says):
    ok(run("index", "."))
    status, _, said = run(*args)
    assert status == 2
    assert says in said
    assert said.count("\n") == 1
    assert len(json.loads(ok(run("memory", "ls", "--json")))) == 3


def test_another_models_memory_is_refused_with_the_command(run, tmp_path):
    ok(run("index", "."))
    other = save_tiny(tmp_path / "other", "qwen3", seed=1)
    status, _, said = run("ask", "x", "--model", other)
    assert status == 2
    assert "run `awareness index PATH` again with this model" in said
    assert ok(run("index", ".", "--model", other)).startswith("3 encoded")
    assert "read, by attention mass" in ok(run("ask", "x", "--model", other, "--max-tokens", 2))


def test_watch_follows_until_it_is_told_to_stop(run):
    ok(run("index", "."))
    command = [sys.executable, "-m", "awareness_model.agent", "watch", ".", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as child:
        assert child.stdout is not None
        try:
            assert json.loads(child.stdout.readline())["kept"] == 3
            put(agent.Path(), "src/cart.py", "DISCOUNT = 30\n")
            assert json.loads(child.stdout.readline())["encoded"] == ["src/cart.py"]
        finally:
            child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0


def test_sizes_for_people():
    assert [size(one) for one in (0, 999, 1000, 12_345_678)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "12.3 MB",
    ]
