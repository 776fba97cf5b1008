"""A leak is what only the added lines could have told."""

import pytest

from awareness_pipeline.teacher.quality.leak import leak
from tests.pipeline.teacher.quality.commit import evidence


@pytest.mark.parametrize(
    ("text", "known", "share"),
    [
        ("Let uploads try again", [], 0.0),
        ("Use retryLimit for uploads", [], 0.0),
        ("Use retry_limit for uploads", [], 1.0),
        ("Use retry_limit for uploads", ["retry_limit"], 0.0),
        ("Use retry_limit with retryLimit", [], 0.5),
        ("Wait 45 s, not 30 s", [], 0.5),
        ("Wait 45 s", ["45"], 0.0),
        ("Report 'gave up at last' and 'other words'", [], 0.5),
        ("Set timeout_in_seconds and invented_name", ["x"], 0.5),
        ("Make it send(block, attempt, timeout_in_seconds=45)", ["timeout_in_seconds", "45"], 1.0),
        ("Make it `send(block,  attempt, timeout_in_seconds=45)`", [], 1.0),
        ("", [], 0.0),
    ],
)
def test_the_share_of_what_leaks(text: str, known: list[str], share: float) -> None:
    assert leak(text, evidence(), known) == share


def test_a_statement_that_was_there_or_is_in_the_message_is_no_leak() -> None:
    quoted = "for attempt in range(retry_limit)"
    assert leak(quoted, evidence(), []) == 1.0
    assert leak(quoted, evidence(message=f"Write `{quoted}`"), []) == 0.0
    assert leak(quoted, evidence(), [quoted, "retry_limit"]) == 0.0


def test_a_dotted_name_leaks_by_its_parts() -> None:
    change = evidence("client.retry(times)")
    assert leak("Call client.retry", change, ["client"]) == 1.0
    assert leak("Call client.retry", change, ["client", "retry"]) == 0.0
