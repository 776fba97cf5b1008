"""Words are counted as a reader sees them and come apart where names do."""

import pytest

from awareness_pipeline.teacher.quality.words import count_words, parts_of, words_of


def test_names_come_apart_and_common_words_tell_nothing() -> None:
    assert parts_of("loadUser_v2 HTTPServer into This") == {"load", "user", "http", "server"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("uploads", "upload"), ("retries", "retry"), ("Rounding", "rounded"), ("files", "file")],
)
def test_endings_of_words_do_not_matter(one: str, other: str) -> None:
    assert parts_of(one) == parts_of(other) != set()


def test_words_are_in_lower_case_and_of_letters_and_digits() -> None:
    assert words_of("Add retry_limit, v2: don't") == ["add", "retry", "limit", "v2", "don", "t"]


def test_a_word_is_a_piece_that_holds_a_letter_or_digit() -> None:
    assert count_words("Add  retry_limit - or `x.y`!\n--- 2") == 5
    assert count_words(" … 😀 \n") == 0
