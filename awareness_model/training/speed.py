"""How fast a training is, and how much memory it takes: numbers for timing.jsonl.

    MFU = arithmetic of the step / (seconds × what this device can do in as long)

The arithmetic counts matrix products alone: 2 per weight and token forward; 2 more in backward from
the first reading layer on, which carry the gradient; 2 more where a weight trains. The head counts
at answer tokens, W_k and W_v of the reading layers at memory slots. What a GPU can do is its
maker's figure for dense bf16; any other device is measured once, by multiplying matrices. Limits:
attention scores, norms and a teacher count as nothing, nor do activations that are computed again.
"""

import os
import resource
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from awareness_model.decoder import ReasoningDecoder

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""Dense bf16 products a second, from NVIDIA's data sheets."""
SIDE = 1024
TURNS = 3
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What a step multiplies, in operations (two for a product and its sum)."""

    per_token: float
    per_answer: float
    per_slot: float

    def step(self, tokens: int, answers: int, slots: int) -> float:
        """Return the operations of a step's forward and backward."""
        return self.per_token * tokens + self.per_answer * answers + self.per_slot * slots


def arithmetic(decoder: ReasoningDecoder) -> Arithmetic:
    """Return what a decoder multiplies forward and backward, by its shapes."""
    first = min(decoder.reading_layers)
    token = slot = 0.0
    for number, layer in enumerate(decoder.base.model.layers):
        for name, module in layer.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            weights = module.in_features * module.out_features
            cost = weights * (2.0 if number < first else 4.0)
            cost += 2.0 * weights * module.weight.requires_grad
            if name.endswith(("gca.k_proj", "gca.v_proj")):
                slot += cost - 2.0 * weights  # memory itself takes no gradient
            else:
                token += cost
    head = decoder.base.lm_head
    return Arithmetic(token, 4.0 * head.in_features * head.out_features, slot)


@cache
def peak(device: str) -> float:
    """Return the operations a second that a device can do, in theory or measured."""
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
        known = [value for part, value in PEAKS.items() if part in name]
        if known:
            return known[0]
    one = torch.randn(SIDE, SIDE, device=device)
    best = min(_seconds(one, device) for _ in range(TURNS))
    return 2.0 * SIDE**3 / best


def memory_mib(device: str) -> float:
    """Return the memory in use, in MiB: the most so far on a GPU, this process's on a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / MIB
    pages = Path("/proc/self/statm")
    if pages.is_file():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # bytes on macOS


def _seconds(one: torch.Tensor, device: str) -> float:
    began = time.perf_counter()
    (one @ one)[0, 0].item()
    return time.perf_counter() - began
