"""The router: what its index costs and finds at scale, and what part of its score finds real code.

    python -m tests.bench.router [--records N] [--spreads S …] [--stores FOLDER]
                                 [--questions FILE] [--parts P …] [--out FILE]

scale   N seeded documents of one record each: a routing vector of 576 numbers around one of 1,000
        centres, 40 words drawn by Zipf's law, one name of its own; keys and values are one number,
        because routing does not read them. Half carry the label `secret`. Recall is the share of
        the 16 nearest (exact search in RAM) that Lance finds; `spread` is the noise around a centre
        (0.3: clusters far apart; 3: they overlap so far that cells tell nothing). Milliseconds are
        medians of `QUERIES`, after one round of them. `cells`: that many searched, once. Filling
        the stores takes longest: `--stores` keeps them, and those of an earlier run are used.
recall  questions about small Python files of the installed packages (`symbols.build_items`: the
        text before a name, or a test before a constant; the answer stands in one other file), with
        SmolLM2-135M's own routing vectors: how often that file is among the first 1, 4 and 16,
        by parts of the score. The file asked from is never a candidate. `held_out` are other
        packages, larger files, more documents, and no vectors. Vectors are kept in `--questions`.
Limits: other load on the machine shows in the times; the packages are those of this environment.
"""

import argparse
import json
import random
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from awareness_model.base import plain_ids
from awareness_model.config import EncoderConfig, MemoryConfig
from awareness_model.encoder import ContextEncoder
from awareness_model.memory import Document, LatentMemoryStore
from awareness_model.memory import nearest as index
from awareness_model.memory.lexicon import Lexicon
from awareness_model.memory.nearest import index_routes, nearest_documents
from awareness_model.memory.router import Candidate, RouteTopK
from awareness_model.memory.routing import SPARE, Source, Weights, choose, prior
from awareness_model.memory.within import within
from awareness_model.schema import content_hash, write_atomic
from awareness_pipeline.symbols.items import Item, build_items

WIDTH, CENTRES, DEPTH, QUERIES = 576, 1000, 16, 50
GROUP = 5000
CELLS = (16, 64, 128)
WORDS = 20_000
PIECE = 192
"""Tokens of a file behind one routing vector."""
LARGEST, HELD_OUT = 1300, 6000
"""Characters of a file: with vectors, and without."""
PARTS = {
    "vectors alone": Weights(1.0, 0.0, 0.0, 0.0),
    "words alone": Weights(0.0, 1.0, 0.0, 0.0),
    "names alone": Weights(0.0, 0.0, 1.0, 0.0),
    "paths alone": Weights(0.0, 0.0, 0.0, 1.0),
    "words + vectors": Weights(1.0, 1.0, 0.0, 0.0),
    "words + names": Weights(0.0, 1.0, 0.25, 0.0),
    "words + names + paths": Weights(0.0, 1.0, 0.25, 1.0),
    "default": Weights(),
}


class One:
    """An encoded chunk of one number."""

    keys = torch.zeros(1, 1, 1)
    values = None
    tokens = 1
    span = (0, 1)

    def __init__(self, route: Tensor) -> None:
        self.route = route


def vectors(count: int, spread: float, seed: int) -> Tensor:
    """Return routing vectors `[count, WIDTH]` around the centres."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(CENTRES, WIDTH, generator=torch.Generator().manual_seed(0))
    made = torch.randn(count, WIDTH, generator=draw).mul_(spread)
    made += centres[torch.randint(CENTRES, (count,), generator=draw)]
    return normalize(made, dim=1)


def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and its milliseconds."""
    begun = time.perf_counter()
    found = act()
    return found, 1000 * (time.perf_counter() - begun)


def filled(folder: Path, made: Tensor) -> LatentMemoryStore:
    """Return a store with a document a vector, named by its number, without the index."""
    store = LatentMemoryStore(MemoryConfig(str(folder), "float32", exact_below=len(made) + 1))
    if (held := store.records.found()) is not None and held.count_rows() == len(made):
        for one in held.describe_indices():
            if "route" in one.field_names:
                held.drop_index(one.name)
        return store
    for start in range(0, len(made), GROUP):
        documents = [
            Document(f"src/d{n // 50}/f{n}.py", name_of(n), [One(route)], acl=acl_of(n))
            for n, route in enumerate(made[start : start + GROUP], start)
        ]
        store.put_documents(documents, "latent", "bench")
    store.compact()
    return store


def name_of(number: int) -> str:
    """Return a document's content hash."""
    return content_hash(str(number).encode())


