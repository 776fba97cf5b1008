"""What a trained kv reader costs per token written, beside the untrained one on the same memory.

A corrected layer asks memory with queries of its own, changes slots (once, when memory is made
ready) and weighs documents; two layers compare own tokens with every document. CPU seconds of one
thread per generated token, conditions take turns, the median of the rounds counts; the ratio is
that of each round. Limits: random records of true shape; one prompt of 64 tokens; a batch of one.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from awareness_model import pretrained
from awareness_model.config import DecoderConfig, UserError, default_model
from awareness_model.decoder import ReasoningDecoder
from awareness_model.memory.batch import Memory, collate
from awareness_model.reader.rows import Held
from awareness_model.schema import write_atomic
from tests.bench.constant_cost import decoded

DOCUMENT = 256
"""Slots of a document."""
PROMPT = 64


def memory_of(decoder: ReasoningDecoder, documents: int) -> Memory:
    """Return memory of so many documents of random slots."""
    config, draw = decoder.base.config, torch.Generator().manual_seed(0)
    shape = (DOCUMENT, config.num_hidden_layers, config.num_key_value_heads, config.head_dim)
    return collate(
        [
            [
                [Held(*(torch.randn(shape, generator=draw) for _ in range(2)))]
                for _ in range(documents)
            ]
        ]
    )


def measured(
    readers: dict[str, ReasoningDecoder], documents: int, rounds: int, tokens: int
) -> dict[str, Any]:
    """Return milliseconds a token by reader, and the trained one's share of the untrained one's."""
    memory = memory_of(readers["untrained"], documents)
    ids = torch.arange(100, 100 + PROMPT)[None]
    taken: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(rounds + 1):
        for name, reader in readers.items():
            found = decoded(reader, ids, memory, tokens)
            if turn:
                taken[name].append(found)
    ratios = [a / b for a, b in zip(taken["trained"], taken["untrained"], strict=True)]
    told = {name: round(1000 * statistics.median(one), 1) for name, one in taken.items()}
    return {
        "documents": documents,
        "slots": documents * DOCUMENT,
        "milliseconds": told,
        "ratio": round(statistics.median(ratios), 3),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench and write its results.

    Raises:
        UserError: no reader comes with the package for this base model.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kv_step", description=__doc__)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--documents", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--to", type=Path, default=Path("results/kv_step.json"))
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    folder = pretrained.shipped(args.model)
    if folder is None:
        raise UserError(f"no reader comes with the package for {args.model}")
    readers = {
        "untrained": ReasoningDecoder(DecoderConfig(args.model, "cpu", "kv")),
        "trained": ReasoningDecoder.from_pretrained(folder, args.model, "cpu"),
    }
    rows = []
    for documents in args.documents:
        rows.append(measured(readers, documents, args.rounds, args.tokens))
        print(json.dumps(rows[-1]), flush=True)
    write_atomic(args.to, (json.dumps(rows, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
