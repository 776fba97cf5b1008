"""How soon an edit is in memory: `LiveMemory.update` beside the encoding of that file alone.

    python -m tests.bench.live [--documents N …] [--layout latent|kv] [--out FILE]

A store holds N seeded documents of true shape (tests/bench/memory.py); beside them lies one real
file of about 1 KB, which is rewritten `ROUNDS` times. Each round encodes one new text by itself,
then writes another of the same form and updates; which comes first alternates. `visible` ends when
a reader finds the new document's records. Goals: visible ≤ 1.5 × encode, and flat in N.
Seconds are the processor's, of the process (one thread for tensors), with the wall's beside them.
Limits: one process, local disk, warm page cache; other load on the machine shows in the wall's.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from awareness_model.config import EncoderConfig, MemoryConfig
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.memory import LatentMemoryStore
from awareness_model.memory.live import LiveMemory
from awareness_model.schema import write_atomic
from tests.bench.memory import GROUP, documents

ROUNDS = 7


class Encoder:
    """SmolLM2-135M in one layout."""

    def __init__(self, layout: str) -> None:
        config = EncoderConfig()
        self.layout = layout
        self.fingerprint = encoder_fingerprint(config, layout)
        self.inner = ContextEncoder(config)

    def encode(self, texts: Sequence[str], paths: Sequence[str]) -> object:
        return self.inner.encode(texts, self.layout, paths)


def text(number: int) -> str:
    """A file of about 1 KB."""
    return "".join(
        f"def step_{number}_{n}(value):\n    return value * {37 * n + number} + {n}\n\n\n"
        for n in range(16)
    )


def measured(folder: Path, count: int, encoder: Encoder) -> dict[str, float]:
    """Fill a store, then edit; seconds by name (medians)."""
    root = folder / "root"
    root.mkdir()
    store = LatentMemoryStore(MemoryConfig(path=str(folder / "memory"), dtype="bfloat16"))
    for start in range(0, count, GROUP):
        group = list(documents(encoder.layout, min(GROUP, count - start), start))
        store.put_documents(group, encoder.layout, "seeded")
    store.compact()
    memory = LiveMemory(root, store, encoder)
    took: dict[str, list[tuple[float, float]]] = {"encode": [], "visible": []}
    for number in range(ROUNDS + 1):
        for kind in sorted(took, reverse=bool(number % 2)):
            begun = time.process_time(), time.perf_counter()
            if kind == "encode":
                encoder.encode([text(200 + number)], ["file.py"])
            else:
                (root / "file.py").write_text(text(100 + number))
                done = memory.update("file.py")
                (name,) = store.documents("file.py").values()
                assert store.held([name], encoder.layout, encoder.fingerprint)
                assert done.encoded == ("file.py",)
            took[kind].append((time.process_time() - begun[0], time.perf_counter() - begun[1]))
    found = {}
    for kind, rounds in took.items():
        cpu, wall = zip(*rounds[1:], strict=True)
        found |= {kind: statistics.median(cpu), f"{kind}_wall": statistics.median(wall)}
    return {**found, "ratio": found["visible"] / found["encode"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--layout", choices=("latent", "kv"), default="latent")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    encoder, found = Encoder(args.layout), {}
    for count in args.documents:
        with tempfile.TemporaryDirectory() as folder:
            found[str(count)] = measured(Path(folder), count, encoder)
        print(
            count, {name: round(value, 3) for name, value in found[str(count)].items()}, flush=True
        )
    if args.out:
        write_atomic(args.out, f"{json.dumps({args.layout: found}, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
