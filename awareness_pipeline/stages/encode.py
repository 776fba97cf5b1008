"""encode: documents become memory, once per blob, in one Lance store for the whole version.

Of training repositories the documents are those their traces need (`lessons/memory.py`: deciding
files first, then what the teacher saw), in the tree each trace starts from, so both trees of a step
of state; of held-out repositories the tree at HEAD, the files first that evaluation items ask
about. Each repository has a budget of tokens.

A unit leaves `<repo_id>.jsonl`, the `SnapshotRow`s that lead to its memory; the records themselves
are in `<memory_shards>/<version>/store`, in the folder or the bucket. One process encodes what a
shard still lacks; a killed one goes on document by document. Counts: documents wanted in, memory
records out (several per document and layout), documents left out by reason.

Limits: tokens are estimated as bytes / 3.5; an old tree of a repository that is still there stays
in the store.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from awareness_model.config import model_identity
from awareness_model.schema import (
    EncodeDocument,
    EncodeReport,
    SnapshotRow,
    digest,
    read_rows,
    write_rows,
)
from awareness_pipeline.artifacts import Counts, Place, Record, place, upstream_records
from awareness_pipeline.bucket import opened
from awareness_pipeline.config import Settings, identity
from awareness_pipeline.gitio.repository import RepositoryError
from awareness_pipeline.gitio.snapshot import Snapshot, TreeFile, read_snapshot
from awareness_pipeline.launch import run_model
from awareness_pipeline.lessons.memory import Chosen, choose_for_traces
from awareness_pipeline.symbols.items import build_items
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, forget, pending

ARTIFACT: Final = "memory_shards"


@dataclass(frozen=True, slots=True)
class Source:
    """A repository whose documents are wanted."""

    repo_id: int
    clone: Path
    head: str
    traces: tuple[Path, ...]
    """Files of its teacher traces; none for a held-out repository."""


def run(settings: Settings, partition: str) -> Record:
    """Encode the documents of every repository of a shard; return the shard's record.

    Raises:
        UserError: the model is not there, or the store was made with another one.
    """
    shape = {**identity(settings.encode), "model": model_identity(settings.model)}
    shape["items_seed"] = settings.evaluate.seed
    here = place(settings, ARTIFACT, partition, shape)
    memory = settings.paths.memory(settings.version)
    if not _is_there(settings, memory):
        _forget_all(settings)
    started = time.monotonic()
    found = list(_sources(settings, partition))
    sources = {unit.key: source for unit, source in found}
    units = [unit for unit, _ in found]
    todo, failed = pending(here, units), dict[str, int]()
    chosen: dict[str, Chosen] = {}
    for unit in todo:
        try:
            chosen[unit.key] = choose(sources[unit.key], settings)
        except RepositoryError as error:
            reason = f"failed: {error.reason}"
            failed[reason] = failed.get(reason, 0) + 1
    departed = _departed(here, sources)
    if chosen or departed:
        records = _encode(settings, here, memory, chosen.values(), departed)
    if chosen:
        done = [unit for unit in todo if unit.key in chosen]
        spent = (time.monotonic() - started) / len(done)
        for unit in done:
            held_out = not sources[unit.key].traces
            _finish(here, unit, chosen[unit.key], records, held_out, spent)
    spent = time.monotonic() - started
    return close(here, units, fresh=len(chosen), failed=failed, seconds=spent)


def _departed(here: Place, sources: Collection[str]) -> list[str]:
    """Return the repositories that have memory and are wanted no more: an opt-out, for one. Their
    records stay until the store has forgotten them (`close` removes them)."""
    keys = {path.name.split(".")[0] for path in here.folder.glob("*.record.json")}
    return sorted(keys - set(sources))


def _is_there(settings: Settings, memory: str) -> bool:
    if url := settings.paths.store:
        return bool(opened(url).sizes(memory.removeprefix(f"{url}/")))
    return Path(memory).is_dir()


def _forget_all(settings: Settings) -> None:
    """Without the store, no shard's records stand for anything."""
    for key in settings.shard_keys:
        forget(place(settings, ARTIFACT, key, {}))


