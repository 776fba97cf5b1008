"""The gate: one short reason why a prompt can't be used, or none.

Order: what the answer is (unfinished, empty), its form, what it gives away, what it copies, what it
lacks. The first that fails is the reason.

Limits: words are judged, not meaning; a prompt that asks for the wrong thing in the right words
passes.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from awareness_pipeline.teacher.messages import leak_in
from awareness_pipeline.teacher.quality.copying import longest_shared_run
from awareness_pipeline.teacher.quality.evidence import Evidence
from awareness_pipeline.teacher.quality.form import (
    MAX_CHARACTERS,
    has_code,
    has_tags,
    length_fault,
    repetition,
)
from awareness_pipeline.teacher.quality.score import Scores
from awareness_pipeline.teacher.quality.words import parts_of, words_of

__all__ = ["judge", "judge_score"]

MAX_REPETITION: Final = 0.25
"""Of runs of three words; people's prose has next to none."""
MIN_ENGLISH: Final = 0.6
"""Two common words of another language against two of English: 0.6."""
MAX_LEAK: Final = 0.3
"""One name in four may slip out of the diff; one in three shows how the fix is built."""
MAX_COPIED_RUN: Final = 8
"""Words in a row that may not stand in the added lines too: names may, statements may not."""
MAX_COPIED_SHARE: Final = 0.5
MIN_COPIED_RUN: Final = 4
"""A shorter shared run is never held against a short prompt."""
MAX_ECHO_RUN: Final = 7
"""Words in a row that may not stand in our template too."""
MIN_SELF_CONTAINED: Final = 0.75
"""One weak reference may stay, no strong one."""
MIN_GROUNDING: Final = 0.7
"""Of four names one may be unknown: a product, or a name in a file that is not read."""

_SCORE: Final = re.compile(
    r"<score>\s{0,9}([1-5](?:\.\d{1,4})?)(?:\s{0,3}/\s{0,3}5)?\s{0,9}</score>"
)


def judge(
    text: str,
    finish_reason: str,
    found: Scores,
    evidence: Evidence,
    *,
    style: str,
    demonstrations: Sequence[str] = (),
) -> str:
    """Return why a prompt can't be used; empty if it can.

    Args:
        text: the prompt, the text between the tags.
        finish_reason: `stop` (closing tag), `end` (ended without it) or `length`.
        found: its scores.
        evidence: its commit.
        style: one of `form.WORDS`; KeyError for others.
        demonstrations: words of our own template.
    """
    text = text.strip()
    if finish_reason != "stop":
        return "length" if finish_reason == "length" else "no_closing_tag"
    if not text:
        return "empty"
    reason = length_fault(text, found.words, style)
    if reason == "too_long":
        return reason
    words = words_of(text)
    run = longest_shared_run(words, evidence.added_words)
    checks: tuple[Callable[[], str], ...] = (
        lambda: _unfit(text),
        lambda: reason,
        lambda: _given_away(text, words, found),
        lambda: "copied" if _copied(run, found.copy_overlap) else "",
        lambda: "echo" if longest_shared_run(words, demonstrations) >= MAX_ECHO_RUN else "",
        lambda: _lacking(text, found, evidence),
    )
    return next((failed for check in checks if (failed := check())), "")


def judge_score(text: str) -> float | None:
    """Return what a judge's answer says in its last `<score>N</score>` (or N/5), 1 to 5; None
    where nothing readable is said."""
    said = _SCORE.findall(text[-MAX_CHARACTERS:])
    score = float(said[-1]) if said else 0.0
    return score if 1 <= score <= 5 else None


def _unfit(text: str) -> str:
    return "tags" if has_tags(text) else "code" if has_code(text) else ""


def _given_away(text: str, words: Sequence[str], found: Scores) -> str:
    if repetition(words) > MAX_REPETITION:
        return "repetitive"
    if found.english < MIN_ENGLISH:
        return "language"
    leaked = leak_in(text)
    return f"leak_{leaked}" if leaked else "leak" if found.leak > MAX_LEAK else ""


def _copied(run: int, share: float) -> bool:
    return run >= MAX_COPIED_RUN or (run >= MIN_COPIED_RUN and share > MAX_COPIED_SHARE)


def _lacking(text: str, found: Scores, evidence: Evidence) -> str:
    checks = (
        ("not_self_contained", found.self_contained < MIN_SELF_CONTAINED),
        ("ungrounded", found.grounding < MIN_GROUNDING),
        ("unrelated", not parts_of(text) & evidence.parts),
    )
    return next((name for name, failed in checks if failed), "")
