"""Differences between readings, and what of them is noise."""

from typing import Any

import pytest

from awareness_model.differences import Scored, measures


def row(repo: int, own: float, same: float | None, sha: str = "", **changes: Any) -> Scored:
    nats = {"own": own, **({"same": same} if same is not None else {})}
    sha = sha or f"c{repo}"
    usual = {"kind": "prompt", "group": "terse", "repo_id": repo, "sha": sha, "tokens": 10}
    return Scored(**{**usual, "nats": nats, **changes})


def find(found: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    (one,) = [m for m in found if all(m[name] == value for name, value in wanted.items())]
    return one


def test_a_difference_is_nats_per_token_over_all_texts() -> None:
    (one,) = measures([row(1, 20, 30), row(2, 40, 100, tokens=30)], seed=0)
    assert one["D"] == pytest.approx((10 + 60) / 40)
    assert one["nll"] == pytest.approx({"own": 60 / 40, "control": 130 / 40})
    assert (one["n_repos"], one["n_items"], one["n_tokens"], one["above"]) == (2, 2, 40, 2)


def test_intervals_draw_repositories_and_one_has_none() -> None:
    many = [row(1, 20, 20 + n, f"s{n}") for n in range(50)]
    assert measures(many, seed=0)[0]["D_ci"] is None
    apart = [row(n, 20, 20 + n % 7) for n in range(50)]
    (one,) = measures(apart, seed=0)
    low, high = one["D_ci"]
    assert 0 < low < one["D"] < high
    assert measures(apart[::-1], seed=0) == [one]
    assert measures(apart, seed=1)[0]["D_ci"] != [low, high]


def test_both_controls_are_measured_where_they_are() -> None:
    rows = [
        row(1, 20, None, nats={"own": 20, "same": 30, "other": 50}),
        row(2, 20, None, nats={"own": 20, "other": 40}),
    ]
    found = measures(rows, seed=0)
    assert find(found, control="same")["n_items"] == 1
    assert find(found, control="other")["D"] == pytest.approx(2.5)


def test_only_commits_with_every_style_enter_a_gain() -> None:
    """Of commit 3 the message is missing: it would pull the gain of `terse` to 9."""
    rows = [
        row(1, 20, 50),
        row(2, 20, 40),
        row(3, 20, 200),
        row(1, 30, 40, group="message"),
        row(2, 30, 35, group="message"),
    ]
    found = measures(rows, seed=0)
    gain = find(found, kind="gain")
    assert (gain["group"], gain["n_items"]) == ("terse", 2)
    assert gain["D"] == pytest.approx(((30 - 10) + (20 - 5)) / 20)
    assert find(found, kind="prompt", group="terse")["n_items"] == 3


def test_without_messages_or_whole_commits_there_is_no_gain() -> None:
    assert [one["kind"] for one in measures([row(1, 20, 50)], seed=0)] == ["prompt"]
    apart = [row(1, 20, 50), row(2, 30, 40, group="message")]
    assert {one["kind"] for one in measures(apart, seed=0)} == {"prompt"}


def test_nothing_gives_nothing() -> None:
    assert measures([], seed=0) == []
