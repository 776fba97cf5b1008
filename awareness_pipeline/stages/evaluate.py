"""evaluate: own memory against another repository's, none, and the text itself.

Items are asked of held-out repositories alone, dealt evenly to them, remote uses and needles in
turn; only those whose deciding file is in memory. A process scores them under four conditions, with
`kv` as it is and by the reader that comes with the package, `latent` by the trained checkpoint.
Leaves `evaluation.json` and `evaluation.items.jsonl` (one row per question); the partition's record
holds the report itself.

`of_packages` measures on installed packages instead (`awareness_model.evaluation`); it is no
artifact of the flow and needs none.

Limits: items come from the tree at the clone's HEAD when it was encoded.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Final

from awareness_model.config import model_identity
from awareness_model.schema import (
    EncodeDocument,
    EvaluationItem,
    SnapshotRow,
    digest,
    read_rows,
    write_atomic,
    write_rows,
)
from awareness_pipeline.artifacts import (
    Counts,
    Place,
    Record,
    place,
    unit_records,
    upstream_records,
)
from awareness_pipeline.config import Settings, UserError, identity
from awareness_pipeline.gitio.snapshot import TreeFile, read_snapshot
from awareness_pipeline.launch import run_model
from awareness_pipeline.symbols.items import build_items
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, pending

ARTIFACT: Final = "evaluation"
UNIT: Final = "evaluation"
REPORT, ROWS = "evaluation.json", "evaluation.items.jsonl"
PACKAGES: Final = "packages"
"""Folder below the root for what is measured on held-out packages."""
UNTRAINED: Final = "none"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A held-out repository, and what of it is in memory."""

    repo_id: int
    clone: Path
    sha: str
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class PackagesAsked:
    """What to measure on held-out packages; what is empty or 0 is the model package's own."""

    kind: str
    """`needle`, `perplexity` or `all`."""
    out: Path | None = None
    readers: tuple[str, ...] = ()
    """Folders of trained readers, or `none`; empty: `none` and the version's own."""
    control: str = ""
    """A reader trained on shuffled memory."""
    lines: int = 0
    haystack_lines: int = 0
    precision: str = ""


def run(settings: Settings, partition: str) -> Record:
    """Evaluate unless that is done; return the record, whose `extra` is the report.

    Raises:
        UserError: there is no checkpoint, or no held-out repository in memory.
    """
    shape = {**identity(settings.evaluate), "model": model_identity(settings.model)}
    shape["layouts"] = list(settings.encode.layouts)
    here = place(settings, ARTIFACT, partition, shape)
    checkpoint = _checkpoint(settings)
    memory = list(upstream_records(settings, "memory_shards", settings.shard_keys))
    held = digest(*sorted(f"{record.key} {record.digest}" for _, record in memory))
    unit = Unit(UNIT, {"gca_checkpoint": checkpoint.digest, "memory_shards": held})
    started, fresh = time.monotonic(), pending(here, [unit])
    if fresh:
        outcome = _evaluate(settings, here, list(_held_out(settings, memory)))
        finish_unit(here, unit, outcome, time.monotonic() - started)
    (record,) = unit_records(here)
    spent = time.monotonic() - started if fresh else 0.0
    return close(here, [unit], fresh=len(fresh), extra=record.extra, seconds=spent)


def questions(
    repository: HeldOut, settings: Settings
) -> tuple[list[EvaluationItem], list[TreeFile]]:
    """Return the items of a repository whose deciding files are in memory, and those files that
    are."""
    most = settings.encode.max_file_bytes
    tree = read_snapshot(repository.clone, repository.sha, max_file_bytes=most).files
    known = [(file.path, file.language, file.text) for file in tree]
    items = [
        EvaluationItem(
            item_id=item.item_id,
            repo_id=repository.repo_id,
            sha=repository.sha,
            kind=item.kind,
            language=item.language,
            path=item.path,
            prompt=item.prompt,
            answer=item.answer,
            gold=item.gold,
        )
        for item in build_items(known, seed=settings.evaluate.seed)
        if repository.paths.issuperset(item.gold)
    ]
    return items, [file for file in tree if file.path in repository.paths]


def deal(columns: list[list[EvaluationItem]], most: int) -> list[EvaluationItem]:
    """Take the first item of every repository, then the second, up to `most`."""
    rows = chain.from_iterable(zip_longest(*columns))
    return [item for item in rows if item is not None][:most]


