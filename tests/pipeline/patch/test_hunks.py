"""Hunks of stored diffs: what git meant, read back."""

from pathlib import Path

import pytest

from awareness_pipeline.config import PROJECT
from awareness_pipeline.patch.hunks import lines_of, patched, read_patch
from tests.pipeline.gitrepo import ZOO, make_repo
from tests.pipeline.patch.changed import Changed, changed, history


def check(one: Changed) -> int:
    """Compare every text file of a commit with its patched parent; return how many."""
    seen = 0
    for file in read_patch(one.commit.diff):
        if one.commit.encoding_lossy or file.is_binary or file.mode in ("120000", "160000"):
            continue
        if file.status == "renamed" and not file.hunks:
            continue
        if file.status == "deleted":
            assert patched(file, one.before[file.path]) == ""
        else:
            before = "" if file.status == "added" else one.before[file.old_path]
            after = one.after[file.path]
            assert patched(file, before) == after
            assert {lines_of(after)[n - 1] for n in file.added} == {
                line for hunk in file.hunks for sign, line in hunk.lines if sign == "+"
            }
            assert {lines_of(before)[n - 1] for n in file.removed} == {
                line for hunk in file.hunks for sign, line in hunk.lines if sign == "-"
            }
        seen += 1
    return seen


def test_patches_of_this_project_lead_from_parent_to_commit() -> None:
    assert sum(map(check, changed(PROJECT, 8))) > 8


def test_patches_of_the_zoo_lead_from_parent_to_commit(tmp_path: Path) -> None:
    make_repo(tmp_path / "zoo.git", ZOO)
    assert sum(map(check, changed(tmp_path / "zoo.git"))) > 20


def test_paths_and_statuses(tmp_path: Path) -> None:
    long = "".join(f"line {n}\n" for n in range(30))
    (one,) = history(
        tmp_path / "r.git",
        [
            {"a.txt": long, "gone.txt": "g\n", "same": "s\n"},
            {"b.txt": long.replace("line 3\n", "LINE 3\n"), "new.txt": "", "same": "s\n"},
        ],
    )
    assert [(f.old_path, f.path, f.status) for f in read_patch(one.commit.diff)] == [
        ("a.txt", "b.txt", "renamed"),
        ("gone.txt", "gone.txt", "deleted"),
        ("new.txt", "new.txt", "added"),
    ]
    renamed = read_patch(one.commit.diff)[0]
    assert (renamed.removed, renamed.added) == (frozenset({4}), frozenset({4}))


def test_a_hunk_that_ends_early_is_cut() -> None:
    whole = "diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n b\n+c\n"
    assert not read_patch(whole)[0].cut
    (cut,) = read_patch(whole[: whole.index("+c")])
    assert cut.cut
    assert cut.removed == {1}


def test_a_hunk_that_does_not_fit_is_refused() -> None:
    (file,) = read_patch("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+c\n")
    assert patched(file, "a\nb\n") == "c\nb\n"
    with pytest.raises(ValueError, match="f: a hunk does not fit at line 1"):
        patched(file, "b\n")


@pytest.mark.parametrize("text", ["", "a", "a\n", "\n\n", "a\r\nb\x0cc\u2028d", "a\rb\n"])
def test_lines_end_at_newlines_alone(text: str) -> None:
    assert "".join(lines_of(text)) == text
    assert all(line.endswith("\n") for line in lines_of(text)[:-1])
    assert len(lines_of(text)) == text.count("\n") + (not text.endswith("\n") and text != "")
