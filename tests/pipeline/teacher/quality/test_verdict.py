"""The gate names why a prompt cannot be used."""

from dataclasses import replace

import pytest

from awareness_pipeline.teacher.messages import clean_message
from awareness_pipeline.teacher.quality import judge, judge_score, scores, words_of
from tests.pipeline.teacher.quality.commit import MESSAGE, evidence

GOOD = "Give the upload a retry limit, so that a broken network ends it."
ISSUE = "Uploads hang for ever\n\nThey should try again some times, then fail."
SHOWN = words_of("Invoice totals are rounded wrongly. Correct the rounding.")
EVIDENCE = evidence()


def verdict(text: str, *, finish: str = "stop", style: str = "imperative") -> str:
    found = scores(text, EVIDENCE, ["retry_limit"])
    return judge(text, finish, found, EVIDENCE, style=style, demonstrations=SHOWN)


@pytest.mark.parametrize(
    ("text", "style"),
    [
        (GOOD, "imperative"),
        (f"\n {GOOD} ", "imperative"),
        (ISSUE, "issue"),
        ("Retry uploads", "terse"),
        (clean_message(MESSAGE), "message"),
        ("Let retry_limit bound the upload", "imperative"),
        ("Rename the upload to Café retry", "imperative"),
        ("Keep every Vec<String> of an upload until its end", "imperative"),
    ],
)
def test_a_good_prompt_passes(text: str, style: str) -> None:
    assert verdict(text, style=style) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("Retry upload", "too_short"),
        ("Retry the upload " + " ".join(f"word{n}" for n in range(80)), "too_long"),
        ("upload " * 200_000, "too_long"),
        ("😀" * 3, "too_short"),
        ("Retry the upload <task>", "tags"),
        ("Retry the upload <|im_end|>", "tags"),
        ("Retry the upload:\n```\nx = 1\n```", "code"),
        ("Retry the upload:\n@@ -1 +1 @@", "code"),
        ("upload again and again and again and again and again and again", "repetitive"),
        ("Повтори upload файла ещё раз", "language"),
        ("Retry the upload as in https://x.example", "leak_url"),
        ("Retry the upload for #12", "leak_number"),
        ("Retry the upload like deadbee1 did", "leak_sha"),
        ("Retry the upload for ada@example.org", "leak_email"),
        ("Retry the upload\nSigned-off-by: Ada", "leak_trailer"),
        ("Retry the upload with timeout_in_seconds", "leak"),
        ("Retry the upload within 45 seconds", "leak"),
        ("Upload: for attempt in range retry limit send block attempt", "copied"),
        ("range retry limit send block", "copied"),
        ("The upload invoice totals are rounded wrongly, correct the rounding", "echo"),
        ("This commit retries the upload", "not_self_contained"),
        ("Retry the upload with invented_name", "ungrounded"),
        ("Make the dog bark when strangers come", "unrelated"),
    ],
)
def test_what_cannot_be_used_has_a_reason(text: str, reason: str) -> None:
    assert verdict(text) == reason


def test_styles_differ() -> None:
    assert verdict(ISSUE, style="issue") == ""
    assert verdict("Retry uploads now please", style="issue") == "too_short"
    assert verdict("Retry\nuploads", style="terse") == "lines"
    assert verdict(ISSUE.replace("\n", " "), style="issue") == "lines"
    with pytest.raises(KeyError):
        verdict(GOOD, style="poem")


def test_an_answer_that_was_not_closed_is_refused_whatever_it_says() -> None:
    assert verdict(GOOD, finish="length") == "length"
    assert verdict(GOOD, finish="end") == "no_closing_tag"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"leak": 0.31}, "leak"),
        ({"leak": 0.3}, ""),
        ({"grounding": 0.69}, "ungrounded"),
        ({"grounding": 0.7}, ""),
        ({"english": 0.59}, "language"),
        ({"self_contained": 0.74}, "not_self_contained"),
        ({"words": 81}, "too_long"),
    ],
)
def test_scores_decide_at_their_thresholds(change: dict[str, float], reason: str) -> None:
    found = replace(scores(GOOD, EVIDENCE, ()), **change)  # type: ignore[arg-type]
    assert judge(GOOD, "stop", found, EVIDENCE, style="imperative") == reason


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<score>4</score>", 4.0),
        ("Clear.\n<score> 3.5 </score>", 3.5),
        ("<score>4/5</score>", 4.0),
        ("<score>2</score> no: <score>5</score>", 5.0),
        ("<score>0</score>", None),
        ("<score>6</score>", None),
        ("<score>5.5</score>", None),
        ("<score>-3</score>", None),
        ("<score>four</score>", None),
        ("<score>4", None),
        ("4", None),
        ("", None),
        ("<score>" * 200_000, None),
    ],
)
def test_a_judges_score_is_read_or_not_there(text: str, score: float | None) -> None:
    assert judge_score(text) == score
