"""What one run of the proof is: everything that decides its outcome. Standard library only."""

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Final

from awareness_model.config import TrainingConfig

FAMILIES: Final = ("llama", "qwen3")
OWN, SHUFFLED = "own", "shuffled"
TOGETHER, TEXT = "together", "text"
WARMUP: Final = 20
"""Steps."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. Two runs of one plan on one machine give the same floats."""

    family: str = "llama"
    """`llama`, or `qwen3` (q/k norms, head_dim that is not hidden / heads)."""
    seed: int = 0
    """Draws weights and training lessons; held-out questions are the same for all seeds."""
    layers: int = 3
    hidden: int = 128
    placement: str = "all"
    bidirectional: str = "echo"
    letters: int = 3
    """Of a name."""
    digits: int = 4
    """Of a value; each is one token."""
    swapped: float = 0.0
    """Share of documents that have the value before the name."""
    stages: tuple[int, ...] = (1, 2, 4, 8)
    """Documents visible to a row; the next number once the reader works at this one."""
    works: float = 0.9
    """Exact match on held-out questions that ends a stage."""
    done: float = 0.97
    """The same at the last stage, after which the run settles."""
    settle: int = 150
    """Steps after that in which the learning rate falls to zero, so that a run does not end on a
    lucky measurement."""
    measured_every: int = 50
    """Steps between measurements."""
    asked: int = 256
    """Held-out questions of a result, none of which is asked in training; half as many others are
    asked at each measurement."""
    most_steps: int = 1_500
    """The learning rate falls over these."""
    stop_after: int = 1_500
    """Steps after which a run ends in any case."""
    batch: int = 48
    learning_rate: float = 2e-3
    memory: str = OWN
    """What a row sees in training: `own`, or `shuffled` (C7: never its own document)."""
    base: str = TOGETHER
    """`together`: the base trains with its reader; `text`: it learned the task from text in its
    context before, and is frozen, as in the product."""
    kl: float = 0.0
    """Weight of KL to the frozen base with the documents in its context."""
    citation: float = 0.3
    null: float = 0.1
    harm: float = 0.0
    """Weight of staying with the base's words in rows whose document is hidden, for which CE then
    does not count."""
    sparsity: float = 0.0
    """Weight of the entropy of attention over memory."""
    transmission: bool = False
    """While one document is visible every token of a row is scored, not its digits alone."""
    gold_absent: float = 0.0
    """Share of rows whose document is hidden."""
    gate: float = 0.0
    """α at the start."""
    gain: float = 1.4
    """Factor of the q/k norm gains at the start: logits are at most gain² · √head_dim."""
    copied: bool = True
    """Projections start as copies of the layer's self-attention, else random (Xavier)."""
    reached: bool = True
    """The loss reaches the encoder through memory, else states are those of a frozen encoder."""

    @property
    def id(self) -> str:
        """Return a digest of the plan."""
        content = json.dumps(asdict(self), sort_keys=True).encode()
        return blake2b(content, digest_size=8).hexdigest()

    @property
    def settings(self) -> TrainingConfig:
        """Return the settings of a step, as the loop over traces has them."""
        return TrainingConfig(
            learning_rate=self.learning_rate,
            steps=self.most_steps,
            warmup_fraction=WARMUP / self.most_steps,
            kl_weight=self.kl,
            citation_weight=self.citation,
            null_weight=self.null,
            harm_weight=self.harm,
            sparsity_weight=self.sparsity,
            gold_absent=self.gold_absent,
            seed=self.seed,
        )
