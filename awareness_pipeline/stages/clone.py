"""Stage `clone`: a bare clone of every repository in a shard of the catalog.

A unit is one repository: `<repo_id>.git` in the partition's folder. It is redone (by a fetch) when
the host reports another push, name, licence or default branch; a local one when its HEAD moved.
What can't be had (gone, blocked, too large, shallow, replaced) is dropped with a reason, leaves no
clone, and is tried again when the catalog knows something else; what failed now is counted and
tried by the next run. Clones whose repository left the catalog (an opt-out) are removed.

The run ends with a line to the user when the disk, or the budget for it, is used up; clones in hand
are finished. One process works on a partition at a time, and first sweeps what a killed one left.
"""

import json
import shutil
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from awareness_model.schema import digest
from awareness_pipeline import seen
from awareness_pipeline.artifacts import (
    Counts,
    Place,
    Record,
    place,
    read_record,
    unit_records,
    upstream_records,
)
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Settings, identity
from awareness_pipeline.gitio.clone import Cloner
from awareness_pipeline.gitio.failure import CloneFailed
from awareness_pipeline.gitio.local import is_itself
from awareness_pipeline.gitio.lock import alone
from awareness_pipeline.gitio.omitted import OMITTED
from awareness_pipeline.gitio.remote import Remote
from awareness_pipeline.gitio.repository import RepositoryError, head_sha, open_repository
from awareness_pipeline.gitio.sound import head_readable
from awareness_pipeline.gitio.space import GB, Space
from awareness_pipeline.gitio.transfer import TransferLimits
from awareness_pipeline.records import Repository
from awareness_pipeline.units import Outcome, Unit, UnitDropped, UnitFailed, forget, run_units

ARTIFACT = "clones"
LISTED = "listed"
"""Discovery's partition for a file of names."""
KB = 1024


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A repository of the catalog, and whether its name is another one's now."""

    row: Repository
    replaced: bool


def run(settings: Settings, partition: str, wait: Callable[[float], None] | None = None) -> Record:
    """Clone or update what is not up to date in a shard. `wait` spends pauses before other tries.

    Raises:
        UserError: git is not installed, another process is at the same shard, or there is no more
            room on the disk.
    """
    here = place(settings, ARTIFACT, partition, identity(settings.clone))
    with alone(here.folder.with_name(f".{partition}.lock")) as lock:
        wanted = _wanted(settings, here)
        states = {key: _state(settings, one) for key, one in wanted.items()}
        asked = digest(*(f"{key} {state}" for key, state in sorted(states.items())))
        if done := seen.kept(settings, here, asked + inside(here.folder)):
            return done
        shutil.rmtree(here.scratch, ignore_errors=True)
        _forget_unreadable(here)
        rank = {key: number for number, key in enumerate(wanted)}
        cloner = _cloner(settings, here, wait, lock)
        record = run_units(
            here,
            [Unit(key, {"repositories": state}) for key, state in states.items()],
            lambda unit: _clone(settings, here, cloner, wanted[unit.key]),
            workers=settings.clone.concurrency,
            label=f"clone {partition}",
            order=lambda unit: rank[unit.key],
            stop=cloner.stop,
        )
        _remove_unowned(here, wanted)
        return seen.keep(settings, here, asked + inside(here.folder), record)


def inside(folder: Path) -> str:
    """Return a mark of what lies where a partition's clones can be lost or cut: their heads, their
    branches and their packs."""
    within = ("", "/refs/heads", "/objects/pack")
    clones = sorted(str(path) for path in folder.glob("*.git"))
    return seen.listing(*(clone + folder for clone in clones for folder in within))


def _wanted(settings: Settings, here: Place) -> dict[str, _Wanted]:
    """The shard's repositories by unit key, in the order in which they are to be cloned.

    What is cloned already stays, selected or not: another choice removes nothing.
    """
    host, folder = settings.source.host, settings.source.local
    shard = (int(here.partition), settings.shards)
    with Catalog(settings.paths.database_url) as catalog:
        found = catalog.repositories(host, under=folder, shard=shard)
        wanted = catalog.selected(host, shard)
        replaced = set() if folder else _replaced(catalog.namesakes(host))
    if settings.source.listing:
        wanted &= set(_listed(settings))
    chosen = [
        row
        for row in found
        if row.repo_id in wanted or (here.folder / f"{row.repo_id}.git").exists()
    ]
    if settings.clone.order == "random":
        chosen.sort(key=lambda row: digest(str(row.repo_id)))
    else:
        chosen.sort(key=lambda row: (-row.stars, row.repo_id))
    return {str(row.repo_id): _Wanted(row, row.repo_id in replaced) for row in chosen}


