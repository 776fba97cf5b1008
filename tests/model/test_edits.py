"""Search and replace in one file: exactly, or not at all."""

import pytest

from awareness_model.edits import Refused, difference, edited, replace_file
from awareness_model.edits import block as made
from tests.model.memory.live_world import put

TEXT = "A = 1\nB = 2\n\ndef f():\n    return A\n"


def block(search, replace, path="a.py"):
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def test_blocks_apply_in_order_and_other_text_is_passed_over():
    edits = block("A = 1\n", "A = 10\n"), block("A = 10\nB = 2\n", "A = 3\n")
    edit = f"Sure:\n```\n{edits[0]}```\n{edits[1]}"
    assert edited("a.py", TEXT, edit) == "A = 3\n\ndef f():\n    return A\n"


def test_lines_are_removed_and_added_at_either_end():
    assert edited("a.py", TEXT, block("A = 1\n", "")) == TEXT.removeprefix("A = 1\n")
    assert edited("a.py", TEXT, block("    return A\n", "    return B\n")).endswith("return B\n")
    assert edited("a.py", "x\ny", block("y\n", "z\n")) == "x\nz"
    assert edited("a.py", "x\ny", block("x\n", "")) == "y"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ("I cannot do that.", "no whole search/replace block"),
        ("a.py\n<<<<<<< SEARCH\nA = 1\n=======\nA = 2\n", "no whole search/replace block"),
        (block("A = 1\n", "A = 2\n") + "a.py\n<<<<<<< SEARCH\nB", "no whole search"),
        (block("A = 7\n", "A = 2\n"), "stands in the file 0 times"),
        (block(" = 1\n", "A = 2\n"), "stands in the file 0 times"),
        (block("A = 1", "A = 2\n"), "no whole search"),
        (block("", "A = 2\n"), "search of block 1 is empty"),
        (block("\n", "A = 2\n"), "search of block 1 is empty"),
        (block("A = 1\n", "A = 1\n"), "changes nothing"),
        (block("A = 1\n", "A = 2\n", "../b.py"), r"block 1 is for '\.\./b\.py'"),
        (block("A = 1\n", "A = 2\n") + block("A = 1\n", "A = 3\n"), "search of block 2 stands"),
    ],
)
def test_what_does_not_apply_exactly_is_refused_with_the_reason(edit, says):
    with pytest.raises(Refused, match=says):
        edited("a.py", TEXT, edit)


@pytest.mark.parametrize("text", ["x\nx\n", "x\nx\nx\n", "x\na\nx"])
def test_a_search_that_stands_more_than_once_is_refused(text):
    with pytest.raises(Refused, match=r"stands in the file \d times, not once"):
        edited("a.py", text, block("x\n", "y\n"))


def test_the_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    place = put(tmp_path, "a.py", TEXT)
    place.chmod(0o750)
    replace_file(tmp_path, "a.py", TEXT, "new\n")
    assert place.read_text() == "new\n"
    assert place.stat().st_mode & 0o777 == 0o750
    assert [one.name for one in tmp_path.iterdir()] == ["a.py"]


def test_a_file_that_changed_or_is_a_link_is_left_alone(tmp_path):
    place = put(tmp_path, "a.py", "other\n")
    with pytest.raises(Refused, match="changed while the model wrote"):
        replace_file(tmp_path, "a.py", TEXT, "new\n")
    (tmp_path / "link.py").symlink_to(place)
    with pytest.raises(Refused, match="symbolic link"):
        replace_file(tmp_path, "link.py", "other\n", "new\n")
    assert place.read_text() == "other\n"


def test_the_difference_is_a_unified_diff():
    assert "-A = 1\n+A = 2\n" in difference("a.py", TEXT, TEXT.replace("A = 1", "A = 2"))
    assert difference("a.py", "x", "y").endswith("-x\n\\ No newline\n+y\n\\ No newline\n")


@pytest.mark.parametrize("number", range(6))
def test_a_block_for_one_line_fits_wherever_it_stands(number):
    lines = ["a", "x", "b", "x", "", "x"]
    edit = made("a.py", lines, number, "new")
    after = [*lines[:number], "new", *lines[number + 1 :]]
    assert edited("a.py", "\n".join(lines), edit) == "\n".join(after)
