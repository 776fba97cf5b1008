"""Grounding: do the things a prompt names exist?

The share of its code-like names that are in the tree before the commit (in a file or as a path) or
in the cleaned commit message. What is found nowhere is invented, or given away by the diff.

Limits: a name in a comment or a text file exists as well as one that is defined; names that only
files left out of the vocabulary hold (vendored, generated, too big) count as invented.
"""

from collections.abc import Collection

from awareness_pipeline.teacher.quality.evidence import Evidence
from awareness_pipeline.teacher.quality.leak import stands
from awareness_pipeline.teacher.quality.names import forms_of, names_in

__all__ = ["grounding"]


def grounding(text: str, evidence: Evidence, known: Collection[str]) -> float:
    """Return the share of names that exist, 0 to 1; 1 where none is named.

    Args:
        text: the prompt.
        evidence: its commit.
        known: what of `wanted_names` is in the tree before the commit.
    """
    names = names_in(text)
    there = set(known)
    grounded = [
        name
        for name in names
        if any(form <= there for form in forms_of(name)) or stands(name, evidence.message)
    ]
    return len(grounded) / len(names) if names else 1.0
