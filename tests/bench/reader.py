"""The reader bench: does a trained reader use its memory, measured on files it has never seen.

The task of reference/model.md, section 7.1: one-function files `def a_b():` / `return 4831`, query
`assert a_b() == `, answer the four digits. A reader is trained for 230 steps with the gold file
alone visible, then two, then four; then files of other repositories are read at 1, 2, 4 and 8
visible documents: the own ones, against as many others (shuffled). Run by `make bench`.

It goes through the same store, traces, trainer and checkpoint as the flow. Chance is ln 10 = 2.303
nats per digit. Limits: one seed; few queries (96); no text-in-context or kv row.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from awareness_model.base import load_model, plain_ids, tokenizer_fingerprint
from awareness_model.checkpoint import load_gca, read_record
from awareness_model.config import (
    DecoderConfig,
    EncoderConfig,
    MemoryConfig,
    TrainingConfig,
    default_model,
)
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.feed import collate_batch
from awareness_model.memory.shelf import Shelf
from awareness_model.memory.store import LatentMemoryStore
from awareness_model.schema import (
    TRACE_COLUMNS,
    SnapshotRow,
    TrainJob,
    content_hash,
    write_atomic,
)
from awareness_model.traces import arrow_type
from awareness_model.train import read_report, train
from awareness_model.views import View

FILES, FILES_PER_REPOSITORY, QUERIES = 1_600, 8, 96
READ_AT = (1, 2, 4, 8)
BATCH = 8
SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo")
TRACE_ROW = {
    "sha": "child",
    "parent_sha": "tree",
    "kind": "reconstruction",
    "style": "",
    "target": "span",
    "prompt": "",
    "student_path": "",
    "top_k": 0,
    "topk_ids": [],
    "topk_logprobs": [],
    "tail_mass": [],
    "manifest_paths": [],
    "manifest_tokens": [],
    "manifest_reasons": [],
    "hops": 0,
    "chain": "",
    "step": 0,
    "language": "Python",
    "repository_bytes": 0,
    "finish_reason": "forced",
}


@dataclass(frozen=True, slots=True)
class OneFunction:
    """A file that holds one number under a name."""

    repo_id: int
    name: str
    value: str

    @property
    def text(self) -> str:
        """Return the file."""
        return f"def {self.name}():\n    return {self.value}\n"

    @property
    def hash(self) -> str:
        """Return what names it in the store."""
        return content_hash(self.text.encode())


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers with one memory at one number of visible documents."""

    ce: float
    """Nats per answer token."""
    digits: float
    """Share of right answer tokens."""
    exact: float
    """Share of right answers."""
    cited: float
    """Share of queries whose first answer token attends most to the gold document, in the middle
    reading layer; 0 where none is visible."""


