"""How many prompts are left after each step from wanted to accepted, by style.

A row's reason says where it ended. Every step counts what is left, so a step never exceeds the one
before it, and the last one is what was accepted.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.teacher.chat import LENGTH, STOP

__all__ = ["STEPS", "funnel", "step_of"]

_ENDS: Final = {
    "answered": (),
    "parsed": ("length", "no_closing_tag", "empty"),
    "well formed": ("tags", "code", "lines", "too_short", "too_long", "repetitive", "language"),
    "no leak": ("leak", "leak_url", "leak_number", "leak_sha", "leak_trailer"),
    "not copied": ("copied", "echo"),
    "self-contained": ("not_self_contained",),
    "grounded": ("ungrounded", "unrelated"),
    "distinct": ("duplicate",),
    "accepted": ("judge_low", "judge_unreadable"),
}
"""The step that a reason keeps a prompt from."""
STEPS: Final = ("wanted", *_ENDS)
_STEP_OF: Final = {reason: step for step, reasons in _ENDS.items() for reason in reasons}


def step_of(row: TaskPrompt) -> str:
    """Return the last step that a row reached."""
    if row.accepted:
        return STEPS[-1]
    asked_in_vain = row.finish_reason not in ("", STOP, LENGTH)
    kept_from = "answered" if asked_in_vain else _STEP_OF.get(row.reject_reason, "answered")
    return STEPS[STEPS.index(kept_from) - 1]


def funnel(rows: Iterable[TaskPrompt]) -> Mapping[str, dict[str, int]]:
    """Return `{style: {step: rows that reached it}}`, styles as they come, steps in order."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        steps = found.setdefault(row.style, dict.fromkeys(STEPS, 0))
        for step in STEPS[: STEPS.index(step_of(row)) + 1]:
            steps[step] += 1
    return found
