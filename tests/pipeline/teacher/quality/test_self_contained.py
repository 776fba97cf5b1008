"""A prompt that leans on what its reader does not have is told by its wording."""

import pytest

from awareness_pipeline.teacher.quality.self_contained import flags_in, self_contained
from awareness_pipeline.teacher.quality.verdict import MIN_SELF_CONTAINED


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("This commit adds retries", "commit"),
        ("Apply the diff.", "commit"),
        ("Apply the patch to the upload", "commit"),
        ("Undo these changes in the upload", "commit"),
        ("Use the code above to retry", "position"),
        ("Do what the below says", "position"),
        ("As discussed, retry the upload", "discussed"),
        ("Retry the upload as described above", "discussed"),
        ("Do the following:", "following"),
        ("Retry uploads as follows", "following"),
        ("Complete the task.", "task"),
        ("Follow the example above", "task"),
        ("It fails when the file is empty.", "pronoun"),
        ("Fix it.", "pronoun"),
        ("Make this work properly", "pronoun"),
        ("It's broken on Windows", "pronoun"),
        ("Fix the loop at line 42", "line"),
        ("The crash at upload.py:17", "line"),
    ],
)
def test_what_leans_on_something_else_fails(text: str, flag: str) -> None:
    assert flag in flags_in(text)
    assert self_contained(text) < MIN_SELF_CONTAINED


@pytest.mark.parametrize(
    "text",
    [
        "Users see an error when fewer than 5 rows are below the header.",
        "Do the following: retry the upload, then report.",
        "The task queue stalls after a restart; the example project shows it.",
        "Show the commit hash in the footer and the patch version beside.",
        "This function returns None where it should raise.",
        "Make the upload work properly.",
        "As requested by users, wrap long lines.",
        "",
    ],
)
def test_what_stands_alone_passes(text: str) -> None:
    assert flags_in(text) == {}
    assert self_contained(text) == 1.0


def test_one_weak_reference_may_stay_and_the_score_ends_at_zero() -> None:
    assert self_contained("Retry the upload. See the manual.") == MIN_SELF_CONTAINED
    assert self_contained("It fails as discussed; see above the diff at line 42.") == 0.0


@pytest.mark.parametrize(
    "unit", ["the following ", "as ", "see ", "the ", "it ", "a.py:", "above "]
)
def test_long_text_ends(unit: str) -> None:
    assert 0.0 <= self_contained(unit * 2_000) <= 1.0
