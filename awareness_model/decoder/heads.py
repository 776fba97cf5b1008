"""Encoder heads: what training adds to frozen encoder states, before the reading layers see them.

    K = X + W_k·gelu(A_k·w),  V = X + W_v·gelu(A_v·w),  w = [x_{t−1}; x_t; x_{t+1}; x_{t+2}]

for each stored layer's states X on their own: a small mixer over neighbours within a chunk, keys
and values apart, so that a key may deliver what stands after it (the shift of kNN-LM, arXiv
1911.00172; reference/model.md, section 3.2). W are zero at start, which leaves memory as it is.

They act when memory is made ready to read. The gradient of any loss reaches them whether documents
were encoded before or in the loop; a store holds what goes into them, so it stays true whatever
they are trained to, and is never encoded again for them. Limits: the encoder's body stays frozen;
latent layout; pooled slots are mixed as they are; a user's own tensors count as one chunk.
"""

from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from awareness_model.memory.batch import Memory

OFFSETS: Final = (-1, 0, 1, 2)
"""Neighbours that a slot is mixed with."""


class EncoderHeads(nn.Module):
    """Keys and values out of the states of every stored layer."""

    def __init__(self, layers: int, width: int, rank: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        for name in ("key", "value"):
            down = torch.empty(layers, len(OFFSETS) * width, rank)
            nn.init.normal_(down, std=(len(OFFSETS) * width) ** -0.5, generator=draw)
            self.register_parameter(f"{name}_down", nn.Parameter(down))
            up = nn.Parameter(torch.zeros(layers, rank, width))
            self.register_parameter(f"{name}_up", up)

    def forward(self, memory: Memory) -> Memory:
        """Return a memory with its keys and values made.

        Raises:
            ValueError: the memory holds another number of layers' states.
        """
        layers = len(self.get_parameter("key_up"))
        if memory.keys.shape[2] != layers:
            raise ValueError(f"memory holds {memory.keys.shape[2]} layers' states, heads {layers}")
        key = memory.keys + self._added("key", around(memory.keys, memory))
        value = memory.values + self._added("value", around(memory.values, memory))
        return replace(memory, keys=key.to(memory.keys.dtype), values=value.to(memory.keys.dtype))

    def _added(self, name: str, states: Tensor) -> Tensor:
        down, up = self.get_parameter(f"{name}_down"), self.get_parameter(f"{name}_up")
        inner = F.gelu(torch.einsum("bmsw,swr->bmsr", states.to(down.dtype), down))
        return torch.einsum("bmsr,srd->bmsd", inner, up.to(inner.dtype))


def around(states: Tensor, memory: Memory) -> Tensor:
    """Return each slot's neighbours side by side, `[B, M, S, E]` → `[B, M, S, 4·E]`, zeros where a
    neighbour is of another chunk."""
    slots = torch.arange(states.shape[1], device=states.device)
    document = memory.document.to(states.device)
    found = []
    for offset in OFFSETS:
        other = (slots + offset).clamp(0, len(slots) - 1)
        near = memory.position[:, other] == memory.position + offset
        near = near & (document[:, other] == document) & memory.mask & memory.mask[:, other]
        found.append(states[:, other] * near[:, :, None, None])
    return torch.cat(found, dim=-1)
