"""Which file a task gives to the student, and what a true diff becomes. What teachers are asked is
tested through the stage (`stages/test_distil.py`)."""

import pytest

from awareness_model.schema import SourceFile
from awareness_pipeline.gitio.snapshot import TreeFile
from awareness_pipeline.lessons.ground import Tree
from awareness_pipeline.lessons.instructions import named_file, true_edit
from awareness_pipeline.lessons.states import newest_line
from awareness_pipeline.records import Commit, FileChange

FILES = (
    SourceFile("src/bill.py", "one\ntwo\n"),
    SourceFile("src/big_bill.py", "x" * 50 + "\n"),
    SourceFile("Makefile", "all:\n"),
)


@pytest.mark.parametrize(
    ("prompt", "path"),
    [
        ("Fix src/bill.py, please", "src/bill.py"),
        ("Fix `bill.py`.", "src/bill.py"),
        ("bill.py and src/big_bill.py differ", "src/bill.py"),
        ("the Makefile calls bill.py", "Makefile"),
        ("Fix big_bill.py", None),
        ("Fix the bill", None),
        ("Fix mybill.py and other/bill.py", None),
        ("Fix bill.pyx and bill.py.orig", None),
        ("Makefiles are hard", None),
    ],
)
def test_a_task_names_a_file_by_its_path_or_name(prompt: str, path: str | None) -> None:
    """The big one is named too, but not a line of it fits."""
    found = named_file(prompt, FILES, 20)
    assert (found.path if found else None) == path


def test_a_file_is_given_up_to_its_last_whole_line() -> None:
    found = named_file("bill.py", FILES, 5)
    assert found
    assert found.text == "one\n"


def test_a_file_with_an_address_is_not_given() -> None:
    file = SourceFile("a.py", "# mail ada.talbot@harbour-works.io\nA = 1\n")
    assert named_file("a.py", [file], 99) is None
    assert named_file("a.py", [SourceFile("a.py", "A = 1\n")], 99)


def commit(diff: str, **changes: object) -> Commit:
    found = {
        "repo": "o/r",
        "sha": "b",
        "parent_sha": "a",
        "message": "m",
        "language": "Python",
        "files_changed": ("a.py",),
        "additions": 1,
        "deletions": 1,
        "diff": diff,
        "repo_id": 1,
        "parents": ("a",),
        "author_date": "",
        "committer_date": "",
        "files": (FileChange("a.py", None, "modified", "text", 1, 1),),
        "labels": (),
        "truncated": False,
        "encoding_lossy": False,
    }
    return Commit(**{**found, **changes})  # type: ignore[arg-type]


DIFF = """\
diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -1 +1 @@
-A = 1
+A = 2
"""
TREE = Tree("a", (TreeFile("a.py", "1", "h", "A = 1\n", "Python"),))


def test_a_diff_is_an_edit_in_either_form() -> None:
    for form in ("search-replace", "unified"):
        text, refused = true_edit(commit(DIFF), TREE, form, 100)
        assert refused == ""
        assert "A = 1" in text
        assert "A = 2" in text


def test_a_diff_that_is_no_edit_says_why() -> None:
    binary = (FileChange("p.bin", None, "modified", "binary", None, None),)
    for row, reason in [
        (commit(DIFF, truncated=True), "diff_truncated"),
        (commit(DIFF, files=binary), "diff_binary"),
        (commit("", files=()), "diff_empty"),
        (commit(DIFF.replace("A = 1", "A = 7")), "diff_does_not_apply"),
        (commit(DIFF.replace("a.py", "z.py")), "diff_absent"),
        (commit(DIFF.replace("A = 2", "A = 2" * 99)), "diff_too_long"),
    ]:
        assert true_edit(row, TREE, "search-replace", 60) == ("", reason)


def test_the_newest_line_ends_in_head_and_follows_first_parents() -> None:
    parents = {"a": None, "b": "a", "c": "b", "side": "a"}
    assert newest_line(parents, "c", 9) == ["a", "b", "c"]
    assert newest_line(parents, "c", 2) == ["b", "c"]
    assert newest_line({"c": "b"}, "c", 9) == ["c"]
    assert newest_line(parents, "", 9) == []
