"""Edits as text: they say what the diff says, apply to the byte, and refuse what they can't say."""

import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awareness_pipeline.config import PROJECT
from awareness_pipeline.gitio.environment import GIT_FLAGS, git_env
from awareness_pipeline.sandbox.generator.fastimport import write_repository
from awareness_pipeline.sandbox.generator.repositories import generate
from awareness_pipeline.teacher.edits import (
    Inexpressible,
    apply_edit,
    refusal,
    search_replace,
    unified,
)
from tests.pipeline.gitrepo import ZOO, make_repo
from tests.pipeline.patch.changed import Changed, Texts, changed, history

PIECES = [
    "same\n",
    "same\n",
    "other\n",
    "\n",
    "crlf\r\n",
    "\r\n",
    "=======\n",
    "<<<<<<< SEARCH\n",
    ">>>>>>> REPLACE\n",
    ">>>>>>> REPLACE (no newline at end)\n",
    "========= \n",
    "a.txt\n<<<<<<< DELETE\n",
    "\\ No newline at end of file\n",
    "@@ -1 +1 @@\n",
    "diff --git a/a.txt b/a.txt\n",
    "index 11..22\n",
    "--- a/a.txt\n",
    "form\x0cfeed \u2028 \x85\n",
    "lone\rreturn\n",
    "open end",
    "=======",
    "\r",
]
PATHS = ["a.txt", "deep/er/b c.txt", "größe.py", "b/ b/x", "-dash"]


def outcome(one: Changed) -> str:
    """Apply a commit's edit to what was before and compare; or return why it has no edit."""
    if reason := refusal(one.commit):
        return reason
    try:
        edit = search_replace(one.commit.diff, one.before)
    except Inexpressible as refused:
        return refused.reason
    assert apply_edit(edit, one.before) == one.after
    return "same"


def edited(random: Random, text: str) -> str:
    """Draw the next text of a file."""
    lines = text.splitlines(keepends=True) if random.random() < 0.9 else []
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(lines))
        lines[at : at + random.randint(0, 3)] = random.choices(PIECES, k=random.randint(0, 3))
    return "".join(lines)


def trees(random: Random, number: int, size: int) -> list[Texts]:
    """Draw trees, each a few edits, moves and deletions away from the one before."""
    tree: Texts = {"keep": "k\n"}
    made = [tree]
    while len(made) < number:
        tree = dict(tree)
        for path in random.sample(PATHS, random.randint(1, 3)):
            if path not in tree:
                tree[path] = "".join(random.choices(PIECES, k=random.randint(0, size)))
            elif random.random() < 0.15:
                del tree[path]
            elif random.random() < 0.2:
                moved = f"moved/{path}"
                tree.pop(moved, None)
                tree[moved] = edited(random, tree.pop(path))
            else:
                tree[path] = edited(random, tree[path])
        if tree != made[-1]:
            made.append(tree)
    return made


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(0, 60))
def test_an_edit_makes_what_the_commit_made(
    seed: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("edits") / "r.git"
    for one in history(folder, trees(Random(seed), 12, size)):
        assert not refusal(one.commit)
        assert apply_edit(search_replace(one.commit.diff, one.before), one.before) == one.after


def test_commits_of_this_project() -> None:
    assert [outcome(one) for one in changed(PROJECT, 16)].count("same") > 4


def test_commits_of_the_zoo(tmp_path: Path) -> None:
    make_repo(tmp_path / "zoo.git", ZOO)
    said = {one.commit.message: outcome(one) for one in changed(tmp_path / "zoo.git")}
    assert list(said.values()).count("same") > 5
    assert said["First\n"] == said["Move, copy, change modes\n"] == "symlink"
    assert said["Count inside hunks\n"] == "lossy"
    assert said["Move without a change\n"] == "mode"
    assert said["Remove\n"] == "binary"
    assert said["Paths that git quotes\n"] == "odd_path"


def test_commits_of_the_sandbox(tmp_path: Path) -> None:
    _, commits = next(iter(generate()))
    write_repository(tmp_path / "s.git", commits)
    said = [outcome(one) for one in changed(tmp_path / "s.git")]
    assert said.count("same") > 10
    assert set(said) <= {"same", "binary", "lossy"}


def test_unified_is_what_git_applies(tmp_path: Path) -> None:
    made = history(tmp_path / "r.git", trees(Random(3), 25, 40))
    for number, one in enumerate(made):
        diff = unified(one.commit.diff)
        folder = tmp_path / str(number)
        write(folder, one.before)
        command = ["git", *GIT_FLAGS, "apply", "--whitespace=nowarn", "-"]
        subprocess.run(command, cwd=folder, env=git_env(), input=diff.encode(), check=True)
        assert read(folder) == one.after


def test_unified_names_no_objects(tmp_path: Path) -> None:
    text = "".join(f"{n}\n" for n in range(20))
    (one,) = history(
        tmp_path / "r.git", [{"a": text, "b": "index 1..2\n"}, {"c": text + "x\n", "b": ""}]
    )
    assert unified(one.commit.diff) == (
        "diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +0,0 @@\n-index 1..2\n"
        "diff --git a/a b/c\nrename from a\nrename to c\n--- a/a\n+++ b/c\n"
        "@@ -18,3 +18,4 @@\n 17\n 18\n 19\n+x\n"
    )


def write(folder: Path, texts: Texts) -> None:
    folder.mkdir()
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())


