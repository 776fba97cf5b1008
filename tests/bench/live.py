"""How soon an edit is in memory: `LiveMemory.update` beside the encoding of that file alone.

    python -m tests.bench.live [--documents N …] [--kv N …] [--real N] [--out FILE]

Two parts, with SmolLM2-135M in a git work tree, stores in bfloat16 as `awareness index` makes them:

    edits   a store holds N seeded documents of true shape (tests/bench/memory.py, routing vectors
            around 1,000 clusters). One file is rewritten `ROUNDS` times, each time to another file
            of an installed package (`EDIT_BYTES`); the same text is also encoded by itself, which
            of both comes first alternates. `visible` ends when a reader finds the new records.
            By kind: `latent` at --documents, `kv` at --kv
    real    --real files of installed packages (`REAL_BYTES`), spread over all, are indexed as
            `kv`; how much of it is the encoder

Goals: visible ≤ 1.5 × encode, and flat in N. `cpu` seconds are the process's and its children's
(git), one thread for tensors; `wall` is what a user waits and grows with what else the machine
does: `load` is its run queue a core, `ratio_least_times` that of the quickest rounds. `beside_ms`
is what is not the encoder, which also tells how fast one may be before the goal breaks.
Limits: one process, local disk, warm page cache; no round meets the merge of small files that every
64th commit makes (`tests/bench/memory.py` has it).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from awareness_model import home
from awareness_model.config import EncoderConfig, MemoryConfig
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.memory import LatentMemoryStore
from awareness_model.memory.live import LiveMemory
from awareness_model.schema import write_atomic
from tests.bench.memory import filled

ROUNDS = 9
EDIT_BYTES = (600, 900)
REAL_BYTES = (200, 500)
DTYPE = "bfloat16"
CLOCKS = ("cpu", "wall")


class Encoder:
    """SmolLM2-135M in one layout; counts what it does."""

    def __init__(self, layout: str) -> None:
        config = EncoderConfig()
        self.layout = layout
        self.fingerprint = encoder_fingerprint(config, layout)
        self.inner = ContextEncoder(config)
        self.spent, self.tokens = (0.0, 0.0), 0

    def encode(self, texts: Sequence[str], paths: Sequence[str]) -> Any:
        begun = now()
        made = self.inner.encode(texts, self.layout, paths)
        self.spent = tuple(s + n - b for s, n, b in zip(self.spent, now(), begun, strict=True))
        self.tokens += sum(chunk.tokens for chunks in made for chunk in chunks)
        return made


def now() -> tuple[float, float]:
    """Seconds of processor time (with children that ended) and of the wall."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = time.process_time() + children.ru_utime + children.ru_stime
    return used, time.perf_counter()


def real_texts(count: int, least: int, most: int) -> list[str]:
    """Different source files of installed packages, spread evenly over all of that size."""
    place = Path(sysconfig.get_paths()["purelib"])
    fitting = [one for one in sorted(place.rglob("*.py")) if least <= one.stat().st_size <= most]
    texts = list(dict.fromkeys(one.read_text(errors="ignore") for one in fitting))
    step = len(texts) // count
    return texts[: step * count : step]


