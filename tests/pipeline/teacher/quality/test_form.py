"""Length by style, repetition, marks."""

import pytest

from awareness_pipeline.teacher.quality.form import (
    MAX_CHARACTERS,
    WORDS,
    has_code,
    has_tags,
    length_fault,
    repetition,
)
from awareness_pipeline.teacher.quality.words import words_of


@pytest.mark.parametrize("style", WORDS)
def test_each_style_has_its_bounds(style: str) -> None:
    fewest, most = WORDS[style]
    text = "title\ntext" if style == "issue" else "x"
    faults = [length_fault(text, words, style) for words in (fewest - 1, fewest, most, most + 1)]
    assert faults == ["too_short", "", "", "too_long"]


def test_a_terse_prompt_is_one_line_and_one_endless_word_is_too_long() -> None:
    assert length_fault("one\ntwo", 2, "terse") == "lines"
    assert length_fault("one two\n", 2, "terse") == ""
    assert length_fault("one\ntwo", 2, "message") == ""
    assert length_fault("one\n\n \n", 9, "issue") == "lines"
    assert length_fault("one\n\ntwo", 9, "issue") == ""
    assert length_fault("x" * (MAX_CHARACTERS + 1), 5, "issue") == "too_long"
    with pytest.raises(KeyError):
        length_fault("one", 1, "poem")


def test_repetition_counts_runs_of_three() -> None:
    assert repetition(words_of("upload again and again and again and")) == 0.4
    assert repetition(words_of("make the upload try again")) == 0.0
    assert repetition(["word"] * 2) == 0.0
    assert repetition(["word"] * 100) > 0.9


def test_marks_of_templates_and_code() -> None:
    assert has_tags("Retry <task>")
    assert has_tags("Retry <|im_end|>")
    assert not has_tags("Take a Vec<String> or <div>")
    assert has_code("So:\n```\nx\n```")
    assert has_code("So:\n@@ -1 +1 @@")
    assert not has_code("a - b")
