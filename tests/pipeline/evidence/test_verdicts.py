"""What is not clear of 0 says why, and what was not measured too."""

from collections import Counter
from typing import Any

from awareness_model.schema import AuditRequest, Reading
from awareness_pipeline.evidence.plan import Plan
from awareness_pipeline.evidence.verdicts import judged, label


def request(group: str) -> AuditRequest:
    return AuditRequest("i", "prompt", group, 1, "s", "x", (Reading("own", "p"),), 1, 1, 0)


def prompts(**changes: Any) -> Plan:
    offered = Counter({"terse": 4, "message": 4})
    asked = [request("terse"), request("message")]
    usual = {"kind": "prompt", "groups": ("terse", "message"), "requests": asked}
    return Plan(**{**usual, "offered": offered, **changes})


def measure(**changes: Any) -> dict[str, Any]:
    usual = {"kind": "prompt", "group": "terse", "control": "same", "D": 0.2, "D_ci": [0.1, 0.3]}
    counts = {"n_repos": 9, "n_items": 20, "n_tokens": 900, "above": 8, "alike": 0}
    return {**usual, **counts, **changes}


def why(**changes: Any) -> str:
    (found,) = (one for one in judged([measure(**changes)], [prompts()]) if one["D"] is not None)
    assert found["clear"] is (not found["why"])
    return str(found["why"])


def test_a_difference_above_nothing_is_clear() -> None:
    assert why() == ""
    assert why(kind="gain", D_ci=[-0.3, -0.1]) == ""


def test_few_repositories_make_no_verdict() -> None:
    assert "4 repositories are too few" in why(n_repos=4)
    assert "once in 16 times" in why(n_repos=4)
    assert "too few" in why(kind="gain", D_ci=[-0.3, -0.1], n_repos=5)
    assert why(n_repos=6) == ""


def test_an_interval_with_0_in_it_says_so_and_what_speaks_against_it() -> None:
    said = why(D_ci=[-0.1, 0.3], n_repos=4, above=2, alike=3)
    assert "the interval includes 0" in said
    assert "2 of 4 repositories are above 0" in said
    assert "so few repositories" in said
    assert "3 of 20 pairs read the very same" in said
    assert "so few" not in why(D_ci=[-0.1, 0.3])


def test_what_is_below_0_is_not_clear_and_says_what_it_means() -> None:
    assert "predicts the text better" in why(D_ci=[-0.3, -0.1], above=1)


def test_one_repository_has_no_interval() -> None:
    assert "one repository only" in why(D_ci=None, n_repos=1)


def test_all_that_was_looked_for_is_there_in_order() -> None:
    contexts = Plan("context", ("teacher", "commit"))
    found = judged([measure()], [prompts(), contexts])
    assert [(one["kind"], one["group"], one["control"]) for one in found] == [
        ("prompt", "terse", "same"),
        ("prompt", "terse", "other"),
        ("prompt", "message", "same"),
        ("prompt", "message", "other"),
        ("gain", "terse", "same"),
        ("gain", "terse", "other"),
        ("context", "teacher", "other"),
        ("context", "commit", "other"),
    ]
    assert len({label(one) for one in found}) == len(found)
    absent = [one for one in found if one["D"] is None]
    assert len(absent) == 7
    assert all(one["why"].startswith("nothing to measure") for one in absent)
    assert "another repository with such a prompt" in found[1]["why"]
    assert "no traces with this target" in found[-1]["why"]


def test_what_could_not_be_used_is_counted_by_reason() -> None:
    lost = Counter({("terse", "no_change"): 3, ("terse", "over_cap"): 1})
    (found, *_) = judged([], [prompts(requests=[], dropped=lost)])
    assert found["why"].endswith("none of 4 could be used (no_change 3, over_cap 1)")


def test_the_hardest_control_with_numbers_is_the_headline() -> None:
    def headlines(*measures: dict[str, Any]) -> list[str]:
        found = judged(measures, [prompts()])
        return [one["control"] for one in found if one["headline"]]

    assert headlines(measure(), measure(control="other")) == ["same", "same"]
    assert headlines(measure(control="other")) == ["other", "other"]
    assert headlines() == ["other", "other"]
