"""Tensors as bytes: float32, bfloat16, int8 and fp8 (e4m3), and what a slot costs in each.

int8 and fp8 are scaled by row (the last dimension): `scale = max|row| / 127` (int8) or `/ 448`
(the largest e4m3 number), float32, one per row, 1 for a row of zeros. Restored values are float32.
Error of one number x in a row with largest magnitude a: int8 `≤ a/254`; fp8 `≤ |x|/16`, and
`≤ a/(448·1024)` where x is subnormal (three mantissa bits, least subnormal 2^-9); bfloat16
`≤ |x|/256`. Not covered: outliers of one row are not split off.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from awareness_model.config import UserError

PLAIN = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Stored as they are."""
SCALED = {"int8": (torch.int8, 127.0), "fp8": (torch.float8_e4m3fn, 448.0)}
"""Stored divided by a scale per row: type, largest number."""
ALIASES = {"bf16": "bfloat16", "fp32": "float32", "float8": "fp8", "float8_e4m3": "fp8"}
DTYPES = (*PLAIN, *SCALED)


def dtype_name(name: str) -> str:
    """Return the name a store keeps for a dtype.

    Raises:
        UserError: no such dtype.
    """
    if (found := ALIASES.get(name, name)) not in DTYPES:
        raise UserError(f"memory dtype is one of {', '.join(DTYPES)}, not {name!r}")
    return found


def to_bytes(tensor: Tensor, dtype: str) -> tuple[bytes, bytes]:
    """Return a tensor's numbers and its rows' scales (empty where none are needed).

    Raises:
        ValueError: NaN or infinity among the numbers.
    """
    held = tensor.detach().to("cpu", torch.float32)
    if not bool(torch.isfinite(held).all()):
        raise ValueError("a tensor holds NaN or infinity")
    if dtype in PLAIN:
        return _raw(held.to(PLAIN[dtype])), b""
    kind, largest = SCALED[dtype]
    scale = held.abs().amax(dim=-1, keepdim=True) / largest
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    # A row of the least float32 numbers has a scale that rounds to less than its share.
    scaled = (held / scale).clamp(-largest, largest)
    return _raw((scaled.round() if dtype == "int8" else scaled).to(kind)), _raw(scale)


def from_bytes(data: bytes, scale: bytes, shape: Sequence[int], dtype: str) -> Tensor:
    """Return the tensor that `to_bytes` stored.

    Raises:
        ValueError, RuntimeError: the bytes do not fill the shape.
    """
    if dtype in PLAIN:
        return _read(data, PLAIN[dtype]).reshape(tuple(shape))
    kind, _ = SCALED[dtype]
    rows = _read(scale, torch.float32).reshape(*shape[:-1], 1)
    return _read(data, kind).reshape(tuple(shape)).float() * rows


def _raw(tensor: Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _read(data: bytes, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of one slot in one layout and dtype, scales included."""

    layout: str
    dtype: str
    bytes_per_slot: int
    bytes_per_token: float
    """With `pooling` tokens in a slot."""


def costs(slots: Mapping[str, tuple[Sequence[int], bool]], pooling: int = 1) -> Iterator[Cost]:
    """Yield what a slot costs in every layout and dtype, measured on stored bytes.

    Args:
        slots: by layout, the shape of one slot (`(S, E)` or `(L, G, D)`) and whether values are
            stored beside the keys.
    """
    for layout, (shape, values) in slots.items():
        for dtype in DTYPES:
            data, scale = to_bytes(torch.ones(1, *shape), dtype)
            held = (len(data) + len(scale)) * (2 if values else 1)
            yield Cost(layout, dtype, held, held / pooling)


def cost_table(slots: Mapping[str, tuple[Sequence[int], bool]], pooling: int = 1) -> str:
    """Return `costs` as a Markdown table."""
    lines = [
        "| layout | numbers per slot | dtype | bytes per slot | bytes per token |",
        "|---|---|---|---|---|",
    ]
    for cost in costs(slots, pooling):
        shape, values = slots[cost.layout]
        numbers = prod(shape) * (2 if values else 1)
        lines.append(
            f"| {cost.layout} | {numbers:,} | {cost.dtype} "
            f"| {cost.bytes_per_slot:,} | {cost.bytes_per_token:,.0f} |"
        )
    return "\n".join(lines)