def acl_of(number: int) -> str:
    """Return a document's label."""
    return "secret" if number % 2 else "public"


def texts(count: int) -> dict[str, str]:
    """Return documents' texts by content hash."""
    rng = random.Random(0)
    common = [1 / (rank + 1) for rank in range(WORDS)]
    words = rng.choices([f"word{n}" for n in range(WORDS)], common, k=40 * count)
    return {
        name_of(n): f"def own{n}():\n    " + " ".join(words[40 * n : 40 * n + 40])
        for n in range(count)
    }


def scale(count: int, folder: Path, spreads: Sequence[float]) -> dict[str, Any]:
    """Measure search over `count` records, for each spread; whole choices for the last."""
    report: dict[str, Any] = {"records": count, "exact_below": MemoryConfig().exact_below}
    for spread in spreads:
        made, asked = vectors(count, spread, 1), vectors(QUERIES, spread, 2)
        store = filled(folder / str(spread), made)
        report[f"spread {spread:g}"] = searched(store, made, asked)
        print(spread, json.dumps(report[f"spread {spread:g}"]), flush=True)
    report["choose"] = chosen(store, asked)
    return report


def searched(store: LatentMemoryStore, made: Tensor, asked: Tensor) -> dict[str, Any]:
    """Build the index and compare it with exact search."""
    nearest = (asked @ made.T).topk(DEPTH, dim=1).indices.tolist()
    wanted = [{name_of(n) for n in one} for one in nearest]
    _, build = timed(lambda: index_routes(store.records, above=0))
    fixed = store.records.at(store.records.number())
    table = fixed.found()
    assert table is not None
    allowed, mask = timed(lambda: within(fixed, [name_of(n) for n in range(len(made))]))
    report: dict[str, Any] = {"build_seconds": round(build / 1000, 1), "mask_ms": round(mask, 1)}

    def measure(label: str, search: Callable[[Tensor], Sequence[str]]) -> None:
        for q in asked:
            search(q)
        report[label] = _recall([timed(lambda q=q: search(q)) for q in asked], wanted)

    most = DEPTH + SPARE
    measure("exact", lambda q: nearest_documents(table, allowed, q, most, exact=True))
    measure("index", lambda q: nearest_documents(table, allowed, q, most))
    for cells in CELLS:
        how = {"column": "route", "metric": "dot", "nprobes": cells}
        measure(
            f"{cells} cells",
            lambda q, h=how: index._search(table, allowed, {**h, "q": q.numpy()}, most),
        )
    return report


def _recall(
    found: Sequence[tuple[Sequence[str], float]], wanted: Sequence[set[str]]
) -> dict[str, float]:
    hits = [
        len(right.intersection(one[:DEPTH])) / DEPTH
        for (one, _), right in zip(found, wanted, strict=True)
    ]
    ms = statistics.median(one for _, one in found)
    return {"recall_at_16": round(statistics.mean(hits), 4), "ms": round(ms, 1)}


def chosen(store: LatentMemoryStore, asked: Tensor) -> dict[str, Any]:
    """Time whole choices: all documents, the public half, and one folder's 50."""
    lexicon = Lexicon(store.config)
    held = texts(store.records.found().count_rows())
    lexicon.put(held)
    source = Source(store, lexicon, "latent", "bench")
    report: dict[str, Any] = {}
    scopes = {
        "all": ("**", ("public", "secret")),
        "public half": ("**", ("public",)),
        "one folder": ("src/d7/**", ("public", "secret")),
    }
    for label, (glob, acl) in scopes.items():
        found, listed = timed(lambda g=glob, a=acl: store.documents(g, a))
        paths = {name: path for path, name in found.items()}
        choose(source, paths, "word7", asked[0], DEPTH)
        times = [
            timed(lambda n=n, p=paths: choose(source, p, f"call own{n} and word{n}", asked[n], 16))
            for n in range(15)
        ]
        ms = statistics.median(one for _, one in times)
        report[label] = {"documents": len(paths), "list_ms": round(listed), "ms": round(ms, 1)}
        print(label, report[label], flush=True)
    return report


def packages(largest: int) -> list[dict[str, str]]:
    """Return the small Python files of each installed package, by path."""
    place = Path(sysconfig.get_paths()["purelib"])
    found = []
    for package in sorted(one.parent for one in place.glob("*/__init__.py")):
        files = sorted(package.rglob("*.py"))[:400]
        read = {str(one.relative_to(place)): one.read_text(errors="ignore") for one in files}
        small = {path: text for path, text in read.items() if 200 < len(text) <= largest}
        found += [small] if len(small) >= 4 else []
    return found


