"""Where kv memory and the same text in context part: the gap of the pilots, taken to pieces.

Documents of constants, one question each, scored as −log likelihood per answer token. The reference
is [BOS, document, prompt] in context with document and prompt tokenised apart; each row changes one
thing. `largest` is the largest difference of an answer's logits from the reference's.

Short documents are one chunk; long ones (several chunks) show what cutting them costs. Limits: one
model, generated documents, greedy tokenisation boundaries of one kind (a line's end).
"""

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.config import DecoderConfig, EncoderConfig, default_model
from awareness_model.decoder import ReasoningDecoder
from awareness_model.decoder.rotary import rotate
from awareness_model.encoder import ContextEncoder, sink_token
from awareness_model.memory.batch import Memory, collate, from_slots
from awareness_model.schema import write_atomic

WORDS = ["max", "min", "base", "upper", "lower", "default", "first", "last"]
THINGS = ["timeout", "retry", "buffer", "port", "cache", "window", "batch", "offset", "limit"]
REFERENCE = "text in context"
SIZES = {"short": (4, 1), "long": (64, 4)}
"""Constants in a document; one in so many documents is measured."""


class Asked:
    """A document, a question about one of its constants, and everything as ids."""

    def __init__(self, tokenizer: Any, draw: random.Random, constants: int) -> None:
        names = draw.sample([f"{a}_{b}".upper() for a in WORDS for b in THINGS], constants)
        pairs = [(name, str(draw.randint(100, 9999))) for name in names]
        name, value = draw.choice(pairs)
        self.text = "".join(f"{name} = {value}\n" for name, value in pairs)
        self.question = f"assert {name} == "
        self.document = plain_ids(tokenizer, self.text)
        self.answer = plain_ids(tokenizer, value)
        self.prompt = [*plain_ids(tokenizer, self.question), *self.answer]
        self.joint = [*plain_ids(tokenizer, self.text + self.question), *self.answer]
        blank = "\n" + self.question
        self.blank_apart = [*self.document, *plain_ids(tokenizer, blank), *self.answer]
        self.blank_joint = [*plain_ids(tokenizer, self.text + blank), *self.answer]


class Bench:
    """The model with both ways to give it a document."""

    def __init__(self, model_name: str) -> None:
        self.decoder = ReasoningDecoder(DecoderConfig(model_name, "cpu", "kv"))
        self.base, self.tokenizer = self.decoder.base, self.decoder.tokenizer
        self.first = sink_token(self.tokenizer, self.base.config)
        config = EncoderConfig(model_name, "cpu")
        self.encoder = ContextEncoder.from_model(self.base, self.tokenizer, config)

    def text(self, asked: Asked, ids: Sequence[int]) -> Tensor:
        """Logits of the answer's tokens, `[n, V]`, with everything in context."""
        return self._answer(asked, self.base(torch.tensor([ids])).logits)

    def memory(self, asked: Asked, memory: Memory, with_sink: bool = True) -> Tensor:
        """The same, reading memory, with or without the BOS in front of it."""
        reading = self.decoder.prepare(memory)
        if not with_sink:
            bias = reading.bias.clone()
            bias[:, 0] = -torch.inf
            reading = replace(reading, bias=bias)
        ids = torch.tensor([asked.prompt])
        return self._answer(asked, self.base(ids, memory=reading).logits)

    def encoded(self, ids: Sequence[int], with_bos: bool = True) -> Memory:
        """One chunk of any length, encoded after a BOS that is not stored, or after nothing."""
        given = torch.tensor([[self.first, *ids] if with_bos else list(ids)])
        cache = self.base(given, use_cache=True).past_key_values
        keys = torch.stack([layer.keys[0] for layer in cache.layers])
        values = torch.stack([layer.values[0] for layer in cache.layers])
        place = torch.arange(given.shape[1])[None]
        cos, sin = self.base.model.rotary_emb(keys, position_ids=place)
        unturned = rotate(keys, cos, -sin)
        kept = slice(1 if with_bos else 0, None)
        shaped = [t[:, :, kept].permute(2, 0, 1, 3) for t in (unturned, values)]
        return from_slots(shaped[0], shaped[1], "kv")

    def _answer(self, asked: Asked, logits: Tensor) -> Tensor:
        return logits[0, -len(asked.answer) - 1 : -1].float()


