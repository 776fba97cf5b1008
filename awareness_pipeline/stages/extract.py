"""extract: true diffs of every clone as labelled commit rows, one file per repository.

A unit reads the history of one bare clone as a stream and leaves `<repo_id>.jsonl.zst` (or
`.jsonl`) and `<repo_id>.shas`: oldest commit first, merges included (see `Extract.merges`). Nothing
is filtered here: labels say what a commit is, curation decides.

When a branch has only grown (`gitio.walk`), only what is new is read and goes behind the rows that
are there; the file is the same, byte for byte, as if it were written at once. Otherwise (a forced
push, another name or language, a damaged file) the repository is extracted anew.

Commits that git can't print are counted as `unreadable` and the rest is kept; the next growth of
such a repository reads all of it again. A repository that can't be walked at all leaves nothing;
its reason is counted and the others go on.

`Record.extra` of a unit: `head` and `origin` (what the rows were made of), `tail` (where the file's
last frame begins), `labels` and `sizes` (commits by label, and by size of diff), `trouble` (what
git said of the first unreadable commit).

Limits: the default branch alone; `max_commits` keeps the newest and extracts anew each time. Author
names and e-mails set the `bot` label and are not stored.
"""

import errno
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from awareness_model.schema import digest
from awareness_pipeline import seen
from awareness_pipeline.artifacts import (
    Counts,
    Place,
    Record,
    place,
    read_record,
    upstream_records,
    whole,
    writing,
)
from awareness_pipeline.config import Extract, Settings, UserError, identity
from awareness_pipeline.gitio.commits import Grown, shas_file, write_commits
from awareness_pipeline.gitio.diff import PatchLimits
from awareness_pipeline.gitio.log import MERGES, Unreadable, read_log
from awareness_pipeline.gitio.omitted import OMITTED
from awareness_pipeline.gitio.repository import (
    RepositoryError,
    head_sha,
    local_external_id,
    open_repository,
)
from awareness_pipeline.gitio.rows import Origin, commit_rows
from awareness_pipeline.gitio.snapshot import main_language_of
from awareness_pipeline.gitio.walk import grown_from
from awareness_pipeline.records import COMMIT_SCHEMA_VERSION, Commit, repo_id_of
from awareness_pipeline.units import Outcome, Unit, UnitFailed, run_units

ARTIFACT: Final = "commits"
UNREADABLE: Final = "unreadable"
SIZES: Final = (
    (0, "none"),
    (1 << 10, "to 1 KB"),
    (4 << 10, "to 4 KB"),
    (16 << 10, "to 16 KB"),
    (64 << 10, "to 64 KB"),
    (256 << 10, "to 256 KB"),
    (1 << 20, "to 1 MB"),
)
LARGEST: Final = "over 1 MB"
DISK_FULL: Final = "the disk is full: make room for the commits, then run the same command again"
_NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@dataclass(slots=True)
class Tally:
    """What the rows of one repository hold, counted as they pass."""

    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)

    def passing(self, rows: Iterable[Commit], shas: IO[str] | None = None) -> Iterator[Commit]:
        """Yield rows as they are, count them, and list their shas in a file if one is given."""
        for row in rows:
            self.rows += 1
            self.labels.update(row.labels)
            self.sizes[size_class(row.diff_bytes)] += 1
            if shas is not None:
                shas.write(f"{row.sha}\n")
            yield row

    @property
    def counts(self) -> Counts:
        """Return commits in, rows out, and why the others are not."""
        lost = len(self.unreadable)
        return Counts(self.rows + lost, self.rows, {UNREADABLE: lost} if lost else {})


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of one repository alone."""

    rows: int
    unreadable: tuple[Unreadable, ...]


def run(settings: Settings, partition: str) -> Record:
    """Extract every clone of a shard that is not done yet; return the shard's record.

    Raises:
        UserError: the disk is full, or a setting has no meaning.
    """
    if settings.extract.merges not in ("label", "first-parent"):
        raise UserError(f"merges must be label or first-parent, not {settings.extract.merges!r}")
    shape = {**identity(settings.extract), "schema_version": COMMIT_SCHEMA_VERSION}
    here = place(settings, ARTIFACT, partition, shape)
    above = seen.listing(place(settings, "clones", partition, {}).folder)
    if done := seen.kept(settings, here, above):
        return done
    clones = {
        record.key: (folder / f"{record.key}.git", record)
        for folder, record in upstream_records(settings, "clones", (partition,))
        if record.counts.rows_out
    }

    def work(unit: Unit) -> Outcome:
        path, clone = clones[unit.key]
        return _extract_unit(here, path, clone, settings.extract)

    units = [Unit(key, {"clones": _clone_digest(clone)}) for key, (_, clone) in clones.items()]
    record = run_units(
        here, units, work, workers=settings.extract.workers, label=f"extract {partition}"
    )
    return seen.keep(settings, here, above, record)


def extract_repository(path: Path, out_file: Path, *, merges: str = "skip") -> Extracted:
    """Write the commits of one repository to `out_file`, oldest first.

    The file is replaced when all is written, never before; it is compressed if it ends in `.zst`.

    Args:
        merges: `skip`, `label` (no diff) or `first-parent` (the diff to the first parent).

    Raises:
        UserError: no repository at `path`, a shallow or broken one, or nowhere to write.
    """
    if merges not in MERGES:
        raise UserError(f"merges must be one of {', '.join(MERGES)}, not {merges!r}")
    tally = Tally()
    try:
        log = read_log(path, merges=merges, unreadable=tally.unreadable)
        rows = tally.passing(commit_rows(log, _local_origin(path)))
        with _making(out_file) as aside:
            write_commits(aside, rows, plain=out_file.suffix != ".zst")
    except RepositoryError as error:
        raise UserError(str(error).partition("\n")[0]) from error
    except OSError as error:
        raise UserError(f"extracting {path} to {out_file} failed: {error}") from error
    return Extracted(tally.rows, tuple(tally.unreadable))


def size_class(diff_bytes: int) -> str:
    """Return the class of a diff's size, as `Record.extra["sizes"]` counts them."""
    return next((name for most, name in SIZES if diff_bytes <= most), LARGEST)


