"""Which files become documents, and why others do not."""

import os

import pytest

from awareness_model.config import UserError
from awareness_model.memory import folder
from tests.model.memory.live_world import git, put


def found(root, below=""):
    documents, left_out = folder.survey(root, folder.listed(root, below), largest=1000)
    return sorted(documents), left_out


def test_files_are_named_from_the_root_and_others_left_out_with_a_reason(tmp_path):
    put(tmp_path, "a.py", "x = 1\n")
    put(tmp_path, "deep/er/ä b.md", "text")
    put(tmp_path, "empty", "")
    put(tmp_path, "blank", " \n\n")
    put(tmp_path, "image.png", b"\x89PNG\0\1")
    put(tmp_path, "latin", "é".encode("latin-1"))
    put(tmp_path, "large", "x" * 1001)
    os.mkfifo(tmp_path / "pipe")
    put(tmp_path, "node_modules/one.js", "x")
    paths, left_out = found(tmp_path)
    assert paths == ["a.py", "deep/er/ä b.md"]
    assert left_out == {
        "empty": "empty",
        "blank": "empty",
        "image.png": "binary",
        "latin": "not UTF-8 text",
        "large": "larger than 1,000 bytes",
        "pipe": "not a file",
    }


def test_a_fifty_megabyte_file_is_left_out_without_being_read(tmp_path, monkeypatch):
    with put(tmp_path, "dump.sql", "").open("wb") as file:
        file.truncate(50 << 20)
    monkeypatch.setattr(folder, "_text", lambda data: pytest.fail("read"))
    with pytest.raises(folder.LeftOut, match="larger than 1,000,000 bytes"):
        folder.read(tmp_path, "dump.sql")


def test_links_are_never_followed_and_loops_do_no_harm(tmp_path):
    outside = put(tmp_path, "outside/secret.py", "key = 1").parent
    root = tmp_path / "root"
    put(root, "in/a.py", "x")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "in" / "up").symlink_to("..", target_is_directory=True)
    (root / "away").symlink_to(outside, target_is_directory=True)
    (root / "one.py").symlink_to(outside / "secret.py")
    (root / "self").symlink_to("self")
    paths, left_out = found(root)
    assert paths == ["in/a.py"]
    assert set(left_out) == {"loop", "in/up", "away", "one.py", "self"}
    assert set(left_out.values()) == {"a symbolic link"}
    with pytest.raises(folder.LeftOut, match="symbolic link"):
        folder.read(root, "away/secret.py")


def test_in_a_work_tree_git_says_what_is_ignored(tmp_path):
    git(tmp_path, "init", "-q")
    put(tmp_path, ".gitignore", "*.log\nbuild/\n")
    put(tmp_path, "kept.py", "x")
    put(tmp_path, "noise.log", "x")
    put(tmp_path, "build/out.py", "x")
    put(tmp_path, "src/new.py", "x")
    git(tmp_path, "add", "kept.py")
    assert found(tmp_path)[0] == [".gitignore", "kept.py", "src/new.py"]
    assert found(tmp_path / "src")[0] == ["new.py"]
    assert found(tmp_path, "noise.log")[0] == []
    (tmp_path / "kept.py").unlink()
    assert found(tmp_path)[0] == [".gitignore", "src/new.py"]


def test_a_hostile_repository_runs_nothing(tmp_path):
    git(tmp_path, "init", "-q")
    put(tmp_path, "a.py", "x")
    ran = tmp_path.parent / f"{tmp_path.name}-ran"
    script = put(tmp_path, "run.sh", f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(script))
    git(tmp_path, "config", "filter.x.clean", str(script))
    put(tmp_path, ".gitattributes", "* filter=x\n")
    assert "a.py" in found(tmp_path)[0]
    assert not ran.exists()


def test_a_tracked_path_whose_folder_became_a_link_is_left_out(tmp_path):
    root = tmp_path / "root"
    put(root, "sub/a.py", "x")
    git(root, "init", "-q")
    git(root, "add", "-A")
    (root / "sub").rename(tmp_path / "outside")
    (root / "sub").symlink_to(tmp_path / "outside")
    paths, left_out = found(root)
    assert paths == []
    assert "sub" in left_out or "sub/a.py" in left_out


def test_a_broken_work_tree_is_said_in_one_line(tmp_path):
    (tmp_path / ".git").mkdir()
    with pytest.raises(UserError, match=r"git cannot list .*mend the work tree"):
        folder.listed(tmp_path)


def test_hostile_names_are_only_names(tmp_path):
    names = ["-rf", "a\nb.py", "[x]*.py", "it's.py", "$(touch x).py", ":(top)x"]
    for name in names:
        put(tmp_path, name, "x")
    (tmp_path / os.fsdecode(b"bad\xff.py")).write_text("x")
    paths, left_out = found(tmp_path)
    assert paths == sorted(names)
    assert list(left_out.values()) == ["its name is not UTF-8"]
    git(tmp_path, "init", "-q")
    assert found(tmp_path)[0] == sorted(names)
    for name in names:
        assert found(tmp_path, name)[0] == [name]


@pytest.mark.parametrize("path", ["../a.py", "/etc/passwd", "a/../../b", ""])
def test_a_path_outside_the_root_is_refused(tmp_path, path):
    with pytest.raises(UserError, match="is not inside"):
        folder.relative(tmp_path, path)
    assert folder.relative(tmp_path, tmp_path / "x" / "a.py") == "x/a.py"


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        folder.root_of(tmp_path / "absent")


def test_texts_told_to_the_memory_are_documents_of_their_scope(tmp_path):
    git(tmp_path, "init", "-q")
    put(tmp_path, ".awareness/.gitignore", "*\n")
    put(tmp_path, ".awareness/user-profile/1.md", "likes tea")
    put(tmp_path, ".awareness/memory/records.lance/data", "x")
    put(tmp_path, "user-profile/real.py", "x")
    assert folder.listed(tmp_path) == [".awareness/user-profile/1.md", "user-profile/real.py"]
    assert folder.scope_of(".awareness/user-profile/1.md") == "user-profile"
    assert folder.scope_of("user-profile/real.py") == "repository"