def of_packages(settings: Settings, asked: PackagesAsked) -> Path:
    """Measure on held-out packages of this interpreter; return the folder of `report.json` and
    `report.html`. What is measured there is not measured again.

    Raises:
        UserError: no such reader, or the packages have not so many lines.
    """
    out = asked.out or settings.paths.root / PACKAGES / settings.version
    readers = asked.readers or (UNTRAINED, *map(str, _trained(settings)))
    args = ["--out", str(out), "--eval-type", asked.kind, "--reader", *readers]
    args += ["--model", settings.model, "--device", settings.device]
    args += ["--seed", str(settings.evaluate.seed), "--needle-seed", str(settings.evaluate.seed)]
    for option, value in (
        ("--lines", asked.lines),
        ("--needle-haystack-lines", asked.haystack_lines),
        ("--precision", asked.precision),
        ("--control", asked.control),
    ):
        args += [option, str(value)] if value else []
    run_model("evaluation", args, "packages", out / "evaluation.log")
    return out


def _trained(settings: Settings) -> list[Path]:
    """Return the folder of the version's trained reader, if there is one."""
    root = settings.paths.artifact("gca_checkpoint") / settings.version / "all"
    return [root / "checkpoint" for _ in upstream_records(settings, "gca_checkpoint", ("all",))]


def _checkpoint(settings: Settings) -> Record:
    """Return the record of the trained reader."""
    for _, record in upstream_records(settings, "gca_checkpoint", ("all",)):
        return record
    raise UserError("there is no trained reader to evaluate: run `awareness train` first")


def _held_out(settings: Settings, memory: list[tuple[Path, Record]]) -> Iterator[HeldOut]:
    """Yield the held-out repositories that are in memory."""
    clones = {
        record.key: folder / f"{record.key}.git"
        for folder, record in upstream_records(settings, "clones", settings.shard_keys)
    }
    for folder, record in memory:
        if record.extra["split"] == "held_out" and record.key in clones:
            rows = list(read_rows(SnapshotRow, folder / f"{record.key}.jsonl"))
            for sha in sorted({row.sha for row in rows}):
                paths = frozenset(row.path for row in rows if row.sha == sha)
                yield HeldOut(int(record.key), clones[record.key], sha, paths)


def _evaluate(settings: Settings, here: Place, repositories: list[HeldOut]) -> Outcome:
    """Write items and texts, have the model score them, keep its report."""
    columns, texts = [], dict[str, str]()
    for repository in repositories:
        items, files = questions(repository, settings)
        columns.append(items)
        texts.update((file.content_hash, file.text) for file in files)
    asked = deal(columns, settings.evaluate.max_items)
    if not asked:
        raise UserError(
            "there is nothing to ask of the held-out repositories: crawl more of them, or raise "
            "the share that is held out"
        )
    report = _score(settings, here, asked, texts)
    return _outcome(asked, report)


def _score(
    settings: Settings, here: Place, asked: list[EvaluationItem], texts: dict[str, str]
) -> dict[str, Any]:
    items, documents = here.scratch / "items.jsonl", here.scratch / "documents.jsonl"
    write_rows(items, asked)
    write_rows(documents, [EncodeDocument(name, text) for name, text in sorted(texts.items())])
    root = settings.paths
    args = ["--model", settings.model, "--device", settings.device]
    args += ["--items", str(items), "--documents", str(documents)]
    args += ["--store", root.memory(settings.version)]
    checkpoint = root.artifact("gca_checkpoint") / settings.version / "all" / "checkpoint"
    args += ["--checkpoint", str(checkpoint), "--layouts", *settings.encode.layouts]
    args += ["--visible", str(settings.evaluate.visible_documents)]
    args += ["--seed", str(settings.evaluate.seed), "--report", str(here.scratch / REPORT)]
    run_model("evaluate", args, "evaluate", here.scratch / "evaluate.log")
    for name in (ROWS, REPORT):
        write_atomic(here.folder / name, (here.scratch / name).read_bytes())
    return dict(json.loads((here.folder / REPORT).read_bytes()))


def _outcome(asked: list[EvaluationItem], report: dict[str, Any]) -> Outcome:
    counts = Counts(len(asked), report["n_items"], report["dropped"])
    kinds = dict(sorted(Counter(item.kind for item in asked).items()))
    return Outcome(counts, (REPORT, ROWS), {**report, "asked": kinds})
