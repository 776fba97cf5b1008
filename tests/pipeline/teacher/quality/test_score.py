"""Scores are joined for any text, and say what they need to know."""

from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_pipeline.teacher.quality import Scores, scores, wanted_names
from tests.pipeline.teacher.quality.commit import evidence

EVIDENCE = evidence()


def test_a_good_prompt() -> None:
    text = " Give send_file a retry limit, so that a broken network ends it.\n"
    assert scores(text, EVIDENCE, ["send_file"]) == Scores(
        leak=0.0, grounding=1.0, copy_overlap=0.1538, words=12, english=1.0, self_contained=1.0
    )


def test_what_must_be_looked_up_is_names_literals_and_quoted_statements() -> None:
    text = "In np.zeros wait 1,000 ms: for attempt in range(retry_limit)"
    assert wanted_names(text, EVIDENCE) == {
        *("np.zeros", "np", "zeros", "1,000", "1000", "retry_limit"),
        "for attempt in range(retry_limit)",
    }
    assert wanted_names("Let uploads try again", EVIDENCE) == frozenset()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.booleans())
def test_any_text_has_scores_between_0_and_1(text: str, all_known: bool) -> None:
    known = wanted_names(text, EVIDENCE) if all_known else ()
    found = scores(text, EVIDENCE, known)
    shares = (found.leak, found.grounding, found.copy_overlap, found.english, found.self_contained)
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert found.words <= len(text)
    if all_known:
        assert (found.leak, found.grounding) == (0.0, 1.0)


def test_a_megabyte_and_emoji_are_scored() -> None:
    for text in ("retry_limit = " * 80_000, "😀" * 250_000, "a.b/" * 250_000, "\n" * 1_000_000):
        found = scores(text, EVIDENCE, ())
        assert 0.0 <= found.english <= 1.0
    assert scores("", EVIDENCE, ()) == Scores(0.0, 1.0, 0.0, 0, 0.0, 1.0)
