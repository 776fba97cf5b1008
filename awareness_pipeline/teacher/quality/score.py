"""All scores of a prompt, and what has to be looked up in the tree for them.

Pure functions of text. Of a longer text the first `MAX_CHARACTERS` are scored.
"""

from collections.abc import Collection
from dataclasses import dataclass

from awareness_pipeline.teacher.quality.copying import copy_overlap
from awareness_pipeline.teacher.quality.english import english
from awareness_pipeline.teacher.quality.evidence import Evidence
from awareness_pipeline.teacher.quality.form import MAX_CHARACTERS
from awareness_pipeline.teacher.quality.grounding import grounding
from awareness_pipeline.teacher.quality.leak import leak, quoted_statements
from awareness_pipeline.teacher.quality.names import forms_of, literals_in, names_in
from awareness_pipeline.teacher.quality.self_contained import self_contained
from awareness_pipeline.teacher.quality.words import count_words, words_of

__all__ = ["Scores", "scores", "wanted_names"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares from 0 to 1, rounded to 4 digits; the better the higher, but for `leak` and
    `copy_overlap`."""

    leak: float
    grounding: float
    copy_overlap: float
    words: int
    english: float
    self_contained: float


def wanted_names(text: str, evidence: Evidence) -> frozenset[str]:
    """Return what `scores` must know to be in the tree before the commit, or not."""
    text = text.strip()[:MAX_CHARACTERS]
    forms = (form for name in (*names_in(text), *literals_in(text)) for form in forms_of(name))
    return frozenset(quoted_statements(text, evidence)).union(*forms)


def scores(text: str, evidence: Evidence, known: Collection[str]) -> Scores:
    """Return a prompt's scores.

    Args:
        text: the prompt.
        evidence: its commit.
        known: those of `wanted_names` that are in the tree before the commit; none for a root.
    """
    words = count_words(text)
    text = text.strip()[:MAX_CHARACTERS]
    return Scores(
        leak=round(leak(text, evidence, known), 4),
        grounding=round(grounding(text, evidence, known), 4),
        copy_overlap=round(copy_overlap(words_of(text), evidence.added_words), 4),
        words=words,
        english=round(english(text), 4),
        self_contained=round(self_contained(text), 4),
    )
