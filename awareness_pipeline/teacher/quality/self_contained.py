"""Self-contained: can a prompt be understood without the commit, its diff and our template?

1 less 0.5 for every kind of reference to what a reader does not have, 0.25 for every weak one.

Limits: English wordings, by pattern: in a project about patches `the patch` is a thing of its own,
and still counts.
"""

import re
from typing import Final

__all__ = ["flags_in", "self_contained"]

STRONG: Final = 0.5
WEAK: Final = 0.25

_SHOWN: Final = r"(?:code|lines?|examples?|snippet|changes?|diff|description|message|functions?)"
_VERB: Final = (
    r"(?:'s|is|are|was|were|should|shall|must|can|cannot|could|will|would|does|do|did|has|have|had"
    r"|needs?|fails?|breaks?|crashes|works?|makes?|fixes|adds|removes|changes|also|now|only|never)\b"
)
_COMMIT: Final = (
    r"\b(?:this|these|that) (?:commits?|changes?|changesets?|patch(?:es)?|diffs?|hunks?|fix"
    r"|(?:pull|merge) requests?|PRs?|(?:code )?snippets?)\b"
    r"|\bthe (?:commit|diff|hunks?|changeset|patch|(?:pull|merge) request|(?:code )?snippet)\b"
    r"(?! (?:hash|id|message|sha|graph|log|history|version|release|level|number)\b)"
)
_POSITION: Final = (
    rf"\bthe (?:above|below)\b|\b(?:above|below)(?:[- ]mentioned)? {_SHOWN}\b"
    r"|\b(?:see|shown|mentioned|described|listed|given|discussed|as|"
    rf"{_SHOWN}) (?:above|below)\b"
)
_DISCUSSED: Final = (
    r"\bas (?:we )?(?:discussed|mentioned|agreed|explained|noted|suggested|said|shown|described"
    r"|stated|requested)\b(?! (?:by|in|on) )|\bas before\b[.!]?\s{0,9}\Z"
)
_FOLLOWING: Final = r"\b(?:the following|as follows)\b[^.:!?\n]{0,100}[.:!?]?\s{0,9}\Z"
_TASK: Final = (
    r"\b(?:this|the) (?:task|example|prompt|instruction)s?"
    r"(?=\s?(?:[.,:;!?]|\Z)|\s(?:is|are|above|below|asks|describes|requires)\b)"
)
_PRONOUN: Final = (
    rf"\A\W{{0,5}}(?:it|this|that|they|these|those)(?:\s|(?=')){_VERB}"
    r"|\A\W{0,5}(?:please )?[a-z]{2,15} (?:it|this|that|them|these|those)"
    r"(?: (?:work|better|faster|correctly|properly|again|now|instead|so|up|out|right|well)){0,4}"
    r"[.!]?\s{0,9}\Z"
)
"""`It fails.`, `Fix it.`, `Make this work.`: what, nobody can know."""
_SEE: Final = r"(?:^|[.;(!?]\s|\bplease )see (?!if\b|whether\b|that\b|how\b)"
_LINE: Final = r"\blines? (?:number )?\d+\b|\w\.[a-z]{1,4}:\d+\b|\bL\d{1,5}\b"

_PATTERNS: Final = (
    ("commit", STRONG, _COMMIT),
    ("position", STRONG, _POSITION),
    ("discussed", STRONG, _DISCUSSED),
    ("see", WEAK, _SEE),
    ("following", STRONG, _FOLLOWING),
    ("task", STRONG, _TASK),
    ("pronoun", STRONG, _PRONOUN),
    ("line", STRONG, _LINE),
)
_FLAGS: Final = tuple(
    (name, weight, re.compile(pattern, re.IGNORECASE)) for name, weight, pattern in _PATTERNS
)


def self_contained(text: str) -> float:
    """Return 1 for a prompt that needs nothing else, down to 0."""
    flags = flags_in(text)
    return max(0.0, 1.0 - sum(flags.values()))


def flags_in(text: str) -> dict[str, float]:
    """Return the kinds of reference found, each with what it costs: `commit`, `position`,
    `discussed`, `see`, `following`, `task`, `pronoun`, `line`."""
    return {name: weight for name, weight, pattern in _FLAGS if pattern.search(text)}
