"""What is added to attention's logits over memory: visibility, length, preference.

Shapes: B rows of memory, C rows of queries, T query tokens, M memory slots, N = M + 1 columns with
the null slot (latent) or the sink (kv) first, S keys of a row's own tokens.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LENGTH_SCALE = 64.0
"""C of the length shift `+ log C − log M` (KBLaM's form: `llama3_model.py`, lines 347–352): all
memory slots together weigh like C slots, however many there are. 64 is about one small document."""


def slot_bias(mask: Tensor, log_bias: Tensor | None = None) -> Tensor:
    """Return the logit bias of [null slot, memory slots], float32, `[B, N]`.

    A visible slot gets log C − log M with M the row's visible slots, plus its `log_bias`; a masked
    one −inf; the null slot 0.

    Args:
        mask: True where a slot is visible, `[B, M]`.
        log_bias: the selector's preference per slot, `[B, M]`.
    """
    visible = mask.sum(1, keepdim=True).clamp(min=1).float()
    shift = (math.log(LENGTH_SCALE) - visible.log()).expand(mask.shape)
    return F.pad(_hide(shift if log_bias is None else shift + log_bias, mask), (1, 0))


def join_bias(mask: Tensor, log_bias: Tensor | None = None) -> Tensor:
    """Return the logit bias of [sink, memory slots] for the join with self-attention, `[B, N]`.

    No shift: the softmax over [memory, self] must be that of the text in context. The sink (the
    model's first token) is visible exactly where a row has memory.
    """
    bias = _hide(
        torch.zeros(mask.shape, device=mask.device) if log_bias is None else log_bias, mask
    )
    sink = _hide(torch.zeros(len(mask), 1, device=mask.device), mask.any(1, keepdim=True))
    return torch.cat([sink, bias], dim=1)


def joined_mask(bias: Tensor, own: Tensor | None, queries: int, keys: int) -> Tensor:
    """Return the additive mask `[B, 1, T, N + S]` over [memory, self-attention's keys].

    One softmax over both is exactly their separate results joined by their log-sum-exps, and needs
    no statistics that SDPA does not return.

    Args:
        bias: the memory's logit bias, `[B, N]`.
        own: self-attention's mask `[B, 1, T, S]`, boolean (True = visible) or additive; None means
            causal for T > 1 and everything visible for one query.
        queries: T.
        keys: S.
    """
    added = own_mask(own, queries, keys, bias)
    if added is None:
        added = bias.new_zeros(1, 1, 1, keys)
    memory = bias[:, None, None, :].expand(-1, 1, queries, -1)
    return torch.cat([memory, added.expand(len(bias), 1, -1, -1).to(bias.dtype)], dim=-1)


def own_mask(own: Tensor | None, queries: int, keys: int, bias: Tensor) -> Tensor | None:
    """Return self-attention's mask, see `joined_mask`, as what is added to logits, on the device
    and in the dtype of `bias`; None where one query sees every key."""
    if own is None:
        if queries == 1:
            return None
        row = torch.arange(queries, device=bias.device)[:, None]
        own = (torch.arange(keys, device=bias.device)[None] <= row)[None, None]
    if own.dtype == torch.bool:
        return _hide(torch.zeros(own.shape, dtype=bias.dtype, device=bias.device), own)
    return own.to(bias.dtype)


def _hide(bias: Tensor, mask: Tensor) -> Tensor:
    return bias.masked_fill(~mask, -torch.inf)
