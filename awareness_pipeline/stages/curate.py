"""curate: which commits go on and on which side, as decisions beside the commits.

A unit leaves `<repo_id>.jsonl`, one `Decision` per commit in the order of the commit file; commits
are never rewritten, so rules can change without a new extraction. Three steps, each done only where
something is new:

1. Facts: what is true of each commit by itself (patch id, signature, licence, secrets, benchmark
   text), a file per repository in `commit_facts/`; only here commits are read, and each once.
2. Verdicts: all facts side by side: duplicates, benchmarks, kin and their side of the split. A pure
   function of what is extracted, but for the sides, which once given never move (`index.py`).
3. Decisions: a repository is decided anew only if its facts or what was said of it changed.

A run of one shard brings the facts of all shards up to date, since any commit may be a duplicate of
any other; the shards after it find that done.

`Record.extra` of a unit: `split`; `cluster`, the lowest repository id of its kin; of the commits
that are kept, `licences` by class and `findings` by kind.

Facts are made by one thread; processes that curate different shards share the shards among them.

Limits: names, stars and licences are those of the clone's record, so they are as old as it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from awareness_model.schema import to_json
from awareness_pipeline import seen, store
from awareness_pipeline.artifacts import (
    Counts,
    Place,
    Record,
    place,
    read_record,
    unit_records,
    upstream_records,
    whole,
    writing,
)
from awareness_pipeline.catalog.workers import turn
from awareness_pipeline.config import Settings, identity
from awareness_pipeline.curation import benchmarks, licences
from awareness_pipeline.curation.corpus import Member
from awareness_pipeline.curation.decisions import decide
from awareness_pipeline.curation.facts import facts_of, read_facts, write_facts
from awareness_pipeline.curation.index import Index, stat_of
from awareness_pipeline.curation.shared import (
    bring_index,
    content_of,
    facts_are_current,
    read_by,
    send_index,
)
from awareness_pipeline.curation.verdicts import Verdict
from awareness_pipeline.gitio.commits import commit_file, read_commits
from awareness_pipeline.gitio.licence_files import parent_root_files, read_text
from awareness_pipeline.gitio.repository import RepositoryError, open_repository
from awareness_pipeline.units import (
    Outcome,
    Unit,
    UnitFailed,
    forget,
    forget_attempts,
    pending,
    run_units,
)

ARTIFACT: Final = "curated_commits"
FACTS: Final = "commit_facts"
FACTS_SCHEMA: Final = 1


def run(settings: Settings, partition: str) -> Record:
    """Decide over every extracted repository of a shard; return the shard's record.

    Raises:
        UserError: the version was curated with other settings.
    """
    here = _decisions(settings, partition)
    given = _given(settings, partition)
    if given and (done := seen.kept(settings, here, given)):
        return done
    pending(here, ())
    failed = _bring_up_to_date(settings, partition)
    given = _given(settings, partition)
    facts = {one.key: one for one in unit_records(_facts(settings, partition))}
    clones = {one.key: one for _, one in upstream_records(settings, "clones", (partition,))}
    verdicts = _index(settings).verdicts(partition)

    def work(unit: Unit) -> Outcome:
        if unit.key in failed:
            raise failed[unit.key]
        path = _facts(settings, partition).folder / f"{unit.key}.parquet"
        return _decide(here, unit.key, path, verdicts[int(unit.key)], _licence(clones, unit.key))

    def unit_of(commits: Record) -> Unit:
        fact, verdict = facts.get(commits.key), verdicts.get(int(commits.key))
        inputs = {
            "commits": commits.digest,
            "facts": fact.digest if fact else "",
            "verdict": verdict.digest if verdict else "",
            "licence": str(_licence(clones, commits.key)),
        }
        return Unit(commits.key, inputs)

    units = [unit_of(one) for _, one in upstream_records(settings, "commits", (partition,))]
    record = run_units(here, units, work, label=f"curate {partition}")
    return seen.keep(settings, here, given, record) if given else record


def _given(settings: Settings, partition: str) -> str:
    """What a shard's decisions are made of, as a mark; empty while anything is behind, and where
    files are in a bucket."""
    index = _index(settings)
    if settings.paths.store or not index.is_current:
        return ""
    read = ("commits", "clones", FACTS)
    folders = [place(settings, artifact, partition, {}).folder for artifact in read]
    return seen.listing(*folders) + seen.files(index.said_of(partition))


def _decisions(settings: Settings, partition: str) -> Place:
    lists = {"benchmarks": benchmarks.fingerprint(), "licences": licences.fingerprint()}
    shape = {**identity(settings.curate), **lists}
    return place(settings, ARTIFACT, partition, shape)


def _facts(settings: Settings, partition: str) -> Place:
    shape = {"schema": FACTS_SCHEMA, "problems": benchmarks.problem_fingerprint()}
    return place(settings, FACTS, partition, shape)


def _licence(clones: dict[str, Record], key: str) -> str | None:
    said = clones[key].extra.get("licence") if key in clones else None
    return str(said) if said else None


@lru_cache(maxsize=2)
def _index(settings: Settings) -> Index:
    records = {
        artifact: tuple(
            place(settings, artifact, key, {}).folder / "record.json" for key in settings.shard_keys
        )
        for artifact in ("clones", "commits", FACTS)
    }
    here = _decisions(settings, "")
    return Index(
        home=settings.paths.artifact(ARTIFACT) / settings.version,
        settings=settings.curate,
        fingerprint=here.fingerprint,
        watched=tuple(path for paths in records.values() for path in paths),
        compared=records["clones"] + records[FACTS],
        mark=content_of if settings.paths.store else stat_of,
    )


def _bring_up_to_date(settings: Settings, partition: str) -> dict[str, UnitFailed]:
    """Make the facts and verdicts that are missing; return why units have none."""
    index = _index(settings)
    for folder in (_facts(settings, partition).folder.parent, index.home):
        folder.mkdir(parents=True, exist_ok=True)
    if settings.paths.store:
        _bring(settings, partition)
    left = [partition] if index.is_current else list(settings.shard_keys)
    failed: dict[str, UnitFailed] = {}
    # What other processes have in hand comes last; there is nothing left to do then.
    for wait in (False, True):
        for key in tuple(left):
            file = _facts(settings, key).folder.with_name(f".{key}.lock")
            with turn(settings, f"{FACTS} {key}", file, wait=wait) as held:
                if held:
                    failed |= _make_facts(settings, key, at_hand=key == partition)
                    left.remove(key)
    with turn(settings, f"{ARTIFACT} index", index.home / ".lock", wait=True):
        if settings.paths.store:
            _bring(settings, partition)
        if not index.is_current:
            index.update(lambda: _members(settings), lambda: _refuse_other(settings))
            if settings.paths.store:
                send_index(_shared(settings))
    if settings.paths.store:
        store.bring(_facts(settings, partition))
    return failed


def _shared(settings: Settings) -> Place:
    """Return where the bucket has what all shards share, and the folder of it."""
    return replace(_decisions(settings, "index"), folder=_decisions(settings, "").folder)


def _bring(settings: Settings, partition: str) -> None:
    """Bring what says whether anything is behind: records of partitions, and the index."""
    store.bring_records(
        place(settings, artifact, key, {})
        for artifact in ("clones", "commits", FACTS)
        for key in settings.shard_keys
    )
    bring_index(_shared(settings), partition)


def _refuse_other(settings: Settings) -> None:
    """Raise UserError if any shard was curated with other settings."""
    if settings.paths.store:
        store.bring_records(_decisions(settings, key) for key in settings.shard_keys)
    for key in settings.shard_keys:
        here = _decisions(settings, key)
        if here.folder.exists():
            pending(here, ())


def _members(settings: Settings) -> list[Member]:
    """Return every repository that has facts."""
    if settings.paths.store:
        for key in settings.shard_keys:
            store.bring(_facts(settings, key))
            store.bring(place(settings, "clones", key, {}), whole=False)
    return list(_all_members(settings))


def _all_members(settings: Settings) -> Iterator[Member]:
    for key in settings.shard_keys:
        clones = {one.key: one for _, one in upstream_records(settings, "clones", (key,))}
        here = _facts(settings, key)
        for record in unit_records(here):
            told = clones[record.key].extra if record.key in clones else {}
            yield Member(
                repo_id=int(record.key),
                partition=key,
                facts=here.folder / f"{record.key}.parquet",
                commits=record.counts.rows_out,
                full_name=str(told.get("full_name", "")),
                stars=int(told.get("stars", 0)),
                fork=bool(told.get("fork", False)),
                licence=_licence(clones, record.key),
            )


def _make_facts(settings: Settings, partition: str, *, at_hand: bool) -> dict[str, UnitFailed]:
    """Make the facts of a shard that are missing; return why units failed.

    Args:
        at_hand: its clones and commits were brought already, where files are in a bucket.
    """
    here = _facts(settings, partition)
    failed: dict[str, UnitFailed] = {}
    if settings.paths.store and not _bring_behind(settings, here, at_hand=at_hand):
        return failed
    read = read_record(place(settings, "commits", partition, {}).folder / "record.json")
    before = read_record(here.folder / "record.json")
    if before and before.fingerprint != here.fingerprint:
        forget(here)
    clones = place(settings, "clones", partition, {}).folder
    commits = {
        record.key: (folder, record)
        for folder, record in upstream_records(settings, "commits", (partition,))
    }

    def work(unit: Unit) -> Outcome:
        try:
            return _facts_of(here, unit, commits[unit.key][0], clones / f"{unit.key}.git")
        except UnitFailed as failure:
            failed[unit.key] = failure
            raise

    units = [
        Unit(key, {"commits": record.digest, "extraction": record.fingerprint})
        for key, (_, record) in commits.items()
    ]
    if units or before:
        said = {"commits": read_by([read])}
        run_units(here, units, work, label=f"read {partition}", extra=said)
        forget_attempts(here)
    return failed


def _bring_behind(settings: Settings, here: Place, *, at_hand: bool) -> bool:
    """Bring what a shard's facts are made of, if they are behind; return whether they are."""
    clones, commits = (
        place(settings, artifact, here.partition, {}) for artifact in ("clones", "commits")
    )
    store.bring_records((clones, commits, here))
    facts, read = (read_record(one.folder / "record.json") for one in (here, commits))
    if facts_are_current(facts, read, here.fingerprint, whole=at_hand):
        return False
    store.bring(here, own=True)
    store.bring(clones)
    if not at_hand:
        store.bring(commits)
    return True


