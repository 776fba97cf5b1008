"""Losses of the reader, over the answer tokens of a batch and nothing else.

    total = CE + kl · KL(teacher ‖ student) + citation · (−log mass on gold) + null · (−log ∅ mass)
          + harm · KL(base ‖ student) + sparsity · H(mass)

CE and KL are those of tokens whose answer can be known. Where the base model's words are given, a
token without a visible gold document cannot be: it is held to what the base says without memory,
so that nothing is made up (reference/model.md, section 3.5, stage 1). A text in memory that is read
word by word (transmission) is a batch whose answers are all its tokens: its loss is CE.

Shapes: N answer tokens of all samples in one row, V vocabulary, k teacher alternatives, L reading
layers. Attention mass is averaged over heads before it comes here; the logarithm is taken per layer
and token. Every part is a mean over the tokens it applies to, and 0 where it applies to none, so
parts of different batches can be compared. Limits: no weights per token; no contrastive term, since
negatives are documents that are attended to (`feed`, `training.transmission`).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.config import TrainingConfig

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
    entropy: Tensor | None = None
    """[L, N] of the attention mass, in nats; None: not asked for."""
    base: Tensor | None = None
    """[N, V] what the base model says without memory; None: no token is held to it."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the parts beside cross-entropy."""

    kl: float = 1.0
    citation: float = 0.3
    null: float = 0.1
    harm: float = 1.0
    sparsity: float = 0.0

    @classmethod
    def of(cls, training: TrainingConfig) -> "Weights":
        """Return the weights that the settings name."""
        return cls(
            training.kl_weight,
            training.citation_weight,
            training.null_weight,
            training.harm_weight,
            training.sparsity_weight,
        )


@dataclass(frozen=True, slots=True)
class Losses:
    """The parts and their weighted sum; 0-d tensors in nats."""

    total: Tensor
    ce: Tensor
    kl: Tensor
    citation: Tensor
    null: Tensor
    harm: Tensor
    sparsity: Tensor

    def values(self) -> dict[str, float]:
        """Return the parts as plain numbers, the sum as `loss`."""
        return {
            "loss": self.total.item(),
            "ce": self.ce.item(),
            "kl": self.kl.item(),
            "citation": self.citation.item(),
            "null": self.null.item(),
            "harm": self.harm.item(),
            "sparsity": self.sparsity.item(),
        }


def losses(answers: Answers, weights: Weights) -> Losses:
    """Return all parts for a batch.

    Raises:
        ValueError: the batch has no answer token.
    """
    if answers.targets.numel() == 0:
        raise ValueError("a batch without answer tokens has no loss")
    logits, there = answers.logits.float(), answers.gold_visible
    known, harm = torch.ones_like(there), logits.new_zeros(())
    if answers.base is not None:
        known, harm = there, masked_mean(whole_kl(logits, answers.base), ~there)
    ce = masked_mean(F.cross_entropy(logits, answers.targets, reduction="none"), known)
    kl = masked_mean(topk_kl(logits, answers), answers.taught & known)
    citation = masked_mean(negative_log_mass(answers.gold_mass), there)
    null = masked_mean(negative_log_mass(answers.null_mass), ~there)
    sparsity = logits.new_zeros(()) if answers.entropy is None else answers.entropy.mean()
    return weighed(weights, ce, kl, citation, null, harm, sparsity)


def weighed(
    weights: Weights,
    ce: Tensor,
    kl: Tensor,
    citation: Tensor,
    null: Tensor,
    harm: Tensor,
    sparsity: Tensor,
) -> Losses:
    """Return the parts with their weighted sum."""
    total = ce + weights.kl * kl + weights.citation * citation + weights.null * null
    total = total + weights.harm * harm + weights.sparsity * sparsity
    return Losses(total, ce, kl, citation, null, harm, sparsity)


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


def entropy(mass: Tensor) -> Tensor:
    """Return the entropy of attention mass in nats, `[…, M]` → `[…]`: 0 where one slot has all."""
    return torch.special.entr(mass.float()).sum(-1)


def masked_mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the chosen tokens; 0 (with no gradient) where none is chosen."""
    kept = torch.where(where, values, 0.0)
    return kept.sum() / where.sum().clamp_min(1)