def choose(source: Source, settings: Settings) -> Chosen:
    """Return the documents of a repository, most needed first, up to its budget.

    Raises:
        RepositoryError: its clone cannot be read.
    """
    chosen = Chosen(settings.encode)
    if source.traces:
        choose_for_traces(source.repo_id, source.clone, source.traces, chosen)
        return chosen
    most = settings.encode.max_file_bytes
    tree = read_snapshot(source.clone, source.head, max_file_bytes=most)
    for file in _held_out(tree, settings):
        chosen.add(source.repo_id, source.head, file)
    for skipped in tree.skipped:
        if skipped.reason == "too_big":
            chosen.miss(source.head, skipped.path, skipped.reason)
    return chosen


def _sources(settings: Settings, partition: str) -> Iterator[tuple[Unit, Source]]:
    """Yield the shard's repositories whose documents are wanted, with what they depend on."""
    clones = {
        record.key: (folder / f"{record.key}.git", str(record.extra["head"]))
        for folder, record in upstream_records(settings, "clones", (partition,))
        if record.extra.get("head")
    }
    for _, record in upstream_records(settings, "curated_commits", (partition,)):
        if record.key in clones and record.extra["split"] == "held_out":
            clone, head = clones[record.key]
            unit = Unit(record.key, {"clones": digest(head)})
            yield unit, Source(int(record.key), clone, head, ())
    for folder, record in upstream_records(settings, "teacher_traces", (partition,)):
        files = tuple(folder / name for name in sorted(record.files) if name.endswith(".parquet"))
        if record.key in clones and files and record.counts.rows_out:
            unit = Unit(record.key, {"teacher_traces": record.digest})
            yield unit, Source(int(record.key), *clones[record.key], files)


def _held_out(tree: Snapshot, settings: Settings) -> list[TreeFile]:
    """Return the files of a tree: first those that items ask about, in the items' order, then
    source code, then other text."""
    files = {file.path: file for file in tree.files}
    known = [(file.path, file.language, file.text) for file in tree.files]
    items = build_items(known, seed=settings.evaluate.seed)
    asked = list(dict.fromkeys(path for item in items for path in item.gold))
    rest = sorted(files.keys() - set(asked), key=lambda path: (not files[path].language, path))
    return [files[path] for path in (*asked, *rest)]


def _encode(
    settings: Settings,
    here: Place,
    memory: str,
    chosen: Iterable[Chosen],
    departed: Sequence[str],
) -> dict[str, int]:
    """Have the model forget who departed and encode what the store lacks; return memory records by
    content hash."""
    documents, rows = here.scratch / "documents.jsonl", here.scratch / "snapshots.jsonl"
    report = here.scratch / "report.json"
    texts: dict[str, str] = {}
    snapshots: list[SnapshotRow] = []
    for one in chosen:
        texts.update(one.texts)
        snapshots += [row for _, row in sorted(one.rows.items())]
    if not texts and not departed:
        return {}
    write_rows(documents, [EncodeDocument(name, text) for name, text in sorted(texts.items())])
    write_rows(rows, snapshots)
    args = ["--model", settings.model, "--device", settings.device, "--store", memory]
    args += ["--documents", str(documents), "--snapshots", str(rows), "--report", str(report)]
    args += ["--layouts", *settings.encode.layouts]
    if departed:
        leaving = here.scratch / "forget.txt"
        leaving.write_text("".join(f"{key}\n" for key in departed))
        args += ["--forget", str(leaving)]
    run_model("encode", args, f"encode {here.partition}", here.scratch / "encode.log")
    (found,) = read_rows(EncodeReport, report)
    return found.by_document


def _finish(
    here: Place,
    unit: Unit,
    chosen: Chosen,
    records: dict[str, int],
    held_out: bool,
    seconds: float,
) -> None:
    name = f"{unit.key}.jsonl"
    write_rows(here.folder / name, [row for _, row in sorted(chosen.rows.items())])
    made = sum(records.get(one, 0) for one in chosen.texts)
    counts = Counts(len(chosen.wanted), made, chosen.reasons())
    said = {
        "split": "held_out" if held_out else "train",
        "documents": len(chosen.texts),
        "trees": len({sha for sha, _ in chosen.rows}),
    }
    finish_unit(here, unit, Outcome(counts, (name,), said), seconds)
