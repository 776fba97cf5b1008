"""Losses of the reader, over the answer tokens of a batch and nothing else.

    total = CE + kl · KL(teacher ‖ student) + citation · (−log mass on gold) + null · (−log ∅ mass)

Shapes: N answer tokens of all samples in one row, V vocabulary, k teacher alternatives, L reading
layers. Attention mass is averaged over heads before it comes here; the logarithm is taken per layer
and token. Every part is a mean over the tokens it applies to, and 0 where it applies to none, so
parts of different batches can be compared. Limits: no sparsity term, no weights per token.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MASS_FLOOR = 1e-6
"""Least attention mass inside a logarithm: bounds one token's loss at 13.8 nats."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the student said at each answer token, and what it should have said."""

    logits: Tensor
    """[N, V], any float type; the losses compute in fp32."""
    targets: Tensor
    """[N] token ids."""
    topk_ids: Tensor
    """[N, k] the teacher's alternatives; a filler repeats the row's first id."""
    topk_logprobs: Tensor
    """[N, k] their natural-log probabilities; −inf for a filler."""
    tail_mass: Tensor
    """[N] teacher probability outside the alternatives."""
    taught: Tensor
    """[N] bool: the token has a teacher distribution."""
    gold_mass: Tensor
    """[L, N] attention mass on gold documents."""
    null_mass: Tensor
    """[L, N] attention mass on the null slot."""
    gold_visible: Tensor
    """[N] bool: a gold document is among the visible ones."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the parts beside cross-entropy."""

    kl: float = 1.0
    citation: float = 0.3
    null: float = 0.1


@dataclass(frozen=True, slots=True)
class Losses:
    """The parts and their weighted sum; 0-d tensors in nats."""

    total: Tensor
    ce: Tensor
    kl: Tensor
    citation: Tensor
    null: Tensor

    def values(self) -> dict[str, float]:
        """Return the parts as plain numbers, the sum as `loss`."""
        return {
            "loss": self.total.item(),
            "ce": self.ce.item(),
            "kl": self.kl.item(),
            "citation": self.citation.item(),
            "null": self.null.item(),
        }


def losses(answers: Answers, weights: Weights) -> Losses:
    """Return all parts for a batch.

    Raises:
        ValueError: the batch has no answer token.
    """
    if answers.targets.numel() == 0:
        raise ValueError("a batch without answer tokens has no loss")
    logits = answers.logits.float()
    ce = F.cross_entropy(logits, answers.targets)
    kl = masked_mean(topk_kl(logits, answers), answers.taught)
    citation = masked_mean(negative_log_mass(answers.gold_mass), answers.gold_visible)
    null = masked_mean(negative_log_mass(answers.null_mass), ~answers.gold_visible)
    total = ce + weights.kl * kl + weights.citation * citation + weights.null * null
    return Losses(total, ce, kl, citation, null)


def topk_kl(logits: Tensor, answers: Answers) -> Tensor:
    """Return forward KL(teacher ‖ student) per token, [N] nats.

    Both distributions are cut to k+1 buckets: the teacher's k alternatives and one for all other
    tokens (top-50 probabilities and one bucket: CEPED, `princeton-nlp/CEPE`). The student's last
    bucket is summed from its logits, since 1 − Σq has no digits left when Σq is near 1.
    """
    total = logits.logsumexp(-1)
    rest = logits.scatter(-1, answers.topk_ids, float("-inf")).logsumexp(-1)
    student = torch.cat((logits.gather(-1, answers.topk_ids), rest[:, None]), -1) - total[:, None]
    tail = answers.tail_mass.clamp_min(0.0)
    teacher = torch.cat((answers.topk_logprobs.exp(), tail[:, None]), -1).float()
    log_teacher = torch.cat((answers.topk_logprobs, tail.clamp_min(1e-30).log()[:, None]), -1)
    gap = torch.where(teacher > 0, log_teacher - student, 0.0)
    return (teacher * gap).sum(-1)


def whole_kl(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return forward KL(teacher ‖ student) per token, [N] nats, from logits [N, V] of both."""
    student, target = logits.float().log_softmax(-1), teacher.float().log_softmax(-1)
    return F.kl_div(student, target, reduction="none", log_target=True).sum(-1)


def negative_log_mass(mass: Tensor) -> Tensor:
    """Return −log of attention mass, averaged over layers: [L, N] → [N] nats."""
    return -mass.float().clamp_min(MASS_FLOOR).log().mean(0)


def masked_mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the chosen tokens; 0 (with no gradient) where none is chosen."""
    kept = torch.where(where, values, 0.0)
    return kept.sum() / where.sum().clamp_min(1)