def questions(trees: Sequence[dict[str, str]], each: int, most: int, seed: int) -> dict[str, Any]:
    """Return `each` questions a kind and at most `most` documents, those that answer first."""
    rng = random.Random(seed)
    files: dict[str, str] = {}
    items: list[Item] = []
    for tree in trees:
        rows = [(path, "Python", text) for path, text in tree.items()]
        if got := build_items(rows, seed=0, limit=12):
            items += got
            files |= tree
    kept: list[Item] = []
    for kind in ("remote", "needle"):
        mine = [one for one in items if one.kind == kind]
        rng.shuffle(mine)
        kept += mine[:each]
    gold = sorted({path for one in kept for path in one.gold})
    rest = sorted(set(files) - set(gold))
    rng.shuffle(rest)
    names = (gold + rest)[: max(most, len(gold))]
    return {
        "texts": {name: files[name] for name in names},
        "items": [[one.kind, one.path, one.prompt, one.gold[0]] for one in kept],
    }


def encoded(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the questions with SmolLM2's vectors; only the layers up to the middle are run."""
    encoder = ContextEncoder(EncoderConfig())
    layers = encoder.model.model.layers
    encoder.model.model.layers = layers[: len(layers) // 2 + 1]

    def route(ids: Sequence[int]) -> Tensor:
        return encoder.query_route(ids).cpu()

    def pieces(text: str) -> Tensor:
        ids = plain_ids(encoder.tokenizer, text)
        return torch.stack([route(ids[n : n + PIECE]) for n in range(0, len(ids), PIECE)])

    queries = [route(plain_ids(encoder.tokenizer, item[2])[-128:]) for item in asked["items"]]
    return {
        **asked,
        "queries": torch.stack(queries),
        "routes": {path: pieces(text) for path, text in asked["texts"].items()},
    }


def recall(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return recall at 1, 4 and 16 by parts of the score and kind of question."""
    lexicon = Lexicon(MemoryConfig(str(folder)))
    lexicon.put(asked["texts"])
    with_vectors = "routes" in asked
    blind = torch.ones(1, 1)
    source = Source(LatentMemoryStore(MemoryConfig(str(folder))), lexicon, "", "")
    report: dict[str, Any] = {"documents": len(asked["texts"]), "questions": len(asked["items"])}
    for label, weights in PARTS.items():
        if not with_vectors and weights.route:
            continue
        places: dict[str, list[int]] = {}
        for number, (kind, path, prompt, gold) in enumerate(asked["items"]):
            pool = {one: one for one in asked["texts"] if one != path or one == gold}
            held = prior(replace(source, weights=weights), pool, prompt)
            candidates = [
                Candidate(one, one, 0, route)
                for one in pool
                for route in (asked["routes"][one] if with_vectors else blind)
            ]
            query = asked["queries"][number] if with_vectors else blind[0]
            order = RouteTopK(candidates, held, weights.route).select(query, DEPTH).record_ids
            names = list(dict.fromkeys(order))
            places.setdefault(kind, []).append(names.index(gold) if gold in names else DEPTH)
        report[label] = {kind: _at(found) for kind, found in places.items()}
        print(label, report[label], flush=True)
    return report


def _at(places: Sequence[int]) -> dict[str, float]:
    share = {depth: sum(one < depth for one in places) / len(places) for depth in (1, 4, DEPTH)}
    return {f"at_{depth}": round(value, 3) for depth, value in share.items()} | {"n": len(places)}


def main(argv: Sequence[str] | None = None) -> None:
    """Run and print, or write, the parts."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.router")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--spreads", nargs="+", type=float, default=[0.3, 3.0])
    parser.add_argument("--stores", type=Path, help="keeps the filled stores")
    parser.add_argument("--parts", nargs="+", default=["scale", "recall"])
    parser.add_argument("--questions", type=Path, help="keeps questions with their vectors")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    report = json.loads(args.out.read_bytes()) if args.out and args.out.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        if "scale" in args.parts:
            place = args.stores or Path(folder)
            report["scale"] = scale(args.records, place, args.spreads)
        if "recall" in args.parts:
            if args.questions and args.questions.is_file():
                asked = torch.load(args.questions)
            else:
                asked = encoded(questions(packages(LARGEST)[::2], 55, 160, 0))
                if args.questions:
                    torch.save(asked, args.questions)
            report["recall"] = recall(asked, Path(folder) / "asked")
            other = questions(packages(HELD_OUT)[1::2], 150, 640, 1)
            report["held_out"] = recall(other, Path(folder) / "other")
    if args.out:
        write_atomic(args.out, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
