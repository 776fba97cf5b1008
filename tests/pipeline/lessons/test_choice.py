"""Which tasks come first."""

from awareness_pipeline.lessons.choice import in_turn
from awareness_pipeline.records import TaskPrompt
from tests.pipeline.stages.tasking import STYLES


def tasks(**styles: str) -> list[TaskPrompt]:
    """Return tasks of commits by name, styles told by their letters."""
    names = dict(zip("sitm", STYLES, strict=True))
    return [_task(sha, names[one]) for sha, letters in styles.items() for one in letters]


def _task(sha: str, style: str) -> TaskPrompt:
    scores = {"leak": 0.0, "grounding": 1.0, "copy_overlap": 0.0, "english": 1.0}
    return TaskPrompt(
        repo_id=1,
        repo="o/r",
        sha=sha,
        parent_sha="p",
        style=style,
        prompt=style,
        accepted=True,
        reject_reason="",
        finish_reason="stop",
        model="m",
        prompt_fingerprint="",
        prompt_tokens=0,
        completion_tokens=0,
        words=1,
        self_contained=1.0,
        judge=None,
        **scores,
    )


def order(rows: list[TaskPrompt], styles: tuple[str, ...] = STYLES) -> str:
    return " ".join(f"{row.sha}.{row.style[:2]}" for row in in_turn(rows, styles))


def test_every_commit_comes_before_a_second_style_of_any() -> None:
    assert order(tasks(a="sm", b="sm", c="sm")) == "a.is b.me c.me a.me b.is c.is"


def test_commits_begin_with_different_styles() -> None:
    assert order(tasks(a="sitm", b="sitm", c="sitm", d="stm"))[:19] == "a.is b.im c.te d.me"


def test_repositories_begin_with_different_styles() -> None:
    rows = tasks(a="sitm")
    assert [in_turn(rows, STYLES, first)[0].style for first in range(5)] == [*STYLES, "issue"]


def test_styles_that_are_not_taken_are_left_out() -> None:
    assert order(tasks(a="sm", b="t"), ("terse", "issue")) == "a.is b.te"
    assert order(tasks(a="m"), ("issue",)) == ""
