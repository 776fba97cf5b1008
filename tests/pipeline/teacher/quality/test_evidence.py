"""Evidence is what hunks add, not what looks like it."""

from awareness_pipeline.teacher.quality import evidence_of
from awareness_pipeline.teacher.quality.evidence import MAX_STATEMENTS, MAX_WORDS, READ_CHARACTERS
from awareness_pipeline.teacher.quality.words import parts_of
from tests.pipeline.teacher.quality.commit import diff_of, evidence


def test_added_lines_are_those_of_the_hunks() -> None:
    found = evidence("++ twice", "-- once")
    assert found.added.text == "++ twice\n-- once"
    assert found.added_words == ("twice", "once")


def test_parts_come_from_message_paths_and_changed_lines() -> None:
    found = evidence_of(diff_of("newName", removed=("oldThing",)), message="word", paths=["a/path"])
    assert parts_of("word path name thing") <= found.parts
    assert found.added.words == {"newName"}


def test_statements_are_code_lines_made_even() -> None:
    found = evidence("   x =   compute(1);", "}", "a plain line of prose", "helper_name()", "x = 1")
    assert found.statements == ("x = compute(1)",)


def test_a_huge_or_empty_diff_is_bounded() -> None:
    huge = evidence(*(f"value_{n} = compute({n})" for n in range(100_000)))
    assert len(huge.added.text) <= READ_CHARACTERS
    assert len(huge.statements) <= MAX_STATEMENTS
    assert len(huge.added_words) <= MAX_WORDS
    assert evidence_of("", message="", paths=[]).parts == frozenset()
