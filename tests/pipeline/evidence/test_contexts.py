"""What is asked about contexts: own files as the manifest says, beside another repository's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from awareness_pipeline.config import Audit
from awareness_pipeline.evidence.contexts import Answer, Answered, plan_contexts
from awareness_pipeline.evidence.plan import Plan
from awareness_pipeline.gitio.repository import BrokenRepository

BOTH = {"teacher": Answer("Do it", "done"), "commit": Answer("Do it as an edit", "-a\n+b")}


def task(repo_id: int, sha: str = "s", language: str = "Go", **changes: Any) -> Answered:
    manifest = (f"b{repo_id}.go", f"a{repo_id}.go", "gone.go")
    usual = Answered(repo_id, sha, f"t{repo_id}", "terse", language, manifest, BOTH)
    return Answered(**{**{name: getattr(usual, name) for name in Answered.__slots__}, **changes})


def trees(repo_id: int, sha: str, paths: tuple[str, ...]) -> Mapping[str, str]:
    assert sha == f"t{repo_id}"
    if repo_id == 9:
        raise BrokenRepository("the tree can't be read")
    every = {f"{name}{repo_id}.go": f"package {name}\n" * 3 for name in "dcab"}
    return {path: every[path] for path in paths if path in every}


def plan(*tasks: Answered, **changes: Any) -> Plan:
    return plan_contexts(tasks, trees, Audit(**changes), "model")


def test_both_read_what_the_teacher_saw_in_its_order() -> None:
    found = plan(task(1), task(2))
    (request,) = (one for one in found.requests if (one.repo_id, one.group) == (1, "commit"))
    own, other = request.readings
    assert [file.path for file in own.files] == ["b1.go", "a1.go"]
    assert [file.path for file in other.files] == ["b2.go", "a2.go"]
    assert (request.text, own.prompt, other.prompt) == ("-a\n+b", *["Do it as an edit"] * 2)
    assert (request.kind, request.max_context_tokens) == ("context", 1024)


def test_another_repository_of_the_same_language_is_preferred() -> None:
    others = [task(number, language="C") for number in range(2, 7)]
    found = plan(task(1), *others, task(8))
    (request,) = (one for one in found.requests if (one.repo_id, one.group) == (1, "teacher"))
    assert request.readings[1].files[0].path == "b8.go"
    found = plan(task(1), *others)
    assert any(one.repo_id == 1 for one in found.requests)


def test_other_commits_come_before_other_styles_of_the_same() -> None:
    styles = [task(1, style=style) for style in ("issue", "terse", "imperative")]
    half = task(1, "later", answers={"teacher": BOTH["teacher"]})
    found = plan(*styles, half, task(2), max_tasks=3)
    assert {(one.repo_id, one.sha) for one in found.requests} == {(1, "s"), (1, "later"), (2, "s")}
    only = replace(styles[0], answers={"teacher": BOTH["teacher"]})
    for seed in range(4):
        found = plan(only, *styles[1:], task(2), max_tasks=2, seed=seed)
        assert len(found.requests) == 4


def test_trees_that_cannot_be_read_are_passed_over() -> None:
    found = plan(task(1), task(9), task(2, language="C"))
    assert {one.repo_id for one in found.requests} == {1, 2}
    assert all(one.readings[1].files[0].path != "b9.go" for one in found.requests)
    assert found.dropped == {("teacher", "no_tree"): 1, ("commit", "no_tree"): 1}


def test_one_repository_has_nothing_to_stand_beside_it() -> None:
    found = plan(task(1), task(1, "later"))
    assert found.requests == []
    reason = "no_other_repository"
    assert found.dropped == {("teacher", reason): 2, ("commit", reason): 2}


def test_everything_offered_is_asked_about_or_dropped() -> None:
    empty = {"teacher": Answer("Do it", " \n")}
    found = plan(task(1), task(2), task(3, answers=empty), task(4), max_tasks=3)
    assert found.offered == {"teacher": 4, "commit": 3}
    assert {one.repo_id for one in found.requests} == {1, 2, 4}
    assert found.dropped == {("teacher", "over_cap"): 1}
    everything = plan(task(1), task(2), task(3, answers=empty))
    assert everything.dropped == {("teacher", "no_response"): 1}


@pytest.mark.parametrize("tasks", [[task(1), task(2), task(3)], [task(3), task(1), task(2)]])
def test_the_order_of_rows_plays_no_part(tasks: list[Answered]) -> None:
    assert plan(*tasks) == plan(task(1), task(2), task(3))


def test_long_files_are_sent_as_far_as_they_could_be_read() -> None:
    found = plan(task(1), task(2), max_context_tokens=2)
    sent = [sum(len(file.text) for file in one.files) for one in found.requests[0].readings]
    assert sent == [32, 32]