def make_files(count: int, seed: int) -> list[OneFunction]:
    """Return files with names that differ and numbers that are drawn."""
    draw = random.Random(f"reader bench {seed}")
    names: dict[str, None] = {}
    while len(names) < count:
        words = ["".join(draw.choices(SYLLABLES, k=2)) for _ in range(2)]
        names["_".join(words)] = None
    return [
        OneFunction(number // FILES_PER_REPOSITORY, name, f"{draw.randrange(10_000):04d}")
        for number, name in enumerate(names)
    ]


def remember(files: Sequence[OneFunction], encoder: ContextEncoder, folder: Path) -> None:
    """Encode what the store does not hold yet."""
    store, config = LatentMemoryStore(MemoryConfig(str(folder))), encoder.config
    encoding = encoder_fingerprint(config, "latent")
    by_hash = {file.hash: file for file in files}
    missing = store.missing(set(by_hash), "latent", encoding)
    for start in range(0, len(missing), 100):
        part = missing[start : start + 100]
        made = encoder.encode([by_hash[one].text for one in part], "latent")
        store.upsert(dict(zip(part, made, strict=True)), "latent", encoding)
        print(f"encoded {start + len(part)}/{len(missing)}", file=sys.stderr, flush=True)
    store.put_snapshot(
        [SnapshotRow(file.repo_id, "tree", f"{file.name}.py", file.hash) for file in files]
    )


def trace_of(file: OneFunction, tokenizer: object, fingerprint: str) -> dict[str, object]:
    """Return the trace row that asks for a file's number."""
    prompt = f"assert {file.name}() == "
    return {
        **TRACE_ROW,
        "trace_id": file.name,
        "repo_id": file.repo_id,
        "student_prompt_ids": plain_ids(tokenizer, prompt),
        "response_ids": plain_ids(tokenizer, file.value),
        "response_text": file.value,
        "gold_paths": [f"{file.name}.py"],
        "tokenizer_fingerprint": fingerprint,
    }


@torch.no_grad()
def read(
    decoder: ReasoningDecoder,
    store: Shelf,
    files: Sequence[OneFunction],
    visible: int,
    own: bool,
) -> Reading:
    """Answer for every file with `visible` documents: its own and others, or others alone."""
    fingerprint = tokenizer_fingerprint(decoder.tokenizer)
    draw = random.Random(f"read at {visible}")
    nats, hits, exact, cited, tokens = 0.0, 0, 0, 0, 0
    middle = decoder.reading_layers[len(decoder.reading_layers) // 2]
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        views = []
        for file in part:
            others = draw.sample([one.hash for one in files if one != file], visible)
            gold = (file.hash,) if own else ()
            views.append(View(gold, tuple(others[: visible - len(gold)])))
        traces = [trace_of(file, decoder.tokenizer, fingerprint) for file in part]
        batch = collate_batch(traces, views, store, TrainingConfig(), filler=0)
        reading = decoder.prepare(batch.memory, want_mass=True)
        output = decoder.base.model(input_ids=batch.input_ids, memory=reading, use_cache=False)
        logits = decoder.base.lm_head(output.last_hidden_state[batch.rows, batch.positions])
        nats += torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum").item()
        right = logits.argmax(-1) == batch.targets
        tokens += len(right)
        hits += int(right.sum())
        assert reading.mass is not None
        mass = reading.mass[middle][batch.rows, batch.positions, 1:]
        for row in range(len(part)):
            here = batch.rows == row
            exact += bool(right[here].all())
            document = batch.memory.document[row]
            shares = [mass[here][0][document == one].sum().item() for one in range(visible)]
            cited += own and shares.index(max(shares)) == 0
    count = len(files)
    return Reading(nats / tokens, hits / tokens, exact / count, cited / count)


def bench(model: str, out: Path, steps: int) -> dict[str, object]:
    """Train and read; return the results."""
    files = make_files(FILES + QUERIES, seed=0)
    taught, asked = files[:FILES], files[FILES:]
    loaded = load_model(model)
    remember(files, ContextEncoder.from_model(*loaded, EncoderConfig(model, "cpu")), out / "store")
    fingerprint = tokenizer_fingerprint(loaded[1])
    rows = [trace_of(file, loaded[1], fingerprint) for file in taught]
    schema = pa.schema([(name, arrow_type(kind)) for name, kind in TRACE_COLUMNS.items()])
    out.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, out / "traces.parquet", row_group_size=32)
    training = TrainingConfig(
        steps=steps,
        learning_rate=2e-3,
        visible_documents=(1, 2, 4),
        visible_switch=(90 / 230, 150 / 230),
        citation_weight=0.3,
        kl_weight=0.0,
        checkpoint_every=10,
        output_dir=str(out / "training"),
    )
    store = str(out / "store")
    train(TrainJob(model, "cpu", store, (str(out / "traces.parquet"),), training))
    decoder = ReasoningDecoder(DecoderConfig(model, "cpu", "latent"))
    load_gca(decoder, out / "training" / "final")
    encoding = encoder_fingerprint(EncoderConfig(model, "cpu"), "latent")
    documents = Shelf(LatentMemoryStore(MemoryConfig(store)), "latent", encoding)
    found = []
    for visible in READ_AT:
        own = read(decoder, documents, asked, visible, own=True)
        other = read(decoder, documents, asked, visible, own=False)
        row = {"visible": visible, "own": own.ce, "shuffled": other.ce, "S": other.ce - own.ce}
        row |= {"digits": own.digits, "exact": own.exact, "cited": own.cited}
        found.append({name: round(value, 4) for name, value in row.items()})
    report = read_report(out / "training")
    record = read_record(out / "training" / "final")
    assert report is not None
    settings = {"steps": steps, "files": report.samples, "queries": len(asked)}
    return {**settings, "settings": record.settings, "weights": record.digest, "read_at": found}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--out", type=Path, default=Path("outputs/bench/reader"), help="work here")
    parser.add_argument("--results", type=Path, default=Path("results/reader.json"))
    parser.add_argument("--steps", type=int, default=230)
    args = parser.parse_args(argv)
    results = bench(args.model, args.out, args.steps)
    write_atomic(args.results, (json.dumps(results, indent=1) + "\n").encode())
    columns = ("visible", "own", "shuffled", "S", "digits", "exact", "cited")
    print("".join(f"{name:>10}" for name in columns))
    for row in results["read_at"]:  # type: ignore[attr-defined]
        print("".join(f"{row[name]:>10}" for name in columns))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
