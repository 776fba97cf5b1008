"""Wanted names are found where they stand whole, and nowhere else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_pipeline.wanted import MAX_CHARACTERS, found_in, searchable, wanted_of


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("limit", "retry(limit)", True),
        ("limit", "retry_limit", False),
        ("limit", "Limit", False),
        ("30", "sleep(30)", True),
        ("30", "sleep(130)", False),
        ("a.b", "x = a.b()", True),
        ("a.b", "aa.b a.bc a-b", False),
        ("a.b", "aa.b a.b", True),
        ("src/x.py", "tests/src/x.py", True),
        ("src/x.py", "src/x.pyc", False),
        ("not found", "'not found'", True),
        ("not found", "found not", False),
        ("--dry-run", "[--dry-run]", True),
        ("größe", "größe = 1", True),
        ("->", "a -> b", False),
        ("", "text", False),
        ("x" * (MAX_CHARACTERS + 1), "x" * (MAX_CHARACTERS + 1), False),
    ],
)
def test_where_a_name_stands(name: str, text: str, found: bool) -> None:
    assert (name in found_in(searchable(text), wanted_of([name]))) is found


@settings(deadline=None)
@given(st.text(max_size=60), st.text(st.sampled_from("ab_.: "), min_size=1, max_size=6))
def test_a_name_between_blanks_is_found(text: str, name: str) -> None:
    if any(map(str.isalnum, name)):
        assert name in found_in(searchable(f"{text} {name} {text}"), wanted_of([name]))


def test_many_near_hits_end() -> None:
    text = searchable("a.b" * 100_000)
    assert found_in(text, wanted_of(["a.b", "b.a", "a"])) == {"a"}
