"""encode: documents become memory: `python -m awareness_model.encode`.

Reads `EncodeDocument` and `SnapshotRow` lines. Every document is encoded once per layout, whatever
trees hold it, and committed to the store in groups; then the trees' rows replace those of the same
trees; the report comes last. A run that was killed is started again and encodes only what is
missing, to the same tensors: on a CPU each chunk is encoded alone. A document is cut into chunks by
what its path says it is written in: the first path, in order, of those it has in this run. Limits:
one process encodes one document after the other; an empty document has no memory; a document whose
paths disagree (`.txt` and `.py`) stays as it was cut first.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from awareness_model.config import (
    GROUP_CHARACTERS,
    EncoderConfig,
    MemoryConfig,
    UserError,
    default_device,
    default_model,
)
from awareness_model.schema import (
    LAYOUTS,
    EncodeDocument,
    EncodeReport,
    SnapshotRow,
    digest,
    read_rows,
    to_json,
    write_atomic,
)

if TYPE_CHECKING:
    from awareness_model.encoder import ContextEncoder
    from awareness_model.memory.store import LatentMemoryStore


@dataclass(frozen=True, slots=True)
class Job:
    """What to encode, into which layouts, and where the report goes."""

    documents: Sequence[EncodeDocument]
    snapshots: Sequence[SnapshotRow]
    layouts: Sequence[str]
    report: Path
    forget: Sequence[int] = ()
    """Repositories whose memory goes first."""


def encode(job: Job, encoder: EncoderConfig, memory: MemoryConfig) -> EncodeReport:
    """Encode what is missing, put the snapshots, write and return the report.

    Raises:
        UserError: the model is not there, or the store holds another model's vectors.
    """
    from awareness_model.encoder import encoder_fingerprint
    from awareness_model.memory.store import LatentMemoryStore

    store = LatentMemoryStore(memory)
    if job.forget:
        store.forget(job.forget)
    texts = {row.content_hash: row.text for row in job.documents if row.text}
    prints = {layout: encoder_fingerprint(encoder, layout) for layout in job.layouts}
    missing = {
        layout: store.missing(texts, layout, fingerprint) for layout, fingerprint in prints.items()
    }
    if any(missing.values()):
        filling = _Filling(store, _encoder(encoder), prints, _first_paths(job.snapshots))
        for layouts, names in _by_need(missing).items():
            _fill(filling, {name: texts[name] for name in names}, layouts)
    store.put_snapshot(job.snapshots)
    asked = {row.content_hash for row in job.documents}
    report = _report(store, asked, prints, {one: len(names) for one, names in missing.items()})
    write_atomic(job.report, (to_json(report) + "\n").encode())
    return report


def _encoder(config: EncoderConfig) -> "ContextEncoder":
    from awareness_model.encoder import ContextEncoder

    return ContextEncoder(config)


def _by_need(missing: Mapping[str, Iterable[str]]) -> dict[tuple[str, ...], list[str]]:
    """Return the documents by the layouts they lack: most lack all, and are read once for them."""
    lacking: dict[str, list[str]] = {}
    for layout in sorted(missing):
        for name in missing[layout]:
            lacking.setdefault(name, []).append(layout)
    needs: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(lacking):
        needs.setdefault(tuple(lacking[name]), []).append(name)
    return needs


@dataclass(frozen=True, slots=True)
class _Filling:
    """What documents are encoded with, and where they go."""

    store: "LatentMemoryStore"
    body: "ContextEncoder"
    prints: Mapping[str, str]
    """Fingerprints by layout."""
    paths: Mapping[str, str]
    """A path of each document, by content hash."""


def _first_paths(rows: Iterable[SnapshotRow]) -> dict[str, str]:
    """Return the first path, in order, of each content."""
    ordered = sorted(rows, key=lambda row: row.path, reverse=True)
    return {row.content_hash: row.path for row in ordered}


def _fill(filling: _Filling, texts: dict[str, str], layouts: Sequence[str]) -> None:
    """Encode documents and commit them group by group."""
    from awareness_model.batch import say_progress

    done = 0
    for group in _groups(texts):
        paths = [filling.paths.get(name, "") for name in group]
        encoded = filling.body.encode_layouts([texts[name] for name in group], layouts, paths)
        for layout, chunks in encoded.items():
            made = dict(zip(group, chunks, strict=True))
            pooling = filling.body.config.pooling
            filling.store.upsert(made, layout, filling.prints[layout], pooling)
        done += len(group)
        say_progress("encode", done, len(texts))


def _groups(texts: dict[str, str]) -> Iterator[list[str]]:
    """Yield content hashes, sorted, in groups that fill a commit."""
    group: list[str] = []
    held = 0
    for name in sorted(texts):
        group.append(name)
        held += len(texts[name])
        if held >= GROUP_CHARACTERS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _report(
    store: "LatentMemoryStore",
    asked: set[str],
    prints: dict[str, str],
    encoded: dict[str, int],
) -> EncodeReport:
    held = {layout: store.held(asked, layout, mark) for layout, mark in prints.items()}
    found = [row for rows in held.values() for row in rows]
    counts = Counter(row.content_hash for row in found)
    return EncodeReport(
        documents=len(asked),
        encoded=encoded,
        records={layout: len(rows) for layout, rows in held.items()},
        tokens={layout: sum(row.tokens for row in rows) for layout, rows in held.items()},
        bytes={layout: sum(row.bytes for row in rows) for layout, rows in held.items()},
        digest=digest(*sorted(row.record_id for row in found)),
        by_document={name: counts[name] for name in sorted(asked)},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Encode a file of documents. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.encode")
    parser.add_argument("--model", default=default_model(), help="folder or hub id")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--documents", type=Path, required=True, help="EncodeDocument lines")
    parser.add_argument("--snapshots", type=Path, required=True, help="SnapshotRow lines")
    parser.add_argument("--store", required=True, help="the memory's folder or URL")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--forget", type=Path, help="repository ids, one a line: they go first")
    parser.add_argument("--report", type=Path, required=True, help="EncodeReport, written last")
    args = parser.parse_args(argv)
    try:
        job = Job(
            list(read_rows(EncodeDocument, args.documents)),
            list(read_rows(SnapshotRow, args.snapshots)),
            args.layouts,
            args.report,
            [int(line) for line in args.forget.read_text().split()] if args.forget else (),
        )
        encoder = EncoderConfig(model_name=args.model, device=args.device)
        encode(job, encoder, MemoryConfig(path=args.store))
    except (UserError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
