"""Readers measured on what was packed: remote lines under every condition, needles by haystack.

The same cells, summaries and rows as `python -m awareness_model.evaluation`, without what chooses
lines and finds documents: both were done when the questions were packed. `report.json` appears when
all cells are done. Limits: as there; RAG by a sentence encoder is left out.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from awareness_model.config import UserError, model_identity
from awareness_model.evaluation import cells, needle, perplexity
from awareness_model.evaluation.haystack import AT_EACH_SIZE, AT_LARGEST
from awareness_model.evaluation.readers import Reader, load_reader
from awareness_model.gpu_proof import parts, questions
from awareness_model.gpu_proof.plan import UNTRAINED, Scale, Stage
from awareness_model.gpu_proof.running import CELLS, PROGRESS, WORK
from awareness_model.schema import write_atomic

REPORT = "report.json"
OF_READER = perplexity.MEMORIES
BASE = perplexity.TEXTS


def measure(at: Path, one: Stage, scale: Scale, device: str) -> None:
    """Measure a stage's readers and write its report.

    Raises:
        UserError: a reader is not trained yet.
    """
    work, data = at / WORK / one.name, at / parts.DATA
    remote = questions.remote(data)
    held = questions.haystacks(data, one.haystacks)
    folders = {name: _folder(at, name) for name in (*one.readers, one.control) if name}
    load = partial(_loaded, at, scale, device)
    _tell_total(work, one, remote, [sizes.visible for _, sizes in held])
    tables = _Tables(at / WORK / CELLS, remote, scale, work)
    rows: dict[str, list[dict[str, Any]]] = {"perplexity": [], "needle": []}
    control = tables.control(load(folders[one.control])) if one.control else None
    for name in one.readers:
        reader = load(folders[name])
        said = {**_of(name, reader, device), "dtype": reader.dtype, "precision": scale.precision}
        rows["perplexity"].append({**said, **tables.remote(reader, control)})
        for haystack, sizes in held:
            found = needle.measure(reader, haystack, sizes, tables.folder, scale.batch)
            rows["needle"].append({**said, **found})
        reader.forget()
    most = max(haystack.lines for haystack, _ in held)
    absent = [f"{lines:,} lines of haystack" for lines in scale.haystack_lines if lines > most]
    missing = [*absent, "RAG by a sentence encoder (rag_embedding)"]
    report = {"model": model_identity(str(at / parts.MODEL)), "missing": missing, **rows}
    write_atomic(work / REPORT, (json.dumps(report, indent=1) + "\n").encode())


def machine(device: str) -> str:
    """Return what a table says of where it was measured; no name of a host."""
    return cells.machine(device)


class _Tables:
    """Remote lines measured by reader; what concerns the base model alone is measured once."""

    def __init__(self, folder: Path, asked: questions.Remote, scale: Scale, work: Path) -> None:
        self.folder, self.asked, self.scale, self.work = folder, asked, scale, work
        self._texts: dict[str, dict[str, Any]] | None = None

    def control(self, reader: Reader) -> dict[str, dict[str, Any]]:
        """Return what a reader trained on shuffled memory makes of own memory."""
        return self._measured(reader, (perplexity.CONTROL,))

    def remote(self, reader: Reader, control: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return a reader's row."""
        if self._texts is None:
            self._texts = self._measured(reader, BASE)
        own = self._measured(reader, OF_READER)
        joined = perplexity.joined([own, self._texts, *([control] if control else [])])
        return perplexity.summary(joined, self.asked.sizes.seed)

    def _measured(self, reader: Reader, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        about = {"corpus": self.asked.corpus, "sizes": dict(self.scale.remote)}
        held = perplexity.cells_of(self.folder, reader, about)
        return perplexity.measure(reader, names, self.asked.lines, held, self.scale.batch)


def _loaded(at: Path, scale: Scale, device: str, folder: str) -> Reader:
    chunk = questions.remote(at / parts.DATA).sizes.chunk_tokens
    return load_reader(
        str(at / parts.MODEL), device, folder, chunk_tokens=chunk, precision=scale.precision
    )


def _folder(at: Path, name: str) -> str:
    """Return where a training's reader lies."""
    folder = at / WORK / name / "adapter"
    if name == UNTRAINED:
        return UNTRAINED
    if not (folder / "record.json").is_file():
        raise UserError(f"{name} is not trained yet: run its stage first")
    return str(folder)


def _of(name: str, reader: Reader, device: str) -> dict[str, Any]:
    origin = reader.decoder.origin
    return {
        "reader": name,
        "layout": reader.layout,
        "trained_steps": origin.step if origin else 0,
        "machine": machine(device),
    }


def _tell_total(
    work: Path, one: Stage, remote: questions.Remote, visible: Sequence[Sequence[int]]
) -> None:
    """Note how many cells there are in all, and how many there were before this stage."""
    lines, readers = len(remote.lines), len(one.readers)
    needles = sum(len(each) * len(AT_EACH_SIZE) + len(AT_LARGEST) for each in visible)
    total = lines * (readers * len(OF_READER) + len(BASE) + bool(one.control)) + readers * needles
    before = sum(path.read_bytes().count(b"\n") for path in (work.parent / CELLS).glob("*.jsonl"))
    if not (work / PROGRESS).is_file():
        told = {"before": before, "total": total, "unit": "cells"}
        write_atomic(work / PROGRESS, json.dumps(told).encode())
