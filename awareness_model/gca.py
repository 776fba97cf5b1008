"""The maths of reading memory: gated cross-attention.

    h ← h + tanh(α) · W_o · Attn(RMS_q(W_q·norm(h)), [k∅; RMS_k(W_k·K)], [v∅; W_v·V])

Shapes: B rows of memory, C = c·B rows of queries (c beams or samples read one memory), T query
tokens, M memory slots, N = M + 1 columns with the null slot first, H query heads, G key/value heads
(G divides H, R = H / G), D head_dim, d hidden size, E latent size.

The caller gives norm(h) and adds the result to the un-normed stream. Memory keys carry no RoPE, so
the order of documents cannot matter. α is per head, float32 and zero at first, which leaves the
base model exactly as it was; gates and norm gains stay float32 because steps of 1e-4 vanish in
bfloat16 near 1 (werg/awareness c5510ca). Projections are copied from the layer's self-attention
(CEPE's initialisation, arXiv 2402.16617) with the biases of q, k and v where a family has them (one
of W_o would pass a closed gate), and trained apart from it. No feed-forward part.

Memory is never copied for the heads or beams that share it: their queries are packed instead.
"""

import math
from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedCrossAttention(nn.Module):
    """Read memory slots from the hidden states of one layer."""

    def __init__(
        self,
        hidden: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        latent: int,
        biases: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.q_proj = nn.Linear(hidden, heads * head_dim, bias="q_proj" in biases)
        self.k_proj = nn.Linear(latent, kv_heads * head_dim, bias="k_proj" in biases)
        self.v_proj = nn.Linear(latent, kv_heads * head_dim, bias="v_proj" in biases)
        self.o_proj = nn.Linear(heads * head_dim, hidden, bias=False)
        for projection in (self.k_proj, self.v_proj):
            nn.init.xavier_uniform_(projection.weight)
        self.q_gain = nn.Parameter(torch.ones(head_dim, dtype=torch.float32))
        self.k_gain = nn.Parameter(torch.ones(head_dim, dtype=torch.float32))
        self.null_key = nn.Parameter(torch.zeros(kv_heads, head_dim, dtype=torch.float32))
        self.null_value = nn.Parameter(torch.zeros(kv_heads, head_dim, dtype=torch.float32))
        self.alpha = nn.Parameter(torch.zeros(heads, dtype=torch.float32))

    @classmethod
    def from_self_attention(
        cls, attention: Any, latent: int | None = None
    ) -> "GatedCrossAttention":
        """Copy the projections (and q/k norm gains, where a family has them) of self-attention.

        W_k and W_v are copied when latents are the decoder's own states (`latent` equal to the
        hidden size, or None), else Xavier and without biases.
        """
        hidden, head_dim = attention.q_proj.in_features, attention.head_dim
        heads = attention.q_proj.out_features // head_dim
        kv_heads = attention.k_proj.out_features // head_dim
        copied = ["q_proj", *(["k_proj", "v_proj"] if latent in (None, hidden) else [])]
        biases = [name for name in copied if getattr(attention, name).bias is not None]
        made = cls(hidden, heads, kv_heads, head_dim, latent or hidden, biases)
        weight = attention.q_proj.weight
        made.to(weight.device)
        for projection in (made.q_proj, made.k_proj, made.v_proj, made.o_proj):
            projection.to(weight.dtype)
        with torch.no_grad():
            for name in (*copied, "o_proj"):
                getattr(made, name).weight.copy_(getattr(attention, name).weight)
            for name in biases:
                getattr(made, name).bias.copy_(getattr(attention, name).bias)
            for norm, gain in (("q_norm", made.q_gain), ("k_norm", made.k_gain)):
                if hasattr(attention, norm):
                    gain.copy_(getattr(attention, norm).weight)
        return made

    def project(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the heads of latents `[B, M, E]`, the null slot first: keys and values, each
        `[B, G, N, D]`. They depend on nothing but the memory: one pass serves a generation."""
        key = _rms(_split(self.k_proj(keys), self.head_dim), self.k_gain)
        value = _split(self.v_proj(values), self.head_dim)
        return _prepend(self.null_key, key), _prepend(self.null_value, value)

    def forward(
        self,
        states: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Tensor,
        *,
        projected: bool = False,
        want_mass: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return (what to add to the stream `[C, T, d]`, attention mass `[C, T, N]` or None).

        Args:
            states: the layer's normed input, `[C, T, d]`.
            keys, values: latents, `[B, M, E]`, or with `projected` what `project` made of them.
            bias: added to the logits, `[B, N]`, from `slot_bias`.
            want_mass: also return the attention probabilities, mean over heads, float32; column 0
                is the null slot.
        """
        query = _rms(_split(self.q_proj(states), self.head_dim), self.q_gain)
        key, value = (keys, values) if projected else self.project(keys, values)
        packed, added = pack(query, key), bias[:, None, None, :].to(query.dtype)
        mass = None
        if want_mass:
            logits = packed @ key.transpose(2, 3) / math.sqrt(self.head_dim) + added
            share = logits.float().softmax(-1)
            read, mass = share.to(value.dtype) @ value, unpack(share, query).mean(1)
        else:
            mask = added.expand(-1, 1, packed.shape[2], -1)
            read = F.scaled_dot_product_attention(packed, key, value, attn_mask=mask)
        gated = unpack(read, query) * torch.tanh(self.alpha).to(read.dtype)[:, None, None]
        return self.o_proj(gated.transpose(1, 2).flatten(2)), mass


def pack(query: Tensor, key: Tensor) -> Tensor:
    """Return queries `[C, H, T, D]` as `[B, G, c·R·T, D]`, beside the keys `[B, G, N, D]` that they
    share: R = H / G heads of a group, c = C / B consecutive rows of one memory.

    Raises:
        ValueError: the rows of queries are no multiple of the memory's.
    """
    rows, groups = key.shape[:2]
    times, left = divmod(len(query), rows)
    if left:
        raise ValueError(f"memory of {rows} rows for a batch of {len(query)}")
    if times > 1:
        query = query.unflatten(1, (groups, -1)).unflatten(0, (rows, times)).transpose(1, 2)
    return query.reshape(rows, groups, -1, query.shape[-1])


def unpack(packed: Tensor, query: Tensor) -> Tensor:
    """Return `[B, G, c·R·T, X]` as `[C, H, T, X]`: what `pack` did to the query, undone."""
    rows, groups = packed.shape[:2]
    times = len(query) // rows
    if times > 1:
        packed = packed.reshape(rows, groups, times, -1, packed.shape[-1]).transpose(1, 2)
    return packed.reshape(*query.shape[:3], packed.shape[-1])


def _split(states: Tensor, head_dim: int) -> Tensor:
    """`[B, n, heads·D]` to `[B, heads, n, D]`."""
    return states.unflatten(-1, (-1, head_dim)).transpose(1, 2)


def _rms(states: Tensor, gain: Tensor, epsilon: float = 1e-6) -> Tensor:
    """RMS norm over head_dim in float32 at least, returned in the states' dtype."""
    wide = torch.promote_types(states.dtype, torch.float32)
    return F.rms_norm(states.to(wide), gain.shape, gain.to(wide), epsilon).to(states.dtype)


def _prepend(null: Tensor, states: Tensor) -> Tensor:
    """Put the null slot `[G, D]` before `[B, G, M, D]`."""
    first = null.to(states.dtype)[None, :, None].expand(len(states), -1, -1, -1)
    return torch.cat([first, states], dim=2)
