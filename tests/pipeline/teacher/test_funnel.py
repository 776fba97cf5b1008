"""The funnel: what is left after each step, never more than before it."""

import ast
import inspect
import re
from dataclasses import replace

import pytest

from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.teacher.funnel import STEPS, funnel, step_of
from awareness_pipeline.teacher.quality import form, verdict
from awareness_pipeline.teacher.tasks import MESSAGE_STYLE, STYLES
from tests.pipeline.defs.outputs import PROMPT


def row(reason: str, finish: str = "stop", style: str = "terse") -> TaskPrompt:
    changes = {"accepted": not reason, "reject_reason": reason, "finish_reason": finish}
    return replace(PROMPT, style=style, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "finish", "step"),
    [
        ("", "stop", "accepted"),
        ("", "", "accepted"),
        ("refused", "refused", "wanted"),
        ("too_long", "too_long", "wanted"),
        ("too_long", "stop", "parsed"),
        ("content_filter", "content_filter", "wanted"),
        ("empty_diff", "", "wanted"),
        ("length", "length", "answered"),
        ("no_closing_tag", "stop", "answered"),
        ("too_short", "", "parsed"),
        ("leak_sha", "stop", "well formed"),
        ("copied", "stop", "no leak"),
        ("ungrounded", "stop", "self-contained"),
        ("duplicate", "stop", "grounded"),
        ("judge_low", "stop", "distinct"),
    ],
)
def test_a_reason_says_how_far_a_prompt_came(reason: str, finish: str, step: str) -> None:
    assert step_of(row(reason, finish)) == step


def test_every_step_counts_what_is_left() -> None:
    rows = [row(""), row("duplicate"), row("length", "length"), row("", style="issue")]
    found = funnel(rows)
    assert list(found) == ["terse", "issue"]
    assert list(found["terse"]) == list(STEPS)
    assert list(found["terse"].values()) == [3, 3, 2, 2, 2, 2, 2, 2, 1, 1]
    assert set(found["issue"].values()) == {1}
    assert funnel([]) == {}


NO_REASONS = {"stop", "judge", "judge_score", "judged_low", "leak_", *STYLES, MESSAGE_STYLE}
"""Words of the gate's source that are none."""


def test_the_gate_has_no_reason_that_the_funnel_does_not_know() -> None:
    """Reasons are read out of the gate's source, so that a new one is noticed here."""
    source = "".join(map(inspect.getsource, (verdict, form)))
    words = {one.value for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Constant)}
    reasons = {one for one in words if isinstance(one, str) and re.fullmatch("[a-z_]+", one)}
    reasons -= NO_REASONS | set(dir(verdict)) | set(dir(form))
    assert {"copied", "echo", "ungrounded", "too_short", "lines", "code"} <= reasons
    assert [one for one in sorted(reasons) if step_of(row(one)) == "wanted"] == []
