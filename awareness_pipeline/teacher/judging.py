"""A second opinion: the model rates prompts that the gate accepted, from 1 to 5.

Off by default (`Reverse.judge`). It is asked about every accepted prompt, the messages too, and its
answers are cached like all. Limits: one model, asked once; a small one rates at random.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.teacher.chat import STOP, ChatAnswer, ChatRequest
from awareness_pipeline.teacher.prompts import Template, load_template
from awareness_pipeline.teacher.quality import judge_score
from awareness_pipeline.teacher.quoting import quoted
from awareness_pipeline.teacher.room import first_part
from awareness_pipeline.teacher.tasks import Subject, change_of

__all__ = ["JUDGED", "judge_template", "judged", "rating_of"]

LOW: Final = "judge_low"
UNREADABLE: Final = "judge_unreadable"
JUDGED: Final = ("", LOW, UNREADABLE)
"""Reasons of rows that were rated: what came before accepted them."""
MAX_NEW_TOKENS: Final = 16
TASK_TOKENS: Final = 256
CLOSING: Final = "</score>"


def judge_template() -> Template:
    """Return the judge's template."""
    return load_template("judge")


def rating_of(
    template: Template, subject: Subject, row: TaskPrompt, max_prompt_tokens: int
) -> ChatRequest:
    """Return the request to rate a prompt. Raises UserError where there is no room for it."""
    task = first_part(quoted(row.prompt), TASK_TOKENS)
    user, prefix = template.fill(**change_of(subject, template, max_prompt_tokens, task=task))
    return ChatRequest(
        system=template.system,
        prompt=user,
        max_prompt_tokens=max_prompt_tokens,
        max_new_tokens=MAX_NEW_TOKENS,
        prefix=prefix,
        stop=CLOSING,
    )


def judged(row: TaskPrompt, answers: Mapping[str, ChatAnswer], least: float) -> TaskPrompt:
    """Return a row with what the judge said of it; one that it was not asked about as it is.

    Args:
        answers: by style.
        least: a lower score rejects.
    """
    if not row.accepted:
        return row
    answer = answers[row.style]
    score = judge_score(answer.text) if answer.finish_reason == STOP else None
    reason = UNREADABLE if score is None else LOW if score < least else ""
    return replace(row, judge=score, accepted=not reason, reject_reason=reason)
