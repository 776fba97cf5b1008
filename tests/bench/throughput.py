"""The throughput bench: a training step beside the decoder's own forward and backward.

    ratio = seconds of the yardstick / seconds of a step of training, at the same tokens

Two yardsticks, both the base model alone with the head at the same positions: `own` (gradients of
every weight, as in training the decoder itself) and `frozen` (gradients of activations alone, from
the first reading layer on: the least that any adapter in these layers can cost). A step of training
is forward with memory, all losses, backward, clipping and AdamW. MFU is the arithmetic of a step
(`training.speed`) over what the same thread multiplies in 1024 × 1024 matrices in as long.

Times are CPU seconds of one thread, so that other work on the machine weighs little; the three take
turns and the median counts. Limits: random tokens and latents (they cost what real ones do); one
device; no reading from disk.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from awareness_model.config import DecoderConfig, TrainingConfig, default_model
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import PlainEngine, Reader
from awareness_model.feed import Batch
from awareness_model.loss import Weights
from awareness_model.memory.batch import from_slots
from awareness_model.schema import write_atomic
from awareness_model.training.loop import take
from awareness_model.training.speed import SIDE, arithmetic
from tests.bench.constant_cost import turns

GOAL = 0.7


def make_batch(decoder: ReasoningDecoder, rows: int, tokens: int, slots: int) -> Batch:
    """Return random rows: the second half of each is the answer, the first slots are gold."""
    draw = torch.Generator().manual_seed(0)
    config = decoder.base.config
    ids = torch.randint(100, config.vocab_size, (rows, tokens), generator=draw)
    states = torch.randn(
        rows, slots, len(decoder.reading_layers), config.hidden_size, generator=draw
    )
    scored = torch.arange(tokens // 2, tokens - 1)
    at = torch.arange(rows).repeat_interleave(len(scored)), scored.repeat(rows)
    count = len(at[0])
    gold = torch.zeros(rows, slots, dtype=torch.bool)
    gold[:, : slots // 4] = True
    return Batch(
        input_ids=ids,
        rows=at[0],
        positions=at[1],
        targets=ids[at[0], at[1] + 1],
        topk_ids=torch.randint(100, config.vocab_size, (count, 32), generator=draw),
        topk_logprobs=torch.full((count, 32), 1 / 40).log(),
        tail_mass=torch.full((count,), 0.2),
        taught=torch.ones(count, dtype=torch.bool),
        memory=from_slots(states, states, "latent"),
        gold=gold,
    )


def alone(decoder: ReasoningDecoder, batch: Batch, weights: bool) -> None:
    """Go forward and backward through the base model without memory."""
    base, first = decoder.base, min(decoder.reading_layers)
    own = [one for name, one in base.named_parameters() if ".gca." not in name]
    for one in own:
        one.requires_grad_(weights)
    hook = None
    if not weights:
        layer = base.model.layers[first]
        hook = layer.register_forward_pre_hook(
            lambda module, args: (args[0].detach().requires_grad_(), *args[1:])
        )
    states = base.model(input_ids=batch.input_ids, use_cache=False).last_hidden_state
    logits = base.lm_head(states[batch.rows, batch.positions])
    F.cross_entropy(logits.float(), batch.targets).backward()
    if hook is not None:
        hook.remove()
    for one in own:
        one.grad = None
        one.requires_grad_(False)


def bench(model: str, rows: int, tokens: int, slots: int, rounds: int) -> dict[str, Any]:
    """Return medians and ratios."""
    torch.set_num_threads(1)
    decoder = ReasoningDecoder(DecoderConfig(model, "cpu", "latent"))
    training = TrainingConfig(batch_size=rows, steps=1_000_000, grad_clip=1.0)
    engine = PlainEngine(Reader(decoder, Weights()), training)
    batch = make_batch(decoder, rows, tokens, slots)
    square = torch.randn(SIDE, SIDE)
    found = turns(
        {
            "training": lambda: take(engine, [batch], 0, training),
            "own": lambda: alone(decoder, batch, weights=True),
            "frozen": lambda: alone(decoder, batch, weights=False),
            "product": lambda: square @ square,
        },
        rounds,
    )
    spent = {name: statistics.median(times) for name, times in found.items()}
    work = arithmetic(decoder).step(rows * tokens, batch.targets.numel(), rows * slots)
    peak = 2.0 * SIDE**3 / spent.pop("product")
    return {
        "model": Path(model).name,
        "rows": rows,
        "tokens": tokens,
        "slots": slots,
        "rounds": rounds,
        "cpu_seconds": {name: round(one, 3) for name, one in spent.items()},
        "ratio": {name: round(spent[name] / spent["training"], 3) for name in ("own", "frozen")},
        "goal": GOAL,
        "tokens_per_cpu_second": round(rows * tokens / spent["training"], 1),
        "mfu": round(work / spent["training"] / peak, 3),
        "gflops_of_a_matrix_product": round(peak / 1e9, 1),
        "spread": {name: [round(min(t), 3), round(max(t), 3)] for name, t in found.items()},
    }


def main() -> None:
    """Run the bench and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/throughput.json"))
    args = parser.parse_args()
    found = bench(args.model, args.rows, args.tokens, args.slots, args.rounds)
    found["command"] = (
        f"python -m tests.bench.throughput --rows {args.rows} --tokens {args.tokens} "
        f"--slots {args.slots} --rounds {args.rounds}"
    )
    write_atomic(args.out, (json.dumps(found, indent=1) + "\n").encode())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