def read(folder: Path) -> Texts:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in files}


def test_what_an_edit_looks_like(tmp_path: Path) -> None:
    body = "".join(f"line {n}\n" for n in range(12))
    long = "x\n" * 30
    (one,) = history(
        tmp_path / "r.git",
        [
            {"a.py": body, "gone.py": "g\n", "old.py": long},
            {"a.py": body.replace("6", "six"), "new.py": "n\n", "renamed.py": long},
        ],
    )
    assert search_replace(one.commit.diff, one.before) == (
        "a.py\n<<<<<<< SEARCH\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\n=======\n"
        "line 3\nline 4\nline 5\nline six\nline 7\nline 8\nline 9\n>>>>>>> REPLACE\n"
        "\ngone.py\n<<<<<<< DELETE\n"
        "\nnew.py\n<<<<<<< SEARCH\n=======\nn\n>>>>>>> REPLACE\n"
        "\nold.py\n<<<<<<< RENAME renamed.py\n"
    )


def test_context_grows_until_the_search_is_unique(tmp_path: Path) -> None:
    body = "start\n" + "same\n" * 40 + "end\n"
    lines = body.splitlines(keepends=True)
    after = "".join([*lines[:12], "new\n", *lines[12:]])
    (one,) = history(tmp_path / "r.git", [{"a": body}, {"a": after}])
    edit = search_replace(one.commit.diff, one.before)
    assert "start\n" in edit or "end\n" in edit
    assert apply_edit(edit, one.before) == {"a": after}


def test_text_around_blocks_is_passed_over() -> None:
    edit = "Here it is:\n\na.py\n<<<<<<< SEARCH\nb\n=======\nc\n>>>>>>> REPLACE\nThat is all.\n"
    assert apply_edit(edit, {"a.py": "a\nb\n", "z": "z"}) == {"a.py": "a\nc\n", "z": "z"}


def block(path: str, search: str, replace: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ("nothing to do", "no block"),
        (block("a", "zz\n", "y\n"), "a: block 1: its search stands in the file nowhere"),
        (block("a", "x\n", "y\n"), "a: block 1: its search stands in the file more than once"),
        (block("a", "b", "y\n"), "a: block 1: its markers are not complete"),
        (block("a", "b\n", "y\n") + block("q", "x\n", "y\n"), "q: block 2: there is no such file"),
        (block("a", "", "y\n"), "a: block 1: the file is there"),
        ("a\n<<<<<<< SEARCH\nb\n", "a: block 1: its markers are not complete"),
        ("q\n<<<<<<< DELETE\n", "q: block 1: there is no such file"),
        ("a\n<<<<<<< RENAME c\n", "a: block 1: c is there already"),
        (">>>>>>> REPLACE\n", "block 1: a marker out of place"),
        ("<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n", "block 1: not a path"),
        *(
            (block(path, "", "y\n"), "block 1: not a path inside the folder")
            for path in (
                "/etc/passwd",
                "../up",
                "a/../../up",
                "a//b",
                "./a",
                ".git/config",
                "sub/.GIT/hooks/x",
                "C:/x",
                "a\\b",
                "nul\x00",
                " lead",
                "",
            )
        ),
        ("a\n<<<<<<< RENAME ../up\n", "block 1: not a path inside the folder"),
    ],
)
def test_what_cannot_be_applied_is_named(edit: str, problem: str) -> None:
    files = {"a": "x\nb\nx\n", "c": ""}
    with pytest.raises(ValueError, match=problem):
        apply_edit(edit, files)
    assert files == {"a": "x\nb\nx\n", "c": ""}


HEAD = "diff --git a/f b/f\n"


@pytest.mark.parametrize(
    ("diff", "reason"),
    [
        ("", "empty"),
        (HEAD + "index 1..2 100644\nBinary files a/f and b/f differ\n", "binary"),
        (HEAD + "old mode 100644\nnew mode 100755\n", "mode"),
        (HEAD + "index 1..2 120000\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", "symlink"),
        (HEAD + "index 1..2 160000\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", "submodule"),
        (HEAD + "index 1..2 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n", "truncated"),
        (HEAD + "index 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+\ufffd\n", "lossy"),
        ("diff --git a/f b/g\ncopy from f\ncopy to g\n", "copied"),
        ('diff --git "a/f\\n" "b/f\\n"\nnew file mode 100644\n', "odd_path"),
    ],
)
def test_what_has_no_form_is_refused(diff: str, reason: str) -> None:
    for call in (lambda: unified(diff), lambda: search_replace(diff, {"f": "a\n"})):
        with pytest.raises(Inexpressible) as refused:
            call()
        assert refused.value.reason == reason


def test_files_that_are_not_those_of_the_diff_are_refused() -> None:
    diff = HEAD + "index 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
    for files, reason in [
        ({}, "absent"),
        ({"f": "c\n"}, "does_not_apply"),
        ({"f": "\ufffd"}, "lossy"),
    ]:
        with pytest.raises(Inexpressible) as refused:
            search_replace(diff, files)
        assert refused.value.reason == reason
