"""Child processes of the model package: progress, errors, and no orphans."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from awareness_pipeline import launch
from awareness_pipeline.config import UserError
from awareness_pipeline.launch import run_model
from awareness_pipeline.progress import listening


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that the launcher can start as awareness_model.<name>."""
    monkeypatch.setattr(launch, "PACKAGE", "entries")
    (tmp_path / "entries").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return str(tmp_path / "entries")


def write(entry: str, name: str, body: str) -> None:
    (Path(entry) / f"{name}.py").write_text(textwrap.dedent(body))


def test_progress_lines_become_a_bar_and_the_rest_goes_to_the_log(
    entry: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(
        entry,
        "works",
        """
        import sys
        print('{"progress": {"label": "x", "done": 1, "total": 2}}', flush=True)
        print("hello")
        print("noise", file=sys.stderr)
        print('{"progress": {"label": "x", "done": 2, "total": 2}}')
        """,
    )
    run_model("works", [], "reverse", tmp_path / "log" / "works.log")
    assert "reverse: 2/2" in capfd.readouterr().err
    assert sorted((tmp_path / "log" / "works.log").read_text().split()) == ["hello", "noise"]


def test_numbers_of_a_step_are_shown_and_told(
    entry: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(
        entry,
        "learns",
        """
        print('{"progress": {"label": "x", "done": 1, "total": 1, "values": {"loss": 2.5}}}')
        """,
    )
    heard = []
    with listening(lambda done, total, numbers: heard.append((done, total, dict(numbers)))):
        run_model("learns", [], "train", tmp_path / "log")
    assert heard == [(1, 1, {"loss": 2.5})]
    assert "train: 1/1  loss 2.500" in capfd.readouterr().err


def test_each_thing_that_is_counted_has_a_bar_of_its_own(
    entry: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(
        entry,
        "works",
        """
        for label, total in (("one", 2), ("two", 3)):
            for done in range(total + 1):
                step = f'{{"label": "{label}", "done": {done}, "total": {total}}}'
                print(f'{{"progress": {step}}}', flush=True)
        """,
    )
    run_model("works", [], "packages", tmp_path / "works.log")
    said = capfd.readouterr().err
    assert "packages: 2/2" in said
    assert "two: 3/3" in said


def test_status_two_is_the_users_error_with_the_childs_line(entry: str, tmp_path: Path) -> None:
    write(entry, "refuses", "import sys; print('error: no model', file=sys.stderr); sys.exit(2)")
    with pytest.raises(UserError, match=r"^no model$"):
        run_model("refuses", [], "x", tmp_path / "log")


def test_other_failures_show_the_end_of_the_log(entry: str, tmp_path: Path) -> None:
    write(entry, "breaks", "raise KeyError('deep inside')")
    with pytest.raises(RuntimeError, match="deep inside"):
        run_model("breaks", [], "x", tmp_path / "log")


def test_killed_child_is_told_in_a_line_that_says_what_to_do(entry: str, tmp_path: Path) -> None:
    write(entry, "dies", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(UserError, match=r"ended by SIGKILL .* run the same command again"):
        run_model("dies", [], "x", tmp_path / "log")


def test_full_disk_in_the_child_is_told_in_a_line(entry: str, tmp_path: Path) -> None:
    write(
        entry, "fills", "import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"
    )
    with pytest.raises(UserError, match="the disk is full"):
        run_model("fills", [], "x", tmp_path / "log")


def test_disk_that_takes_no_last_words_is_told_in_a_line(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    write(entry, "falls", "raise SystemExit(1)")
    with pytest.raises(RuntimeError, match="ended with 1"):
        run_model("falls", [], "x", tmp_path / "log")
    monkeypatch.setattr("awareness_pipeline.launch.TemporaryFile", refused)
    with pytest.raises(UserError, match="the file system is read-only"):
        run_model("falls", [], "x", tmp_path / "log")


def test_child_never_sees_the_tokens(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "GITHUB_TOKENS", "AWARENESS_TEACHER_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret")
    write(entry, "tells", "import os; print(sorted(os.environ.items()))")
    run_model("tells", [], "x", tmp_path / "log")
    assert "secret" not in (tmp_path / "log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_child_dies_with_its_parent(entry: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    write(
        entry,
        "sleeps",
        f"""
        import os, pathlib, time
        pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))
        time.sleep(600)
        """,
    )
    parent = (
        "from pathlib import Path; from awareness_pipeline import launch;"
        "launch.PACKAGE = 'entries';"
        f"launch.run_model('sleeps', [], 'x', Path({str(tmp_path / 'log')!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        while not pid_file.is_file() or not pid_file.read_text():
            assert process.poll() is None
            time.sleep(0.02)
        child = int(pid_file.read_text())
        process.send_signal(signal.SIGKILL)
    for _ in range(500):
        if not _alive(child):
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
