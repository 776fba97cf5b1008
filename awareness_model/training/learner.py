"""The losses of a decoder over a user's batch, with a teacher model in the room.

    total = CE + kl · KL(teacher ‖ student) + citation · (−log mass on gold) + null · (−log ∅ mass)

The teacher is any callable with `.logits`, over the same vocabulary; it runs without gradients and
is never changed. It may read the documents as text while the student reads them as memory. Citation
counts on rows that have a gold slot, null on rows whose batch names gold slots and has none there;
both are 0 for batches without `gold`. Limits: the teacher's whole distribution is held for the
scored tokens (top-k from files is `loss.topk_kl`); no sparsity term, and no tokens held to the base
model.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import answered
from awareness_model.loss import (
    Losses,
    Weights,
    masked_mean,
    negative_log_mass,
    weighed,
    whole_kl,
)
from awareness_model.training.rows import Rows


class Learner:
    """A decoder with its losses: from a batch to numbers."""

    def __init__(self, decoder: ReasoningDecoder, weights: Weights, teacher: Any = None) -> None:
        self.decoder, self.weights = decoder, weights
        self.teacher = teacher if weights.kl else None

    def __call__(self, batch: Rows) -> Losses:
        """Return the losses of a batch.

        Raises:
            UserError: the teacher has another vocabulary.
        """
        logits, mass = answered(
            self.decoder,
            batch.input_ids,
            batch.at,
            batch.memory,
            attention_mask=batch.attention_mask,
            want_mass=batch.gold is not None,
        )
        ce = F.cross_entropy(logits.float(), batch.targets)
        kl = torch.zeros_like(ce) if self.teacher is None else _kl(self.teacher, batch, logits)
        citation, null = _mass_losses(batch, mass, ce)
        none = torch.zeros_like(ce)
        return weighed(self.weights, ce, kl, citation, null, harm=none, sparsity=none)


def _kl(teacher: Any, rows: Rows, logits: Tensor) -> Tensor:
    """Return the mean KL over the tokens that the teacher predicts too."""
    taught = rows.teaching.positions >= 0
    if not taught.any():
        return logits.new_zeros(())
    at = rows.at[0][taught], rows.teaching.positions[taught]
    said = _said(teacher, rows, at).to(logits.device)
    if said.shape[-1] != logits.shape[-1]:
        raise UserError(
            f"the teacher predicts {said.shape[-1]} tokens and the student {logits.shape[-1]}: "
            "take a teacher with the student's tokenizer and vocabulary"
        )
    return whole_kl(logits[taught], said).mean()


@torch.no_grad()
def _said(teacher: Any, rows: Rows, at: tuple[Tensor, Tensor]) -> Tensor:
    """Return the teacher's logits at (rows, positions)."""
    parameters = teacher.parameters() if isinstance(teacher, torch.nn.Module) else iter(())
    first = next(parameters, rows.input_ids)
    ids = rows.teaching.input_ids.to(first.device)
    mask = rows.teaching.attention_mask.to(first.device)
    said: Tensor = teacher(input_ids=ids, attention_mask=mask).logits
    return said[at[0].to(said.device), at[1].to(said.device)]


def _mass_losses(rows: Rows, mass: Tensor | None, zero_like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the citation and null losses."""
    if mass is None or rows.gold is None:
        return torch.zeros_like(zero_like), torch.zeros_like(zero_like)
    gold = rows.gold[rows.at[0]]
    there = gold.any(1)
    citation = masked_mean(negative_log_mass((mass[..., 1:] * gold).sum(-1)), there)
    return citation, masked_mean(negative_log_mass(mass[..., 0]), ~there)
