"""Training and what is measured after it: a job, its report, the questions of an evaluation.

Limits: a job names files by path, so it is read on the machine that wrote it; a report's digests
are what can be compared elsewhere.
"""

from dataclasses import dataclass

from awareness_model.config import TrainingConfig

CONDITIONS = ("own", "other", "none", "text")
"""What the decoder may read in an evaluation: the repository's memory, another repository's memory,
no memory, the same documents as text in the context."""


@dataclass(frozen=True, slots=True)
class TrainJob:
    """A training to run: where its inputs are, and its settings (`output_dir` among them)."""

    model: str
    device: str
    store: str
    traces: tuple[str, ...]
    """Parquet files of teacher traces."""
    training: TrainingConfig


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a finished training leaves beside the reader."""

    steps: int
    samples: int
    """Traces it could learn from."""
    dropped: dict[str, int]
    """Traces it could not, by reason."""
    digest: str
    """Digest of the trained weights."""
    inputs: str
    """Digest of settings, base model and trace files: the same job finds itself done."""


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """One question whose answer stands in another file of the same repository."""

    item_id: str
    repo_id: int
    sha: str
    kind: str
    """`remote`: a name defined in another file, where it is used; `needle`: a constant's value."""
    language: str
    path: str
    prompt: str
    answer: str
    gold: tuple[str, ...]
    """Paths of the documents that decide the answer."""