def _listed(settings: Settings) -> Iterator[int]:
    """Yield the repositories of a list of names, as discovery left it."""
    for folder, record in upstream_records(settings, "repositories", (LISTED,)):
        for name in record.files:
            for line in (folder / name).read_bytes().splitlines():
                yield int(json.loads(line)["repo_id"])


def _replaced(rows: Iterable[Repository]) -> set[int]:
    """Ids of repositories whose name a younger one has: asking by name would give that one."""
    owners: dict[str, Repository] = {}
    replaced: set[int] = set()
    for row in sorted(rows, key=_age):
        if older := owners.get(row.full_name.lower()):
            replaced.add(older.repo_id)
        owners[row.full_name.lower()] = row
    return replaced


def _age(row: Repository) -> tuple[str, int, str]:
    """What grows with every new repository: its time of creation, then the host's own number."""
    return row.created_at, len(row.external_id), row.external_id


def _forget_unreadable(here: Place) -> None:
    """Forget clones that are not on the disk as they were recorded, so that they are made again."""
    lost = [
        record.key
        for record in unit_records(here)
        if record.counts.rows_out
        and not head_readable(here.folder / f"{record.key}.git", record.extra["head"])
    ]
    if lost:
        forget(here, lost)


def _state(settings: Settings, wanted: _Wanted) -> str:
    """What a clone depends on, as a digest."""
    row, head = wanted.row, ""
    if row.local_path:
        try:
            head = head_sha(open_repository(Path(row.local_path))) or ""
        except RepositoryError as error:
            head = error.reason
    facts = (row.pushed_at, row.default_branch, row.full_name, row.licence or "", head)
    return digest(*facts, str(_too_large(settings, row)), str(wanted.replaced))


def _too_large(settings: Settings, repository: Repository) -> bool:
    return repository.size_kb > settings.clone.max_size_kb


def _cloner(
    settings: Settings, here: Place, wait: Callable[[float], None] | None, lock: int
) -> Cloner:
    chosen = settings.clone
    space = Space(
        here.folder.parent,
        budget_bytes=int(chosen.disk_budget_gb * GB),
        floor_bytes=int(chosen.min_free_gb * GB),
    )
    limits = TransferLimits(timeout_s=chosen.timeout_s, max_bytes=chosen.max_size_kb * KB)
    blob = chosen.max_blob_bytes
    return Cloner(limits, space=space, max_blob_bytes=blob, wait=wait, lock=lock)


def _remote(settings: Settings, repository: Repository) -> Remote:
    branch, size = repository.default_branch, repository.size_kb * KB
    if repository.local_path:
        return Remote(repository.local_path, branch, local=True, size_bytes=size)
    url = f"{settings.source.git_url}/{repository.full_name}.git"
    tokens = settings.source.tokens or ("",)
    return Remote(url, branch, tokens[repository.repo_id % len(tokens)], size_bytes=size)


def _clone(settings: Settings, here: Place, cloner: Cloner, wanted: _Wanted) -> Outcome:
    repository = wanted.row
    target = here.folder / f"{repository.repo_id}.git"
    before = read_record(here.folder / f"{repository.repo_id}.record.json")
    known = str(before.extra["head"]) if before and before.counts.rows_out else None
    try:
        _refuse_unfit(settings, wanted)
        found = cloner.fetch(_remote(settings, repository), target, here.scratch, known=known)
    except CloneFailed as failure:
        if not failure.permanent:
            raise UnitFailed(failure.reason, failure.detail) from None
        shutil.rmtree(target, ignore_errors=True)
        raise UnitDropped(failure.reason, failure.detail) from None
    files = [name for name in ("HEAD", OMITTED) if (target / name).exists()]
    said = {
        "full_name": repository.full_name,
        "language": repository.language,
        "stars": repository.stars,
        "licence": repository.licence,
        "fork": repository.fork,
        "head": found.head,
        "rewritten": found.rewritten,
    }
    return Outcome(Counts(1, 1), tuple(f"{target.name}/{name}" for name in files), said)


def _refuse_unfit(settings: Settings, wanted: _Wanted) -> None:
    """Raise CloneFailed for what need not be asked for."""
    row, local = wanted.row, settings.source.local
    if _too_large(settings, row):
        raise CloneFailed("too large", f"{row.size_kb} KB, the host says")
    if wanted.replaced or (local and not is_itself(row, local)):
        raise CloneFailed("replaced", f"another repository is {row.full_name} now")


def _remove_unowned(here: Place, owned: Container[str]) -> None:
    """Remove clones whose repository left the catalog, such as one that opted out."""
    for path in sorted(here.folder.glob("*.git")):
        if path.stem not in owned:
            shutil.rmtree(path)
