"""A whole evaluation: what was asked for, measured cell by cell, as one report.

`report.json` holds every table's rows; each names its machine and what it lacks of the whole plan.
Cells lie beside it, so that a rerun goes on where it was killed. Limits: one process a folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from awareness_model.base import load_tokenizer
from awareness_model.config import model_identity
from awareness_model.encoder.backend import Encoded
from awareness_model.evaluation import harness, needle, pareto, perplexity
from awareness_model.evaluation.cells import Cells, machine
from awareness_model.evaluation.corpus import Package, corpus_digest, packages, read_packages
from awareness_model.evaluation.embedding import EMBEDDED, Embedder, Finder, finder
from awareness_model.evaluation.haystack import NeedleSizes, build
from awareness_model.evaluation.lines import Lines, Sizes, choose, prepare, recall
from awareness_model.evaluation.readers import UNTRAINED, Piece, Reader, load_reader

DTYPES = ("float32", "bfloat16", "int8", "fp8")
PLACEMENTS = ("all", "middle", "every_third", "upper_third")
POOLINGS = (1, 2, 4)
WANTED_HAYSTACK = (1_000, 10_000, 100_000)
WANTED_LINES = 2_000
"""Remote lines of the whole plan (reference/model.md, section 4.1)."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure, and with what."""

    out: Path
    model: str
    device: str = "cpu"
    precision: str = "float32"
    dtype: str = "float32"
    """Of stored memory."""
    readers: tuple[str, ...] = (UNTRAINED,)
    control: str = ""
    """Folder of a reader trained on shuffled memory."""
    corpus: Path | None = None
    """Packages as `corpus.write_packages` wrote them; None: those installed."""
    conditions: tuple[str, ...] = perplexity.SMALL
    sizes: Sizes = field(default_factory=Sizes)
    needle: NeedleSizes = field(default_factory=NeedleSizes)
    dtypes: tuple[str, ...] = DTYPES
    """Compared by `costs`."""
    placements: tuple[str, ...] = PLACEMENTS
    """Compared by `costs`, for the untrained reader."""
    poolings: tuple[int, ...] = POOLINGS
    """Tokens in a slot, compared by `costs` for the untrained reader."""
    embedder: str = ""
    """A sentence encoder's folder, for RAG by embeddings."""
    batch: int = 1
    """Rows scored at a time: padding costs a CPU more than a batch gains."""


def evaluate(job: Job, kinds: Sequence[str]) -> dict[str, Any]:
    """Return the report of the kinds named: `perplexity`, `needle`, `pareto`."""
    found = corpus_of(job)
    measures = {"perplexity": remote, "needle": needles, "pareto": costs}
    rows = {kind: measure(job, found) for kind, measure in measures.items() if kind in kinds}
    return {
        "model": model_identity(job.model),
        "sizes": {"perplexity": asdict(job.sizes), "needle": asdict(job.needle)},
        **rows,
    }


def corpus_of(job: Job) -> list[Package]:
    """Return the packages of a job."""
    return read_packages(job.corpus) if job.corpus else packages(job.sizes.most_files)


def load(job: Job, folder: str, dtype: str = "", placement: str = "", pooling: int = 1) -> Reader:
    """Load one reader of a job."""
    return load_reader(
        job.model,
        job.device,
        folder,
        dtype or job.dtype,
        placement,
        job.sizes.chunk_tokens,
        job.precision,
        pooling,
    )


def remote(job: Job, found: Sequence[Package]) -> list[dict[str, Any]]:
    """Return a row for each reader: remote-context perplexity."""
    lines, shared = _lines(job, found)
    rows, alone = [], _Alone(job, lines, shared)
    control = _control(job, lines, shared)
    for folder in job.readers:
        reader = load(job, folder)
        cells = perplexity.cells_of(job.out, reader, shared)
        texts = alone.measured(reader)
        own = perplexity.measure(reader, _kept(job, perplexity.MEMORIES), lines, cells, job.batch)
        parts = [own, *texts, *([control] if control else [])]
        measured = perplexity.summary(perplexity.joined(parts), job.sizes.seed)
        recalls = {name: recall(lines, name) for name in ("routed", "embedded")}
        said = {"missing": _missing(job, lines), "recall": recalls}
        rows.append({**_of(job, reader), **said, **measured})
    return rows


def export_tasks(job: Job, folder: Path) -> list[Path]:
    """Write the needle questions as tasks of lm-evaluation-harness; return the files."""
    haystack = build(corpus_of(job), job.model, job.needle)
    return harness.export(folder, haystack, max(job.needle.visible))


def needles(job: Job, found: Sequence[Package]) -> list[dict[str, Any]]:
    """Return a row for each reader: needles among real functions."""
    settings = {"corpus": corpus_digest(found), "sizes": asdict(job.needle)}
    haystack = build(found, job.model, job.needle, _finder(job, job.needle.chunk_tokens, settings))
    absent = [f"{n:,} lines" for n in WANTED_HAYSTACK if n != job.needle.haystack_lines]
    if job.needle.asked < job.needle.needles:
        absent.append(f"{job.needle.asked} of {job.needle.needles} needles asked")
    if not job.embedder:
        absent.append(f"condition {EMBEDDED}")
    rows = []
    for folder in job.readers:
        reader = load(job, folder)
        measured = needle.measure(reader, haystack, job.needle, job.out, job.batch)
        rows.append({**_of(job, reader), "missing": [*absent, "seeds 2 and 3"], **measured})
    return rows


