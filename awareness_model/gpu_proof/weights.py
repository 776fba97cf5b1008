"""A safetensors file in the bytes of the quantised model it was made from, and back, bit for bit.

The local SmolLM2 is a GGUF de-quantised to float32: blocks of 32 numbers, each `d·q + m` with two
half-precision numbers a block (Q4_1: q of 4 bits) or `d·q` (Q8_0: q of 8 bits, no m). Writing d, m
and q again takes 97 MB instead of 538. A tensor is written so only where every bit of it comes
back; any other as it is. Limits: q is found from a block's extremes, as quantisers set them; other
types of GGUF, and other blocks, travel as they are. Needs numpy alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Numbers of a GGUF block of these types."""
PLAIN, FOUR_BITS, EIGHT_BITS = b"r", b"4", b"8"

Floats = NDArray[np.float32]


def encode(source: Path, out: BinaryIO) -> None:
    """Write a safetensors file's contents to `out`: its header, then tensor by tensor."""
    with source.open("rb") as file:
        head = _head(file)
        out.write(head)
        for kind, size in _tensors(head):
            data = file.read(size)
            out.write(_written(np.frombuffer(data, "<f4")) if kind == "F32" else PLAIN + data)


def decode(source: BinaryIO, out: BinaryIO) -> None:
    """Write the file that `encode` read."""
    head = _head(source)
    out.write(head)
    for _, size in _tensors(head):
        form = source.read(1)
        out.write(source.read(size) if form == PLAIN else _read(source, form, size // 4).tobytes())


def _head(file: BinaryIO) -> bytes:
    """Return the header as it stands, with its length."""
    length = file.read(8)
    return length + file.read(int.from_bytes(length, "little"))


def _tensors(head: bytes) -> Iterator[tuple[str, int]]:
    """Yield type and bytes of each tensor, in the order in which they lie."""
    named: dict[str, Any] = json.loads(head[8:])
    named.pop("__metadata__", None)
    for one in sorted(named.values(), key=lambda one: one["data_offsets"][0]):
        begin, end = one["data_offsets"]
        yield one["dtype"], end - begin


def _written(numbers: Floats) -> bytes:
    """Return a tensor in the first form that gives every bit of it back."""
    if numbers.size and numbers.size % BLOCK == 0:
        blocks = numbers.reshape(-1, BLOCK)
        for form, make in ((FOUR_BITS, _four), (EIGHT_BITS, _eight)):
            if (made := make(blocks)) is not None:
                return form + made
    return PLAIN + numbers.tobytes()


def _four(blocks: Floats) -> bytes | None:
    low, high = blocks.min(1), blocks.max(1)
    with np.errstate(all="ignore"):
        offset, scale = low.astype("<f2"), ((high - low) / np.float32(15)).astype("<f2")
        codes = _codes((blocks - _wide(offset)) / _wide(scale), 0, 15).astype(np.uint8)
        if not _same(_four_back(scale, offset, codes), blocks):
            return None
    return scale.tobytes() + offset.tobytes() + (codes[:, ::2] | codes[:, 1::2] << 4).tobytes()


def _eight(blocks: Floats) -> bytes | None:
    with np.errstate(all="ignore"):
        scale = (np.abs(blocks).max(1) / np.float32(127)).astype("<f2")
        codes = _codes(blocks / _wide(scale), -127, 127).astype(np.int8)
        if not _same(_eight_back(scale, codes), blocks):
            return None
    return scale.tobytes() + codes.tobytes()


def _codes(exact: Floats, least: int, most: int) -> Floats:
    return np.clip(np.rint(np.nan_to_num(exact)), least, most)


def _read(source: BinaryIO, form: bytes, size: int) -> Floats:
    count = size // BLOCK
    scale = np.frombuffer(source.read(2 * count), "<f2")
    if form == EIGHT_BITS:
        return _eight_back(scale, np.frombuffer(source.read(size), np.int8).reshape(-1, BLOCK))
    offset = np.frombuffer(source.read(2 * count), "<f2")
    packed = np.frombuffer(source.read(size // 2), np.uint8)
    codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1, BLOCK)
    return _four_back(scale, offset, codes)


def _four_back(scale: NDArray[Any], offset: NDArray[Any], codes: NDArray[Any]) -> Floats:
    """Two roundings, as the GGUF reader of transformers makes them."""
    return _wide(scale) * codes.astype("<f4") + _wide(offset)


def _eight_back(scale: NDArray[Any], codes: NDArray[Any]) -> Floats:
    return _wide(scale) * codes.astype("<f4")


def _wide(halves: NDArray[Any]) -> Floats:
    wide: Floats = halves.astype("<f4")[:, None]
    return wide


def _same(made: Floats, wanted: Floats) -> bool:
    return bool((made.view("<u4") == wanted.view("<u4")).all())
