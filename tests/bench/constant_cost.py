"""The cost bench: what memory costs per token written, before the first one, and per token stored.

decode_latent, decode_kv: tokens per second with N documents in memory, k of them visible, beside
the same decoder with none and beside text in context. first_token: seconds until the first token
with the text in memory (routing over its documents, gathering, preparing, reading the prompt)
beside prefilling it; a + b·n + c·n² fitted to the prefills (least squares, weighted by 1/n) gives
the one that takes too long. bytes_per_token: what a stored token takes in every layout and dtype.

Times are CPU seconds of one thread, so that other work on the machine weighs little; conditions
take turns and the median counts. Limits: random records of true shape (they cost what real ones
do), routing by exact search in RAM, no reading from disk: the store's and router's benches do that.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from awareness_model.config import DecoderConfig, default_model
from awareness_model.decoder import ReasoningDecoder
from awareness_model.memory.batch import Memory, from_slots
from awareness_model.memory.payload import costs
from awareness_model.reading import Room
from awareness_model.schema import write_atomic

DOCUMENT_TOKENS = 128
CLUSTERS = 1_000
PROMPT_TOKENS = 64
ASKED = Room().documents
"""What `awareness ask` reads unless told otherwise."""
GOALS = {"decode_ratio": 0.85, "first_token_ratio": 30.0}
MODELS = {
    "SmolLM2-135M": {"layers": 30, "groups": 3, "head_dim": 64, "hidden": 576, "reading": 7},
    "Qwen3-0.6B": {"layers": 28, "groups": 8, "head_dim": 128, "hidden": 1024, "reading": 7},
}


class Documents:
    """N documents: routing vectors around clusters; slots drawn from the document's number."""

    def __init__(self, decoder: ReasoningDecoder, count: int, pooling: int = 1) -> None:
        config = decoder.base.config
        shape = {
            "kv": (config.num_hidden_layers, config.num_key_value_heads, config.head_dim),
            "latent": (len(decoder.reading_layers), config.hidden_size),
        }[decoder.config.layout]
        self.layout, self.shape = decoder.config.layout, (DOCUMENT_TOKENS // pooling, *shape)
        draw = torch.Generator().manual_seed(0)
        centres = torch.randn(CLUSTERS, config.hidden_size, generator=draw)
        noise = torch.randn(count, config.hidden_size, generator=draw)
        routes = centres[torch.arange(count) % CLUSTERS] + 0.3 * noise
        self.routes = torch.nn.functional.normalize(routes, dim=1)
        self.held: dict[int, Tensor] = {}

    def visible(self, query: Tensor, k: int) -> Memory:
        """Return the k nearest documents, ready to be read."""
        chosen = (self.routes @ query).topk(k).indices.tolist()
        slots = torch.cat([self._slots(number) for number in sorted(chosen)])
        return from_slots(slots, slots, self.layout)

    def _slots(self, number: int) -> Tensor:
        if number not in self.held:
            draw = torch.Generator().manual_seed(number)
            self.held[number] = torch.randn(self.shape, generator=draw)
        return self.held[number]


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process's one thread that works."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run each piece of work once per round, by turns; the first round is not counted."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            taken = seconds(work)
            if turn:
                found[name].append(taken)
    return found


class Clock:
    """A streamer that notes the CPU time of every token."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def put(self, value: Tensor) -> None:
        """Called with the prompt, then with each token."""
        self.at.append(time.process_time())

    def end(self) -> None:
        """Called after the last token."""


def decoded(decoder: ReasoningDecoder, ids: Tensor, memory: Memory | None, tokens: int) -> float:
    """Return CPU seconds of one generated token, the median of those after the first."""
    clock, greedy = Clock(), {"do_sample": False, "eos_token_id": None}
    decoder.generate(ids, memory, streamer=clock, max_new_tokens=tokens + 1, **greedy)
    return statistics.median(b - a for a, b in zip(clock.at[1:], clock.at[2:], strict=False))


def decoding(
    decoder: ReasoningDecoder, pooling: int, visible: Sequence[int], rounds: int, tokens: int
) -> list[dict[str, Any]]:
    """Return a row per size of the memory and number of visible documents."""
    ids = torch.arange(100, 100 + PROMPT_TOKENS)[None]
    query = torch.nn.functional.normalize(torch.ones(decoder.base.config.hidden_size), dim=0)
    cases: dict[tuple[int, int], Memory | None] = {(0, 0): None}
    for count in (10_000, 100_000):
        documents = Documents(decoder, count, pooling)
        for k in visible:
            cases[count, k] = documents.visible(query, k)
    taken: dict[tuple[int, int], list[float]] = {case: [] for case in cases}
    for turn in range(rounds + 1):
        for case, memory in cases.items():
            found = decoded(decoder, ids, memory, tokens)
            if turn:
                taken[case].append(found)
    rows = []
    for (count, k), memory in cases.items():
        ratios = [a / b for a, b in zip(taken[0, 0], taken[count, k], strict=True)]
        rows.append(
            {
                "layout": decoder.config.layout,
                "pooling": pooling,
                "documents": count,
                "visible": k,
                "slots": 0 if memory is None else memory.mask.shape[1],
                "tokens_per_second": round(1 / statistics.median(taken[count, k]), 2),
                "ratio": round(statistics.median(ratios), 3),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def text_decoding(decoder: ReasoningDecoder, context: int, rounds: int, tokens: int) -> float:
    """Return the ratio of decoding behind a context of text to decoding behind the prompt alone."""
    short = torch.arange(100, 100 + PROMPT_TOKENS)[None]
    long = torch.arange(100, 100 + PROMPT_TOKENS + context)[None]
    ratios = []
    for _ in range(rounds):
        ratios.append(decoded(decoder, short, None, tokens) / decoded(decoder, long, None, tokens))
    return round(statistics.median(ratios), 3)


@torch.no_grad()
def first_token(decoder: ReasoningDecoder, lengths: Sequence[int], goal: int) -> dict[str, Any]:
    """Return seconds to the first token by length of text, prefilled and in memory."""
    ids = torch.arange(100, 100 + PROMPT_TOKENS)[None]
    query = torch.nn.functional.normalize(torch.ones(decoder.base.config.hidden_size), dim=0)
    base = decoder.base
    kept = {"use_cache": True, "logits_to_keep": 1}

    def prefill(length: int) -> object:
        text = torch.arange(length + PROMPT_TOKENS)[None] % 40_000 + 100
        return base(input_ids=text, **kept)

    def read(documents: Documents, k: int) -> object:
        memory = documents.visible(query, min(k, len(documents.routes)))
        return decoder(ids, memory=memory, **kept)

    prefill(256)
    prefilled = {
        n: min(seconds(partial(prefill, n)) for _ in range(2 if n < 4096 else 1)) for n in lengths
    }
    print(json.dumps({"prefill": prefilled}), flush=True)
    held = {n: Documents(decoder, n // DOCUMENT_TOKENS) for n in (*lengths, goal)}
    works = {f"{n}": partial(read, documents, 16) for n, documents in held.items()}
    whole = Documents(decoder, goal // DOCUMENT_TOKENS, pooling=8)
    works["all visible, p = 8"] = partial(read, whole, goal)
    memory = {name: statistics.median(taken) for name, taken in turns(works, 5).items()}
    print(json.dumps({"memory": memory}), flush=True)
    return first_rows(prefilled, memory, goal)


def first_rows(prefilled: dict[int, float], memory: dict[str, float], goal: int) -> dict[str, Any]:
    """Return the table of first tokens; the prefill of `goal` tokens is computed."""
    fitted = fit(prefilled)
    computed = float(np.polyval(fitted, goal))
    rows = [
        {
            "tokens": n,
            "prefill_s": round(prefilled.get(n, computed), 2),
            "computed": n not in prefilled,
            "memory_s": round(memory[f"{n}"], 3),
            "ratio": round(prefilled.get(n, computed) / memory[f"{n}"], 1),
        }
        for n in (*prefilled, goal)
    ]
    whole = memory["all visible, p = 8"]
    return {
        "fit": [float(f"{value:.4g}") for value in fitted],
        "rows": rows,
        "all_visible_p8": {
            "slots": goal // 8,
            "memory_s": round(whole, 3),
            "ratio": round(computed / whole, 1),
        },
    }


def fit(taken: dict[int, float]) -> list[float]:
    """Return [c, b, a] of a + b·n + c·n² through the measurements."""
    lengths = sorted(taken)
    weights = [1 / n for n in lengths]
    degree = min(2, len(lengths) - 1)
    return [float(x) for x in np.polyfit(lengths, [taken[n] for n in lengths], degree, w=weights)]


def stored() -> list[dict[str, Any]]:
    """Return bytes per context token by model, layout, pooling and dtype, scales included."""
    rows = []
    for model, size in MODELS.items():
        kv = ((size["layers"], size["groups"], size["head_dim"]), True)
        latent = ((size["reading"], size["hidden"]), False)
        one = ((1, size["hidden"]), False)
        cases = [("kv", kv, 1), *(("latent", latent, p) for p in (1, 2, 4, 8)), ("one", one, 4)]
        for name, slot, pooling in cases:
            found = costs({name: slot}, pooling)
            by_dtype = {cost.dtype: round(cost.bytes_per_token) for cost in found}
            rows.append({"model": model, "layout": name, "pooling": pooling, **by_dtype})
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run parts of the bench, each a run of its own, and write them into the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--results", type=Path, default=Path("results/constant_cost.json"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    if args.results.is_file():
        results = json.loads(args.results.read_bytes())
    flags = f"--rounds {args.rounds} --tokens {args.tokens}"
    results |= {"command": f"python -m tests.bench.constant_cost {flags}", "goals": GOALS}
    for part in args.parts:
        results[part] = PARTS[part](args)
        write_atomic(args.results, (json.dumps(results, indent=1) + "\n").encode())
    return 0


def _first(args: argparse.Namespace) -> dict[str, Any]:
    decoder = ReasoningDecoder(DecoderConfig(args.model, "cpu", "latent"))
    return first_token(decoder, args.lengths, 32_768)


def _latent(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for pooling, visible in ((1, (8, 16)), (4, (16,))):
        decoder = ReasoningDecoder(DecoderConfig(args.model, "cpu", "latent"))
        rows += decoding(decoder, pooling, visible, args.rounds, args.tokens)
    return rows


def _kv(args: argparse.Namespace) -> dict[str, Any]:
    decoder = ReasoningDecoder(DecoderConfig(args.model, "cpu", "kv"))
    rows = decoding(decoder, 1, (ASKED, 8, 16), args.rounds, args.tokens)
    behind = text_decoding(decoder, 2048, 1, args.tokens)
    return {"rows": rows, "behind_2048_tokens_of_text": behind}


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "bytes_per_token": lambda args: stored(),
    "decode_latent": _latent,
    "decode_kv": _kv,
    "first_token": _first,
}


if __name__ == "__main__":
    raise SystemExit(main())