def costs(job: Job, found: Sequence[Package]) -> list[dict[str, Any]]:
    """Return a row for each point of `pareto.points`, and one for raw text."""
    lines, shared = _lines(job, found)
    pieces = pareto.pieces_of(lines)
    held: dict[str, list[Encoded]] = {}
    rows, texts = [], None
    for point in pareto.points(job.readers, job.dtypes, job.placements, job.poolings):
        reader = load(job, point.reader, point.dtype, point.placement, point.pooling)
        if reader.layout == "kv":  # every kv reader reads the base model's own keys and values
            reader.encoded = held
        cells = perplexity.cells_of(job.out, reader, shared)
        if texts is None:
            texts = perplexity.measure(reader, ("none", "text"), lines, cells, job.batch)
            rows.append(pareto.text_row(pieces, texts, machine(job.device), job.sizes.seed))
        own = perplexity.measure(reader, ("own", "other"), lines, cells, job.batch)
        size = Cells(job.out, "bytes", {**shared, "reader": reader.identity}).run(
            f"bytes: {reader.name}", {"bytes": partial(_bytes, reader, pieces[:SAMPLE])}
        )["bytes"]["per_token"]
        measured = pareto.row(reader, [own, texts], size, job.sizes.seed)
        told = {"dtype": point.dtype, "placement": point.placement, "missing": _fewer(lines)}
        rows.append({**_of(job, reader), **told, **measured})
    return rows


SAMPLE = 8
"""Pieces whose bytes are counted."""


def _bytes(reader: Reader, pieces: Sequence[Piece]) -> dict[str, float]:
    return {"per_token": reader.bytes_per_token(pieces)}


def _lines(job: Job, found: Sequence[Package]) -> tuple[list[Lines], dict[str, Any]]:
    """Return the remote lines, and what names them in cells."""
    chosen = choose(found, job.sizes)
    shared: dict[str, Any] = {
        "corpus": corpus_digest([package for package, _ in chosen]),
        "model": model_identity(job.model),
        "sizes": asdict(job.sizes),
    }
    embedded = _finder(job, job.sizes.chunk_tokens, shared)
    return prepare(chosen, load_tokenizer(job.model), job.sizes, embedded), shared


def _finder(job: Job, window: int, settings: Mapping[str, Any]) -> Finder | None:
    """Return what finds by the job's sentence encoder, if it has one."""
    if not job.embedder:
        return None
    return finder(Embedder(job.embedder, job.precision, window), job.out, settings)


def _kept(job: Job, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in job.conditions)


@dataclass(slots=True)
class _Alone:
    """What the base model does without memory, measured once for all readers alike."""

    job: Job
    lines: Sequence[Lines]
    shared: Mapping[str, Any]
    done: dict[tuple[str, int, int], list[dict[str, Any]]] = field(default_factory=dict)

    def measured(self, reader: Reader) -> list[dict[str, Any]]:
        """Return the conditions of the base model; latent readers begin a prompt otherwise, and
        the text that costs as much as memory depends on layers and slots."""
        kind = (reader.layout, len(reader.decoder.reading_layers), reader.pooling)
        if kind not in self.done:
            cells = perplexity.cells_of(self.job.out, reader, self.shared)
            names = _kept(self.job, perplexity.TEXTS)
            made = [perplexity.measure(reader, names, self.lines, cells, self.job.batch)]
            if self.job.embedder:
                named = {**self.shared, "embedder": model_identity(self.job.embedder)}
                cells = perplexity.cells_of(self.job.out, reader, named)
                only = (EMBEDDED,)
                made.append(perplexity.measure(reader, only, self.lines, cells, self.job.batch))
            self.done[kind] = made
        return self.done[kind]


def _control(job: Job, lines: Sequence[Lines], shared: dict[str, Any]) -> dict[str, Any] | None:
    if not job.control:
        return None
    reader = load(job, job.control)
    cells = perplexity.cells_of(job.out, reader, shared)
    return perplexity.measure(reader, (perplexity.CONTROL,), lines, cells, job.batch)


def _of(job: Job, reader: Reader) -> dict[str, Any]:
    """Return what every row says of its reader and machine."""
    origin = reader.decoder.origin
    return {
        "reader": reader.name,
        "layout": reader.layout,
        "trained_steps": origin.step if origin else 0,
        "dtype": job.dtype,
        "precision": job.precision,
        "machine": machine(job.device),
    }


def _missing(job: Job, lines: Sequence[Lines]) -> list[str]:
    """Return what a row lacks of the whole plan."""
    known = (*perplexity.TEXTS, *perplexity.MEMORIES)
    absent = [f"condition {name}" for name in known if name not in job.conditions]
    if not job.embedder:
        absent.append(f"condition {EMBEDDED}")
    if not job.control:
        absent.append("a reader trained on shuffled memory")
    return [*absent, *_fewer(lines)]


def _fewer(lines: Sequence[Lines]) -> list[str]:
    """Return what is asked less than in the whole plan."""
    asked = sum(any(one == "remote" for one in line.classes) for of in lines for line in of.lines)
    less = [f"{asked} of {WANTED_LINES:,} remote lines"] if asked < WANTED_LINES else []
    return [*less, "seeds 2 and 3"]
