"""Slots of several tokens: the mean of p contiguous states, the last slot of what is left over.

One function for the encoder, which may store pooled slots, and for training, which pools stored
slots of single tokens: with equal states both give the same floats. Limits: pooling happens within
a chunk, which was encoded alone; nothing is weighted.
"""

import torch
from torch import Tensor


def pooled(states: Tensor, tokens: int) -> Tensor:
    """Return `[n, …]` as `[⌈n/p⌉, …]`, p tokens to a slot; with one token the states as they are.

    Raises:
        ValueError: less than one token to a slot.
    """
    if tokens < 1:
        raise ValueError(f"a slot holds one token or more, not {tokens}")
    if tokens == 1:
        return states
    return torch.stack([part.mean(0) for part in states.split(tokens)])
