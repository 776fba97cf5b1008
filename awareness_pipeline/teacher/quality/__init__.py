"""The gate before a written prompt: scores, each a pure function of text, and the verdict.

`evidence` reads the commit, `names` what a prompt names of code; `leak`, `grounding`, `copying`,
`form`, `english` and `self_contained` score; `score` joins them, `verdict` decides.
"""

from awareness_pipeline.teacher.quality.evidence import Evidence, evidence_of
from awareness_pipeline.teacher.quality.score import Scores, scores, wanted_names
from awareness_pipeline.teacher.quality.verdict import judge, judge_score
from awareness_pipeline.teacher.quality.words import words_of

__all__ = [
    "Evidence",
    "Scores",
    "evidence_of",
    "judge",
    "judge_score",
    "scores",
    "wanted_names",
    "words_of",
]