def new_root(folder: Path) -> Path:
    root = folder / "root"
    home.make_home(root.mkdir() or root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def edits(folder: Path, count: int, encoder: Encoder) -> dict[str, Any]:
    """Fill a store, then edit one file again and again."""
    store, _ = filled(folder / "memory", encoder.layout, count, DTYPE)
    memory = LiveMemory(new_root(folder), store, encoder)
    rounds: list[dict[str, tuple[float, float]]] = []
    for number, text in enumerate(real_texts(ROUNDS + 1, *EDIT_BYTES)):
        took = {}
        for kind in sorted(("encode", "visible"), reverse=bool(number % 2)):
            begun = now()
            if kind == "encode":
                encoder.encode([text], ["file.py"])
            else:
                (memory.root / "file.py").write_text(text)
                done = memory.update("file.py")
                (name,) = store.documents("file.py").values()
                assert store.held([name], encoder.layout, encoder.fingerprint)
                assert done.encoded == ("file.py",)
            took[kind] = tuple(n - b for n, b in zip(now(), begun, strict=True))
        rounds.append(took)
    return {"documents": count, **summary(rounds[1:])}


def summary(rounds: Sequence[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    """Medians and the quietest round, by clock."""
    found: dict[str, Any] = {}
    for place, clock in enumerate(CLOCKS):
        encode = [one["encode"][place] for one in rounds]
        visible = [one["visible"][place] for one in rounds]
        pairs = [after / alone for alone, after in zip(encode, visible, strict=True)]
        beside = [1000 * (after - alone) for alone, after in zip(encode, visible, strict=True)]
        found[clock] = {
            "encode_s": round(statistics.median(encode), 3),
            "visible_s": round(statistics.median(visible), 3),
            "ratio": round(statistics.median(pairs), 3),
            "ratio_largest": round(max(pairs), 3),
            "ratio_least_times": round(min(visible) / min(encode), 3),
            "beside_ms": round(statistics.median(beside), 1),
        }
    return found


def real(folder: Path, count: int, encoder: Encoder) -> dict[str, Any]:
    """Index real files; the encoder's share of it."""
    root = new_root(folder)
    texts = real_texts(count, *REAL_BYTES)
    for number, text in enumerate(texts):
        (root / f"f{number}.py").write_text(text)
    store = LatentMemoryStore(MemoryConfig(str(root / ".awareness" / "memory"), DTYPE))
    encoder.spent, encoder.tokens = (0.0, 0.0), 0
    begun = now()
    done = LiveMemory(root, store, encoder).index()
    cpu, wall = (n - b for n, b in zip(now(), begun, strict=True))
    assert len(done.encoded) == len(texts)
    return {
        "documents": len(texts),
        "bytes": sum(len(text.encode()) for text in texts),
        "tokens": encoder.tokens,
        "index_s": {"cpu": round(cpu, 1), "wall": round(wall, 1)},
        "encode_s": {name: round(s, 1) for name, s in zip(CLOCKS, encoder.spent, strict=True)},
        "ratio": {
            name: round(all_of_it / s, 3)
            for name, all_of_it, s in zip(CLOCKS, (cpu, wall), encoder.spent, strict=True)
        },
        "encode_ms_a_document_cpu": round(1000 * encoder.spent[0] / len(texts), 1),
        "tokens_a_cpu_second": round(encoder.tokens / encoder.spent[0], 1),
    }


def load() -> float:
    """Processes that want to run, a core, over the last minute."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def main(argv: Sequence[str] | None = None) -> None:
    """Run and print, or write, everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.live")
    parser.add_argument("--documents", type=int, nargs="*", default=[100, 10_000])
    parser.add_argument("--kv", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--real", type=int, default=500)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    report: dict[str, Any] = {"rounds": ROUNDS, "cores": os.cpu_count(), "threads": 1, "goal": 1.5}
    for layout, sizes in (("latent", args.documents), ("kv", args.kv)):
        encoder = Encoder(layout)
        results = []
        for count in sizes:
            with tempfile.TemporaryDirectory() as folder:
                before = load()
                results.append(edits(Path(folder), count, encoder))
                results[-1]["load"] = [before, load()]
            print(layout, json.dumps(results[-1]), flush=True)
        if len(results) > 1:
            first, last = results[0], results[-1]
            growth = {c: last[c]["visible_s"] / first[c]["visible_s"] for c in ("cpu", "wall")}
            beside = last["cpu"]["beside_ms"] - first["cpu"]["beside_ms"]
            report[f"{layout}_growth"] = {c: round(value, 3) for c, value in growth.items()}
            report[f"{layout}_growth"]["beside_ms_cpu"] = round(beside, 1)
        report[layout] = results
    if args.real:
        with tempfile.TemporaryDirectory() as folder:
            before = load()
            report["real"] = {**real(Path(folder), args.real, encoder), "load": [before, load()]}
        print("real", json.dumps(report["real"]), flush=True)
    if args.out:
        write_atomic(args.out, f"{json.dumps(report, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
