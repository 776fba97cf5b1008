"""What trains over the kv layout: small corrections of how memory is asked and of what it answers.

The untrained kv reader asks memory with the query that asks a row's own tokens. Here each reading
layer learns, for memory alone:

    query    q ← exp(τ)·(q + B·A·rms(q)), before RoPE; τ per head (KBLaM has a separate query head)
    slots    [k, v] ← [k, v] + B·A·rms[k, v], before RoPE: what a slot's value says can make it
             easier to find
    offset   a number per head on the logits of memory slots, none on the sink
    lead     which document a row has just been speaking of, by its tokens (`kv_match`), holds heads
             back from all others: logit −Σ lead_i·(best score_i − own score_i) for each decay i
    gate     whether any document fits at all, and what a head asks for, weigh all of memory, the
             sink apart: logit + log 2σ(x), x linear in both

The match needs no training: it names the right one of eight needles 16 of 16 times, and what it
says of the best document's fit parts memory that decides a line from another package's
(docs/research-log.md, "When no document fits").

All of it is zero at the start but the inner factors, so that training begins at the untrained
reader; a layer without corrections is read by the untrained path itself, bit for bit. The base
model is untouched: without memory nothing of this runs.

Shapes: `[C, H, T, D]` queries, `[B, G, N, D]` memory of N = 1 + M columns, the sink first; R rank.
Limits: one rank for all; a pair of keys and values is corrected by itself, never by its neighbours.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from awareness_model.decoder.kv_match import DECAYS, FITS, Match
from awareness_model.memory.batch import Memory

EPSILON = 1e-6


class LayerReader(nn.Module):
    """The corrections of one layer."""

    def __init__(self, heads: int, groups: int, head_dim: int, rank: int) -> None:
        super().__init__()
        asked, slot = heads * head_dim, groups * head_dim
        self.query_in = nn.Parameter(torch.randn(asked, rank) * asked**-0.5)
        self.query_out = nn.Parameter(torch.zeros(rank, asked))
        self.slot_in = nn.Parameter(torch.randn(2 * slot, rank) * (2 * slot) ** -0.5)
        self.slot_out = nn.Parameter(torch.zeros(rank, 2 * slot))
        self.temperature = nn.Parameter(torch.zeros(heads))
        self.offset = nn.Parameter(torch.zeros(heads))
        self.lead = nn.Parameter(torch.zeros(heads, len(DECAYS)))
        self.gate = nn.Parameter(torch.zeros(heads, 2, FITS + head_dim))

    def is_zero(self) -> bool:
        """Whether nothing is corrected."""
        small = (self.temperature, self.offset, self.lead, self.gate)
        parts = (self.query_out, self.slot_out, *small)
        return not any(bool(part.any()) for part in parts)

    def slots(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return corrected keys before RoPE, and values, `[B, M, G, D]`."""
        seen = torch.cat([_rms(keys.flatten(2)), _rms(values.flatten(2))], dim=-1)
        change = seen @ self.slot_in.to(seen.dtype) @ self.slot_out.to(seen.dtype)
        for_keys, for_values = change.chunk(2, dim=-1)
        return keys + for_keys.view_as(keys), values + for_values.view_as(values)

    def query(self, plain: Tensor) -> Tensor:
        """Return the change of queries before RoPE, `[C, H, T, D]`."""
        flat = _rms(plain.transpose(1, 2).flatten(2))
        change = flat @ self.query_in.to(flat.dtype) @ self.query_out.to(flat.dtype)
        return change.unflatten(2, (plain.shape[1], -1)).transpose(1, 2)

    def scale(self) -> Tensor:
        """Return what queries that ask memory are multiplied with, `[H, 1, 1]`."""
        return self.temperature.exp()[:, None, None]

    def logit_offset(self, columns: int) -> Tensor:
        """Return what is added to logits over memory, `[H, 1, N]`."""
        on_slots = self.offset[:, None, None].expand(-1, 1, columns - 1)
        return torch.cat([torch.zeros_like(on_slots[..., :1]), on_slots], dim=-1)

    def held_back(self, behind: Tensor) -> Tensor:
        """Return what is added to logits over memory, `[C, H, T, N]`, for columns of documents that
        are `behind` the best one, `[C, I, T, N]`, by decay."""
        return torch.einsum("citn,hi->chtn", behind, self.lead.to(behind.dtype))

    def gated(self, fit: Tensor, plain: Tensor, columns: int) -> Tensor:
        """Return what is added to logits over memory, `[C, H, T, N]`, for whether any document fits
        `[C, T, FITS]` and for queries before RoPE `[C, H, T, D]`."""
        for_fit, for_asked = self.gate.float().split([FITS, plain.shape[-1]], dim=-1)
        asked = torch.einsum("chtd,hkd->chtk", _rms(plain).float(), for_asked)
        open_ = asked / math.sqrt(plain.shape[-1]) + torch.einsum("ctf,hkf->chtk", fit, for_fit)
        sink, slots = (math.log(2) + F.logsigmoid(open_)).split(1, dim=-1)
        return torch.cat([sink, slots.expand(-1, -1, -1, columns - 1)], dim=-1).to(plain.dtype)


class KVReader(nn.Module):
    """The corrections of all reading layers."""

    def __init__(self, base: Any, reading_layers: tuple[int, ...], rank: int) -> None:
        super().__init__()
        config = base.config
        head_dim = getattr(config, "head_dim", None)
        head_dim = head_dim or config.hidden_size // config.num_attention_heads
        heads, groups = config.num_attention_heads, config.num_key_value_heads
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = {str(n): LayerReader(heads, groups, head_dim, rank) for n in reading_layers}
        self.layers = nn.ModuleDict(layers)
        self.match_layers = (reading_layers[0], reading_layers[len(reading_layers) // 7])
        self.usual = nn.Parameter(torch.zeros(2, groups * head_dim + 1, 2))

    def matches(self, memory: Memory) -> tuple[Match, ...]:
        """Return memory's side of the comparisons: what the first layer can tell serves until the
        second one's is there, which alone ranks documents."""
        return tuple(
            Match.of(layer, memory, usual, ranks=n > 0)
            for n, (layer, usual) in enumerate(zip(self.match_layers, self.usual, strict=True))
        )

    @torch.no_grad()
    def weaken(self, strength: float) -> None:
        """Scale all corrections but leads and gates: 1 leaves them, 0 leaves those alone."""
        for name, part in self.named_parameters():
            if name.endswith(("query_out", "slot_out", "temperature", "offset")):
                part.mul_(strength)

    def halve(self) -> None:
        """Hold the matrices in bfloat16; they are used in the states' own type."""
        for layer in self.layers.values():
            for name, part in layer.named_parameters():
                if name.endswith(("_in", "_out")):
                    part.data = part.data.bfloat16()

    def at(self, layer: int) -> LayerReader | None:
        """Return a layer's corrections, or None where it reads as untrained.

        While gradients are on every layer corrects, zero or not, so that it can learn.
        """
        found = self.layers[str(layer)]
        assert isinstance(found, LayerReader)
        return None if not torch.is_grad_enabled() and found.is_zero() else found


def _rms(states: Tensor) -> Tensor:
    return states * (states.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
