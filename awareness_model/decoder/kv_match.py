"""Which document a row has just been speaking of, and whether of any, told without training.

A late interaction (arXiv 2004.12832) of values: one low layer's value of each own token is compared
with that layer's values in a document, the best cosine counts, and tokens count by how lately they
came, e^(−decay·distance). Two things are told of it, by decay:

    behind   the sum's distance from the best document's, 0 or less: relative, one is always best
    fit      how far the best document's cosines are above those of an arbitrary document, in
             standard deviations, mean over tokens: absolute. And how far it is above the mean of
             the documents there.

Common tokens are like something in every document. What an arbitrary document's best cosine is, its
mean and its deviation, is linear in the token's own value to R² 0.90 and 0.67 (`reader.usual` fits
it), so no document must be kept for it. Own values lie in the cache, so that decoding token by
token sees what a whole pass sees.

Shapes: as in `kv_reader`; I decays, K documents. Limits: lexical, and by each token alone; no
gradient passes; the last `WINDOW` own tokens.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.memory.batch import Memory

DECAYS = (0.03, 0.1, 0.3)
WINDOW = 128
"""Own tokens whose values are compared."""
FITS = 2 * len(DECAYS) + 1
"""Numbers that tell whether any document fits; the last is 1."""
LEAST, MOST = -4.0, 8.0
"""Bounds of a token's deviations from the usual."""
SPREAD = 0.02
"""Added to the usual deviation, so that a token that is alike everywhere cannot stand out."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a pass found."""

    fit: Tensor
    """Whether any document fits, `[C, T, FITS]`."""
    behind: Tensor | None = None
    """How far each column's document is behind the best, 0 or less; the sink's 0. `[C, I, T, N]`"""


@dataclass(frozen=True, slots=True)
class Match:
    """Memory's side of the comparison."""

    layer: int
    states: Tensor
    """Values, each of length 1, of the slots in that layer, `[B, M, G·D]`."""
    document: Tensor
    """Index of the slot's document, −1 on padding, `[B, M]`."""
    ranks: bool
    """Whether it tells how far documents are behind, too."""
    usual: Tensor
    """What foretells a token's best cosine in an arbitrary document and the log of its deviation,
    `[G·D + 1, 2]`."""

    @classmethod
    def of(cls, layer: int, memory: Memory, usual: Tensor, ranks: bool = True) -> "Match":
        """Return a memory's side, by that layer's values."""
        document = memory.document.to(memory.mask.device).masked_fill(~memory.mask, -1)
        states = F.normalize(memory.values[:, :, layer].flatten(2), dim=-1)
        return cls(layer, states, document, ranks, usual)

    @torch.no_grad()
    def heard(self, own: Tensor, visible: Tensor) -> Heard:
        """Return what a row's own tokens say of the documents.

        Args:
            own: values of a row's own tokens, `[C, G, S, D]`.
            visible: which of them each query sees, `[C, T, S]`.
        """
        times = len(own) // len(self.states)
        document = self.document.repeat_interleave(times, dim=0)
        since = visible.flip(-1).cumsum(-1).flip(-1) - 1
        near = visible & (since < WINDOW)
        begin, end = _span(near)
        near, since = near[..., begin:end], since[..., begin:end]
        flat = F.normalize(own[:, :, begin:end].transpose(1, 2).flatten(2), dim=-1)
        best = best_cosines(flat, self.states.repeat_interleave(times, dim=0), document)
        weights = torch.stack([torch.exp(-decay * since) * near for decay in DECAYS], dim=1)
        fit = self._fit(weights.float(), flat, best.float(), document)
        if not self.ranks:
            return Heard(fit)
        return Heard(fit, self._behind(weights.to(best.dtype) @ best[:, None], document))

    @staticmethod
    def _behind(score: Tensor, document: Tensor) -> Tensor:
        """Return `Heard.behind` from scores `[C, I, T, K]`."""
        behind = score - score.amax(-1, keepdim=True)
        place = document.clamp(min=0)[:, None, None].expand(-1, *score.shape[1:3], -1)
        return F.pad(behind.gather(-1, place), (1, 0))

    def _fit(self, weights: Tensor, flat: Tensor, best: Tensor, document: Tensor) -> Tensor:
        """Return `Heard.fit` from weights `[C, I, T, S]` and best cosines `[C, S, K]`."""
        known = self.usual.float()
        mean, spread = (flat.float() @ known[:-1] + known[-1]).unbind(-1)
        spread = spread.exp() + SPREAD
        above = ((best - mean[..., None]) / spread[..., None]).clamp(LEAST, MOST)
        share = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
        score = share @ above[:, None]
        there = _there(document, best.shape[-1])[:, None, None]
        first = score.masked_fill(~there, LEAST).amax(-1)
        mean = (score * there).sum(-1) / there.sum(-1).clamp(min=1)
        told = torch.cat([first, first - mean, torch.ones_like(first[:, :1])], dim=1)
        return told.transpose(1, 2)


def best_cosines(flat: Tensor, states: Tensor, document: Tensor) -> Tensor:
    """Return each own token's best cosine in each document, `[C, S, K]`.

    Args:
        flat: own values of length 1, `[C, S, G·D]`.
        states: the slots' values of length 1, `[C, M, G·D]`.
        document: the slots' documents, −1 on padding, `[C, M]`.
    """
    alike = flat @ states.transpose(1, 2)
    held = max(int(document.max()) + 1, 1)
    place = (document % (held + 1))[:, None].expand(-1, alike.shape[1], -1)
    best = alike.new_full((*alike.shape[:2], held + 1), -1.0)
    return best.scatter_reduce(-1, place, alike, "amax")[..., :held]


def _span(near: Tensor) -> tuple[int, int]:
    """Return the first and the last own token, plus one, that any query counts."""
    counted = near.flatten(0, 1).any(0).nonzero()
    return (int(counted[0]), int(counted[-1]) + 1) if len(counted) else (0, 1)


def _there(document: Tensor, held: int) -> Tensor:
    """Return which documents a row has, `[C, K]`."""
    return (document[:, :, None] == torch.arange(held, device=document.device)).any(1)