def _facts_of(here: Place, unit: Unit, folder: Path, clone: Path) -> Outcome:
    name = f"{unit.key}.parquet"
    try:
        licence_before = _licence_reader(clone)
        commits = read_commits(commit_file(folder, unit.key))
        with writing(here.folder / name) as aside:
            rows = write_facts(aside, facts_of(commits, licence_before, _known(here, unit)))
    except RepositoryError as error:
        raise UnitFailed(error.reason, str(error)) from error
    except ValueError as error:
        raise UnitFailed("damaged", str(error)) from error
    return Outcome(Counts(rows, rows), files=(name,))


def _known(here: Place, unit: Unit) -> Iterator[dict[str, object]]:
    """Yield the facts made earlier of the same repository, extracted with the same settings."""
    record = read_record(here.folder / f"{unit.key}.record.json")
    same = record and record.inputs["extraction"] == unit.inputs["extraction"]
    if record and same and record.fingerprint == here.fingerprint and whole(here, record):
        yield from read_facts(here.folder / f"{unit.key}.parquet")


def _licence_reader(clone: Path) -> Callable[[str], str]:
    """Return a function that says what the licence files before a commit are."""
    repository = open_repository(clone)

    @cache
    def of_blob(blob: str) -> tuple[str, ...]:
        return licences.identify(read_text(repository, blob))

    def before(sha: str) -> str:
        blobs = parent_root_files(repository, sha, licences.is_licence_file)
        return licences.expression_of(map(of_blob, blobs))

    return before


def _decide(here: Place, key: str, facts: Path, verdict: Verdict, host: str | None) -> Outcome:
    name, rows = f"{key}.jsonl", 0
    dropped: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    found: Counter[str] = Counter()

    @cache
    def licence_of(files: str) -> tuple[str, str]:
        return licences.licence_of(files, host)

    with writing(here.folder / name) as aside, aside.open("w", encoding="utf-8", newline="") as out:
        for row, fact in enumerate(read_facts(facts)):
            lost = verdict.lost.get(row, ("", ""))
            decision = decide(int(key), fact, lost, verdict.side, licence_of)
            out.write(to_json(decision) + "\n")
            rows += 1
            if decision.keep:
                kept[decision.licence_class] += 1
                found.update(one.kind for one in decision.findings)
            else:
                dropped[decision.reason] += 1
    counts = Counts(rows, rows - dropped.total(), dict(sorted(dropped.items())))
    extra = {
        "split": verdict.side.split,
        "cluster": str(verdict.side.cluster),
        "licences": dict(sorted(kept.items())),
        "findings": dict(sorted(found.items())),
    }
    return Outcome(counts, files=(name,), extra=extra)
