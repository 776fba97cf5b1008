"""What trains over the kv layout: small corrections of how memory is asked and of what it answers.

The untrained kv reader asks memory with the query that asks a row's own tokens. Here each reading
layer learns, for memory alone:

    query    q ← exp(τ)·(q + B·A·rms(q)), before RoPE; τ per head (KBLaM has a separate query head)
    slots    [k, v] ← [k, v] + B·A·rms[k, v], before RoPE: what a slot's value says can make it
             easier to find
    offset   a number per head on the logits of memory slots, none on the sink
    lead     which document a row has just been speaking of, by its tokens (below), holds heads back
             from all others: logit −Σ lead_i·(best score_i − own score_i) for each decay i

The scores are a late interaction (arXiv 2004.12832) of values: one low layer's value of each own
token is compared with that layer's values in a document, the best cosine counts, and tokens count
by how lately they came, e^(−decay·distance). Own values lie in the cache, so that decoding token by
token sees what a whole pass sees. Untrained, they name the right one of eight needles 16 of 16
times.

All of it is zero at the start but the inner factors, so that training begins at the untrained
reader; a layer without corrections is read by the untrained path itself, bit for bit. The base
model is untouched: without memory nothing of this runs.

Shapes: `[C, H, T, D]` queries, `[B, G, N, D]` memory of N = 1 + M columns, the sink first; R rank.
Limits: one rank for all; a pair of keys and values is corrected by itself, never by its neighbours.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from awareness_model.memory.batch import Memory

EPSILON = 1e-6
DECAYS = (0.03, 0.1, 0.3)
WINDOW = 128
"""Own tokens whose values are compared."""


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

    def is_zero(self) -> bool:
        """Whether nothing is corrected."""
        parts = (self.query_out, self.slot_out, self.temperature, self.offset, self.lead)
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
        self.match_layer = reading_layers[len(reading_layers) // 7]

    @torch.no_grad()
    def weaken(self, strength: float) -> None:
        """Scale all corrections but the leads: 1 leaves them, 0 leaves the leads alone."""
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


@dataclass(frozen=True, slots=True)
class Match:
    """Memory's side of the comparison."""

    layer: int
    states: Tensor
    """Values, each of length 1, of the slots in that layer, `[B, M, G·D]`."""
    document: Tensor
    """Index of the slot's document, −1 on padding, `[B, M]`."""

    @classmethod
    def of(cls, layer: int, memory: Memory) -> "Match":
        """Return a memory's side, by that layer's values."""
        document = memory.document.to(memory.mask.device).masked_fill(~memory.mask, -1)
        return cls(layer, F.normalize(memory.values[:, :, layer].flatten(2), dim=-1), document)

    @torch.no_grad()
    def behind(self, own: Tensor, visible: Tensor) -> Tensor:
        """Return how far each column's document is behind the best, 0 or less; the sink's 0.

        Args:
            own: values of a row's own tokens, `[C, G, S, D]`.
            visible: which of them each query sees, `[C, T, S]`.

        Returns:
            `[C, I, T, N]`, by decay.
        """
        times = len(own) // len(self.states)
        states = self.states.repeat_interleave(times, dim=0)
        document = self.document.repeat_interleave(times, dim=0)
        visible = visible.expand(len(own), -1, -1)
        best = self._best(own, states, document)
        since = visible.flip(-1).cumsum(-1).flip(-1) - 1
        near = visible & (since < WINDOW)
        weights = [torch.exp(-decay * since) * near for decay in DECAYS]
        score = torch.stack([weight.to(best.dtype) @ best for weight in weights], dim=1)
        behind = score - score.amax(-1, keepdim=True)
        place = document.clamp(min=0)[:, None, None].expand(-1, *score.shape[1:3], -1)
        return F.pad(behind.gather(-1, place), (1, 0))

    @staticmethod
    def _best(own: Tensor, states: Tensor, document: Tensor) -> Tensor:
        """Return each own token's best cosine in each document, `[C, S, K]`."""
        flat = F.normalize(own.transpose(1, 2).flatten(2), dim=-1)
        alike = flat @ states.transpose(1, 2)
        held = max(int(document.max()) + 1, 1)
        place = (document % (held + 1))[:, None].expand(-1, alike.shape[1], -1)
        best = alike.new_full((*alike.shape[:2], held + 1), -1.0)
        return best.scatter_reduce(-1, place, alike, "amax")[..., :held]


def _rms(states: Tensor) -> Tensor:
    return states * (states.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
