"""Rotary positions, applied to states by angles that the base model's own embedding gives."""

import torch
from torch import Tensor


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return RoPE-rotated states, `[..., n, D]`, by angles `[..., n, D]` (Llama's half split)."""
    half = states.shape[-1] // 2
    turned = torch.cat([-states[..., half:], states[..., :half]], dim=-1)
    return states * cos + turned * sin
