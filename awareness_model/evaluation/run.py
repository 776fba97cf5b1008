"""A whole evaluation: what was asked for, measured cell by cell, as one report.

`report.json` holds every table's rows; each names its machine and what it lacks of the whole plan.
Cells lie beside it, so that a rerun goes on where it was killed. Limits: one process a folder.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from awareness_model.base import load_tokenizer
from awareness_model.config import model_identity
from awareness_model.evaluation import harness, needle, pareto, perplexity
from awareness_model.evaluation.cells import Cells, machine
from awareness_model.evaluation.corpus import Package, corpus_digest, packages, read_packages
from awareness_model.evaluation.haystack import NeedleSizes, build
from awareness_model.evaluation.lines import Lines, Sizes, choose, prepare
from awareness_model.evaluation.readers import UNTRAINED, Piece, Reader, load_reader

DTYPES = ("float32", "bfloat16", "int8", "fp8")
PLACEMENTS = ("all", "middle", "every_third", "upper_third")
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


def load(job: Job, folder: str, dtype: str = "", placement: str = "") -> Reader:
    """Load one reader of a job."""
    return load_reader(
        job.model,
        job.device,
        folder,
        dtype or job.dtype,
        placement,
        job.sizes.chunk_tokens,
        job.precision,
    )


def remote(job: Job, found: Sequence[Package]) -> list[dict[str, Any]]:
    """Return a row for each reader: remote-context perplexity."""
    lines, shared = _lines(job, found)
    rows, texts = [], None
    control = _control(job, lines, shared)
    for folder in job.readers:
        reader = load(job, folder)
        cells = perplexity.cells_of(job.out, reader, shared)
        if texts is None:
            texts = perplexity.measure(reader, _kept(job, TEXTS), lines, cells, job.batch)
        own = perplexity.measure(reader, _kept(job, OF_READER), lines, cells, job.batch)
        parts = [own, texts, *([control] if control else [])]
        measured = perplexity.summary(perplexity.joined(parts), job.sizes.seed)
        rows.append({**_of(job, reader), "missing": _missing(job, lines), **measured})
    return rows


def export_tasks(job: Job, folder: Path) -> list[Path]:
    """Write the needle questions as tasks of lm-evaluation-harness; return the files."""
    haystack = build(corpus_of(job), job.model, job.needle)
    return harness.export(folder, haystack, max(job.needle.visible))


def needles(job: Job, found: Sequence[Package]) -> list[dict[str, Any]]:
    """Return a row for each reader: needles among real functions."""
    haystack = build(found, job.model, job.needle)
    absent = [f"{n:,} lines" for n in WANTED_HAYSTACK if n != job.needle.haystack_lines]
    if job.needle.asked < job.needle.needles:
        absent.append(f"{job.needle.asked} of {job.needle.needles} needles asked")
    rows = []
    for folder in job.readers:
        reader = load(job, folder)
        measured = needle.measure(reader, haystack, job.needle, job.out, job.batch)
        rows.append({**_of(job, reader), "missing": [*absent, "seeds 2 and 3"], **measured})
    return rows


def costs(job: Job, found: Sequence[Package]) -> list[dict[str, Any]]:
    """Return a row for each stored dtype of each reader and placement, and one for raw text."""
    lines, shared = _lines(job, found)
    pieces = pareto.pieces_of(lines)
    rows: list[dict[str, Any]] = [
        {"reader": "text in the context", "bytes_per_token": pareto.text_bytes(pieces)}
    ]
    points = [
        (folder, placement, dtype)
        for folder in job.readers
        for placement in (job.placements if folder == UNTRAINED else ("",))
        for dtype in job.dtypes
    ]
    texts = None
    for folder, placement, dtype in points:
        reader = load(job, folder, dtype, placement)
        cells = perplexity.cells_of(job.out, reader, shared)
        if texts is None:
            texts = perplexity.measure(reader, ("text",), lines, cells, job.batch)
        own = perplexity.measure(reader, ("none", "own", "other"), lines, cells, job.batch)
        size = Cells(job.out, "bytes", {**shared, "reader": reader.identity}).run(
            f"bytes: {reader.name}", {"bytes": partial(_bytes, reader, pieces[:SAMPLE])}
        )["bytes"]["per_token"]
        point = pareto.row(reader, [own, texts], size, job.sizes.seed)
        rows.append({**_of(job, reader), "dtype": dtype, "placement": placement, **point})
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
    return prepare(chosen, load_tokenizer(job.model), job.sizes), shared


TEXTS = ("text", "rag_slots")
"""Conditions that are the same for every reader."""
OF_READER = ("none", "rag_latency", *perplexity.MEMORIES)


def _kept(job: Job, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in job.conditions)


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
    asked = sum(any(one == "remote" for one in line.classes) for of in lines for line in of.lines)
    known = (*perplexity.TEXTS, *perplexity.MEMORIES)
    absent = [f"condition {name}" for name in known if name not in job.conditions]
    if not job.control:
        absent.append("a reader trained on shuffled memory")
    if asked < WANTED_LINES:
        absent.append(f"{asked} of {WANTED_LINES:,} remote lines")
    return [*absent, "seeds 2 and 3"]