def ways(bench: Bench) -> dict[str, Callable[[Asked], Tensor]]:
    """Return every way to give the document, the reference first."""
    first = bench.first

    def rounded(asked: Asked) -> Tensor:
        memory = bench.encoded(asked.document)
        keys, values = memory.keys.bfloat16().float(), memory.values.bfloat16().float()
        return bench.memory(asked, replace(memory, keys=keys, values=values))

    def chunked(asked: Asked) -> Tensor:
        return bench.memory(asked, collate([bench.encoder.encode([asked.text], "kv")]))

    return {
        REFERENCE: lambda one: bench.text(one, [first, *one.document, *one.prompt]),
        "kv, one chunk": lambda one: bench.memory(one, bench.encoded(one.document)),
        "kv, chunks of 256": chunked,
        "kv, bfloat16 numbers": rounded,
        "text, tokenised together": lambda one: bench.text(one, [first, *one.joint]),
        "a blank line between, apart": lambda one: bench.text(one, [first, *one.blank_apart]),
        "a blank line between, together": lambda one: bench.text(one, [first, *one.blank_joint]),
        "text, no BOS": lambda one: bench.text(one, [*one.document, *one.prompt]),
        "kv, encoded after BOS, read without": lambda one: bench.memory(
            one, bench.encoded(one.document), with_sink=False
        ),
        "kv, encoded and read without BOS": lambda one: bench.memory(
            one, bench.encoded(one.document, with_bos=False), with_sink=False
        ),
        "nothing": lambda one: bench.text(one, [first, *one.prompt]),
    }


@torch.no_grad()
def measure(bench: Bench, documents: int, constants: int) -> dict[str, Any]:
    """Return, by way, nats per answer token, the gap to the reference, and the largest Δlogit."""
    draw = random.Random(0)
    asked = [Asked(bench.tokenizer, draw, constants) for _ in range(documents)]
    tokens = sum(len(one.answer) for one in asked)
    held = {name: [way(one) for one in asked] for name, way in ways(bench).items()}

    def nats(logits: Sequence[Tensor]) -> float:
        total = 0.0
        for one, rows in zip(asked, logits, strict=True):
            total -= rows.log_softmax(-1).gather(1, torch.tensor(one.answer)[:, None]).sum().item()
        return total / tokens

    reference = nats(held[REFERENCE])
    pairs = {name: list(zip(rows, held[REFERENCE], strict=True)) for name, rows in held.items()}
    rows = {
        name: {
            "nats": round(nats(found), 4),
            "gap": round(nats(found) - reference, 4),
            "largest": float(f"{max((a - b).abs().max().item() for a, b in pairs[name]):.2g}"),
        }
        for name, found in held.items()
    }
    lengths = [len(one.document) for one in asked]
    return {
        "documents": documents,
        "answer_tokens": tokens,
        "document_tokens": [min(lengths), max(lengths)],
        "boundaries_joined": sum(one.joint != [*one.document, *one.prompt] for one in asked),
        "blank_lines_joined": sum(one.blank_joint != one.blank_apart for one in asked),
        "ways": rows,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--results", type=Path, default=Path("results/kv_gap.json"))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    args = parser.parse_args(argv)
    bench = Bench(args.model)
    results: dict[str, Any] = {}
    if args.results.is_file():
        results = json.loads(args.results.read_bytes())
    results["command"] = f"python -m tests.bench.kv_gap --documents {args.documents}"
    for name in args.sizes:
        constants, share = SIZES[name]
        documents = max(1, args.documents // share)
        results[name] = measure(bench, documents, constants)
        print(f"{name}: {json.dumps({k: v for k, v in results[name].items() if k != 'ways'})}")
        for way, row in results[name]["ways"].items():
            print(f"{way:>40} {row['nats']:>9} {row['gap']:>9} {row['largest']:>9}", flush=True)
    write_atomic(args.results, (json.dumps(results, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
