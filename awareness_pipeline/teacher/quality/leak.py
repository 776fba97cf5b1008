"""Leak: how far a prompt gives the fix away.

The names and literals of a prompt that stand in the lines a commit adds and nowhere a reader could
know them from, neither in the tree before nor in the cleaned commit message, as a share of all it
names. One statement of the added lines that is quoted makes it 1. A new name that the message says
is a request, not a leak.

Limits: names and literals as `names` tells them; a fix put into plain words is not seen.
"""

from collections.abc import Collection

from awareness_pipeline.teacher.quality.evidence import Evidence
from awareness_pipeline.teacher.quality.names import forms_of, literals_in, names_in
from awareness_pipeline.wanted import Searchable, found_in, searchable, wanted_of

__all__ = ["leak", "quoted_statements", "stands"]


def leak(text: str, evidence: Evidence, known: Collection[str]) -> float:
    """Return the leaked share, 0 to 1; 0 where nothing is named.

    Args:
        text: the prompt.
        evidence: its commit.
        known: what of `wanted_names` is in the tree before the commit.
    """
    if any(quoted not in known for quoted in quoted_statements(text, evidence)):
        return 1.0
    named = list(dict.fromkeys((*names_in(text), *literals_in(text))))
    leaked = [
        name
        for name in named
        if stands(name, evidence.added)
        and not stands(name, evidence.message)
        and not any(form <= set(known) for form in forms_of(name))
    ]
    return len(leaked) / len(named) if named else 0.0


def quoted_statements(text: str, evidence: Evidence) -> list[str]:
    """Return the added lines of code that a text quotes and the message does not."""
    even = searchable(" ".join(text.replace("`", " ").split()))
    quoted = found_in(even, wanted_of(evidence.statements))
    message = searchable(" ".join(evidence.message.text.replace("`", " ").split()))
    return sorted(quoted - found_in(message, wanted_of(quoted)))


def stands(name: str, text: Searchable) -> bool:
    """Tell whether a name stands in a text in any of its forms."""
    forms = forms_of(name)
    found = found_in(text, wanted_of(frozenset().union(*forms)))
    return any(form <= found for form in forms)