def _origin(clone: Record) -> Origin:
    return Origin(
        repo=str(clone.extra["full_name"]),
        repo_id=int(clone.key),
        language=str(clone.extra["language"]).lower(),
    )


def _clone_digest(clone: Record) -> str:
    """Return what of a clone shapes its rows: a new star count alone redoes nothing."""
    said = [str(clone.extra[name]) for name in ("head", "full_name", "language")]
    return digest(*said, *(mark for _, mark in _left_out(clone)))


def _left_out(clone: Record) -> list[tuple[int, str]]:
    """Return the mark of the list of blobs that a partial clone lacks; nothing for a whole one."""
    return [mark for name, mark in clone.files.items() if name.endswith(f"/{OMITTED}")]


def _local_origin(path: Path) -> Origin:
    repository = open_repository(path)
    head = head_sha(repository)
    return Origin(
        repo=path.resolve().name.removesuffix(".git"),
        repo_id=repo_id_of("local", local_external_id(repository, "")),
        language=main_language_of(path, head).lower() if head else "",
    )


def _extract_unit(here: Place, path: Path, clone: Record, settings: Extract) -> Outcome:
    origin, head = _origin(clone), str(clone.extra["head"])
    kind = "partial" if _left_out(clone) else "whole"
    made_of = {"head": head, "origin": digest(origin.repo, origin.language, kind)}
    try:
        before = None if settings.max_commits else _built_on(here, path, made_of, clone.key)
        tally = _tally_of(before)
        log = read_log(
            path,
            head=head,
            since=str(before.extra["head"]) if before else "",
            merges=settings.merges,
            max_commits=settings.max_commits,
            limits=PatchLimits(settings.max_file_diff_bytes, settings.max_commit_diff_bytes),
            unreadable=tally.unreadable,
        )
        names, tail = _put(here, clone.key, tally, commit_rows(log, origin), settings, before)
    except RepositoryError as error:
        raise UnitFailed(error.reason, str(error)) from error
    trouble = {"trouble": tally.unreadable[0].reason} if tally.unreadable else {}
    counted = {"labels": tally.labels, "sizes": tally.sizes}
    told = {name: dict(sorted(counter.items())) for name, counter in counted.items()}
    return Outcome(tally.counts, names, {**made_of, "tail": tail, **told, **trouble})


def _built_on(here: Place, path: Path, made_of: dict[str, str], key: str) -> Record | None:
    """Return the record of an earlier extraction that this one can go on from, if there is one."""
    record = read_record(here.folder / f"{key}.record.json")
    if record is None or record.counts.dropped or not whole(here, record):
        return None
    old, same = str(record.extra["head"]), record.extra["origin"] == made_of["origin"]
    if not (same and old and grown_from(path, old, made_of["head"])):
        return None
    return record if all(_is_intact(here, record, name) for name in record.files) else None


def _is_intact(here: Place, record: Record, name: str) -> bool:
    with (here.folder / name).open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return found.hexdigest() == record.files[name][1]


def _tally_of(before: Record | None) -> Tally:
    if before is None:
        return Tally()
    labels, sizes = Counter(before.extra["labels"]), Counter(before.extra["sizes"])
    return Tally(before.counts.rows_out, labels, sizes)


def _put(
    here: Place,
    key: str,
    tally: Tally,
    rows: Iterable[Commit],
    settings: Extract,
    before: Record | None,
) -> tuple[tuple[str, str], int]:
    """Write the two files of a unit; return their names and where the last frame begins."""
    target = here.folder / f"{key}.jsonl{'' if settings.plain else '.zst'}"
    listed = shas_file(here.folder, key)
    after = Grown(target, int(before.extra["tail"])) if before else None
    with (
        _making(listed) as list_aside,
        _making(target) as aside,
        list_aside.open("w", encoding="ascii") as shas,
    ):
        if before:
            shas.write(listed.read_text(encoding="ascii"))
        rows = tally.passing(rows, shas)
        tail = write_commits(aside, rows, plain=settings.plain, after=after)
    # What the other way of writing left behind would be read first.
    (here.folder / f"{key}.jsonl{'.zst' if settings.plain else ''}").unlink(missing_ok=True)
    return (target.name, listed.name), tail


@contextmanager
def _making(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` or, if writing fails, goes.

    Raises:
        UserError: the disk is full.
    """
    with writing(path) as aside:
        try:
            yield aside
        except BaseException as error:
            aside.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise UserError(DISK_FULL) from None
            raise
