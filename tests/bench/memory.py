"""The memory's store: what a write, a rename, a scope and a fetch cost as documents grow.

    python -m tests.bench.memory [--documents N …] [--kv N …] [--dtype D] [--folder F] [--out FILE]

Records are seeded, of the true shape for SmolLM2-135M: a document is one chunk of 32 slots, each of
7 layers x 576 (`latent`, 128 tokens at 4 a slot) or of 30 layers x 3 heads x 64, twice (`kv`, 32
tokens); routing vectors are drawn around 1,000 clusters. Each size is a store of its own, filled in
groups, compacted once, then used `ROUNDS` times for each operation, one commit after the other (a
first run at the smallest size, to warm up, is thrown away):

    put        a new document: records, then its row
    replace    an edit: another content at a path that is there
    rename     a row moves, no record is written
    remove     a row goes
    scope      `documents("src/dir7/**")`: 50 paths, or all where there are fewer
    fetch      the tensors of 16 documents from the disk (no hot rows)
    hot        the same 16 documents again, from RAM
    compact    once, after all that; then `collect`, which leaves one version

Goals: no p50 at the largest number of documents more than `FLAT` times that at the smallest.
Limits: one process and a local disk with a warm page cache; other load on the machine shows.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from awareness_model.config import MemoryConfig
from awareness_model.memory import Document, LatentMemoryStore
from awareness_model.memory.payload import cost_table
from awareness_model.schema import content_hash, write_atomic

SLOTS = 32
SHAPES = {"latent": (7, 576), "kv": (30, 3, 64)}
COSTS = {
    "SmolLM2-135M": {"latent": ((7, 576), False), "kv": ((30, 3, 64), True)},
    "Qwen3-0.6B": {"latent": ((7, 1024), False), "kv": ((28, 8, 128), True)},
}
ROUTE, CLUSTERS = 576, 1000
GROUP = 250
ROUNDS = 30
FLAT = 1.5
CENTRES = torch.randn(CLUSTERS, ROUTE, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True, slots=True)
class Seeded:
    """One encoded chunk."""

    keys: Tensor
    values: Tensor | None
    route: Tensor
    tokens: int = 4 * SLOTS
    span: tuple[int, int] = (0, 400)


def documents(layout: str, count: int, start: int = 0) -> Iterator[Document]:
    """Yield seeded documents; 50 paths a folder."""
    draw = torch.Generator().manual_seed(start)
    shape = (SLOTS, *SHAPES[layout])
    base = torch.randn(shape, generator=draw)
    for n in range(start, start + count):
        near = CENTRES[n % CLUSTERS] + 0.3 * torch.randn(ROUTE, generator=draw)
        keys = base.flatten().roll(37 * n).reshape(shape)
        route = torch.nn.functional.normalize(near, dim=0)
        chunk = Seeded(keys, keys + 1 if layout == "kv" else None, route)
        yield Document(f"src/dir{n // 50}/f{n}.py", content_hash(str(n).encode()), [chunk])


def timed(act: Callable[[int], Any], rounds: int = ROUNDS) -> dict[str, float]:
    """Return milliseconds of an operation: wall median, 95th percentile and largest, and the median
    of the processor time of all threads, which other load shows in far less."""
    wall, cpu = [], []
    for n in range(rounds):
        begun, used = time.perf_counter(), time.process_time()
        act(n)
        wall.append(1000 * (time.perf_counter() - begun))
        cpu.append(1000 * (time.process_time() - used))
    wall.sort()
    numbers = {
        "p50": statistics.median(wall),
        "p95": wall[int(0.95 * (len(wall) - 1))],
        "max": wall[-1],
        "cpu_p50": statistics.median(cpu),
    }
    return {name: round(value, 2) for name, value in numbers.items()}


def filled(folder: Path, layout: str, count: int, dtype: str) -> tuple[LatentMemoryStore, float]:
    """Return a store of `count` documents and the seconds its writes took."""
    store = LatentMemoryStore(MemoryConfig(str(folder), dtype))
    seconds = 0.0
    for start in range(0, count, GROUP):
        group = list(documents(layout, min(GROUP, count - start), start))
        begun = time.perf_counter()
        store.put_documents(group, layout, "bench", 4)
        seconds += time.perf_counter() - begun
    begun = time.perf_counter()
    store.compact()
    return store, seconds + time.perf_counter() - begun


def measured(folder: Path, layout: str, count: int, dtype: str) -> dict[str, Any]:
    """Fill a store and time every operation on it."""
    store, seconds = filled(folder, layout, count, dtype)
    cold = LatentMemoryStore(MemoryConfig(str(folder), dtype, hot_bytes=0))
    new = list(documents(layout, ROUNDS, count))
    other = list(documents(layout, ROUNDS, count + ROUNDS))
    held = list(store.documents().items())
    step = max(1, len(held) // 512)
    wanted = [[name for _, name in held[n : n + 16 * step : step]] for n in range(ROUNDS)]

    def put(one: Document) -> bool:
        return store.put_documents([one], layout, "bench", 4)

    def replaced(n: int) -> Document:
        return Document(held[n][0], other[n].content_hash, other[n].encodings)

    result: dict[str, Any] = {"documents": count, "fill_seconds": round(seconds, 2)}
    result["scope"] = timed(lambda n: store.documents("src/dir1/**"))
    result["fetch"] = timed(lambda n: cold.chunks(wanted[n], layout, "bench"))
    store.chunks(wanted[0], layout, "bench")
    result["hot"] = timed(lambda n: store.chunks(wanted[0], layout, "bench"))
    result["put"] = timed(lambda n: put(new[n]))
    result["replace"] = timed(lambda n: put(replaced(n)))
    result["rename"] = timed(lambda n: store.move(held[n][0], f"moved/{n}.py"))
    result["remove"] = timed(lambda n: store.remove(f"moved/{n}.py"))
    result["fetch_after_edits"] = timed(lambda n: cold.chunks(wanted[n], layout, "bench"))
    result["compact_ms"] = timed(lambda n: store.compact(), 1)["max"]
    result["collect_ms"] = timed(lambda n: store.collect_garbage(timedelta(0)), 1)["max"]
    result["disk_bytes"] = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    return result


OPERATIONS = ("put", "replace", "rename", "remove", "scope", "fetch", "hot")


def growth(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return p50 at the largest size over p50 at the smallest, of wall and processor time."""
    first, last = results[0], results[-1]
    return {
        kind: {name: round(last[name][kind] / first[name][kind], 2) for name in OPERATIONS}
        for kind in ("p50", "cpu_p50")
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run and print, or write, everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory")
    parser.add_argument("--documents", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--kv", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--dtype", default="int8")
    parser.add_argument("--folder", type=Path, help="where the stores go; default: a temporary one")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "dtype": args.dtype,
        "slots": SLOTS,
        "torch_threads": 1,
    }
    for layout, sizes in (("latent", args.documents), ("kv", args.kv)):
        results: list[dict[str, Any]] = []
        for count in [*sizes[:1], *sizes]:
            with tempfile.TemporaryDirectory(dir=args.folder) as folder:
                results.append(measured(Path(folder), layout, count, args.dtype))
                print(layout, json.dumps(results[-1]), flush=True)
        del results[:1]
        if results:
            report[layout] = {"sizes": results, "growth": growth(results), "goal": FLAT}
            print(layout, "growth", report[layout]["growth"])
    for model, slots in COSTS.items():
        report[f"bytes {model}"] = cost_table(slots, pooling=1).splitlines()
        print(model, cost_table(slots), sep="\n")
    if args.out:
        write_atomic(args.out, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
