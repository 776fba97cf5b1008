"""What must hold of repositories, clones, commits and curation decisions."""

import re
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pygit2

from awareness_model.schema import read_rows
from awareness_pipeline import seen
from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.catalog import Catalog, SearchRange
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.bounds import bounds, waiting
from awareness_pipeline.defs.checks.check import Check, Problems, per_unit, reading
from awareness_pipeline.github import tiers
from awareness_pipeline.github.agenda import Agenda, Goal
from awareness_pipeline.github.ranges import OPEN
from awareness_pipeline.gitio.commits import commit_file, read_commits, read_shas
from awareness_pipeline.gitio.repository import RepositoryError, head_sha, open_repository
from awareness_pipeline.records import (
    SPLITS,
    Commit,
    Decision,
    FileChange,
    Repository,
    repo_id_of,
)
from awareness_pipeline.stages.clone import inside

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def identities(settings: Settings, partitions: Sequence[str]) -> Problems:
    """A listed repository has the id that its host and external id give it, is listed once, and
    stands in the catalog under the same name."""
    with Catalog(settings.paths.database_url) as catalog:
        known = {row.repo_id: row.full_name for row in catalog.repositories(settings.source.host)}
    listed: dict[int, str] = {}

    def of_unit(folder: Path, record: Record) -> Problems:
        for name in record.files:
            for row in read_rows(Repository, folder / name):
                if row.repo_id != repo_id_of(row.host, row.external_id):
                    yield f"{row.full_name}: id {row.repo_id} is not that of {row.external_id}"
                if row.repo_id in listed:
                    yield f"{row.full_name}: listed before, as {listed[row.repo_id]}"
                if known.get(row.repo_id) != row.full_name:
                    yield f"{row.full_name}: the catalog has {known.get(row.repo_id)}"
                listed[row.repo_id] = row.full_name

    yield from per_unit("repositories", of_unit)(settings, partitions)


def ranges_asked(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Every search range of the languages is asked, unless enough repositories are found: in all
    (`--target`) or of the language (`--cap-per-language`). What was pushed since the last pass is
    asked in any case. A language's next range is named."""
    goals = [_goal(settings, language) for language in _searched(settings, partitions)]
    with Catalog(settings.paths.database_url) as catalog:
        agenda = Agenda(catalog.searches(settings.source.host), settings.discover)
        if agenda.complete(goals):
            return
        for goal in goals:
            if one := agenda.next(goal) or agenda.next(goal, broad=True):
                yield f"{_named(one)}: not asked yet ({_of(one)})"
            elif not agenda.complete([goal]):
                yield f"{goal.tier} {goal.language}, {goal.least}.. stars: not asked yet"


def ranges_whole(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Every search range gave as many repositories as the host announced. A short one is listed:
    the host answered incompletely, or the range cannot be split further."""
    with Catalog(settings.paths.database_url) as catalog:
        searches = catalog.searches(settings.source.host)
        for language in _searched(settings, partitions):
            for one in searches.ranges(language, state="short"):
                yield f"{_named(one)}: {_of(one)}"


def within_automatic_bounds(settings: Settings, partitions: Sequence[str]) -> Problems:
    """What waits to be cloned is no more than automation may start by itself. If it is, start the
    job `build` by hand, or raise AWARENESS_AUTOMATION_MAX_REPOSITORIES or _MAX_GB."""
    allowed, found = bounds(), waiting(settings)
    if found.repositories > allowed.repositories:
        yield f"{found.repositories:,} repositories wait, {allowed.repositories:,} may start alone"
    if found.gigabytes > allowed.gigabytes:
        yield f"{found.gigabytes:,.1f} GB wait, {allowed.gigabytes:,} may start alone"


def _searched(settings: Settings, partitions: Sequence[str]) -> list[str]:
    """Return the languages that were searched for: none of a folder, of a list, or unknown to the
    host."""
    if settings.source.local or settings.source.listing:
        return []
    return [language for language in partitions if tiers.search_names(language)]


def _goal(settings: Settings, language: str) -> Goal:
    least = tiers.least_stars(settings.discover, language)
    return Goal(tiers.canonical(language), tiers.tier_of(language).name, least)


def _named(one: SearchRange) -> str:
    upper = "" if one.stars_max == OPEN else one.stars_max
    name = f"{one.tier} {one.language}, {one.stars_min}..{upper} stars"
    if one.created_min or one.created_max:
        name += f", created {one.created_min}..{one.created_max}"
    return f"{name}, pushed since {one.pushed_min}" if one.pushed_min else name


def _of(one: SearchRange) -> str:
    return f"{one.got:,} of {'an unknown number' if one.expected is None else f'{one.expected:,}'}"


def heads(folder: Path, clone: Record) -> Problems:
    """Every clone opens, its HEAD is the commit that its record names, and that commit's tree can
    be read."""
    if not clone.counts.rows_out:
        return
    try:
        repository = open_repository(folder / f"{clone.key}.git")
        head = head_sha(repository) or ""
        if head != clone.extra["head"]:
            yield f"HEAD is {head[:12] or 'unborn'}, the record says {clone.extra['head'][:12]}"
        elif head:
            repository[head].peel(pygit2.Tree)
    except (RepositoryError, pygit2.GitError, KeyError) as error:
        yield f"{type(error).__name__}: {error}"


def commit_rows(folder: Path, record: Record) -> Problems:
    """Every row is a commit of its repository, rows are those listed beside them, and the lines
    added and deleted are as many as the files say and as the hunks of the diff hold."""
    shas = []
    for commit in read_commits(commit_file(folder, record.key)):
        shas.append(commit.sha)
        for problem in _of_commit(commit, int(record.key)):
            yield f"{commit.sha[:12]}: {problem}"
    if shas != (listed := read_shas(folder, record.key)):
        yield f"{len(shas)} rows, not the {len(listed)} that are listed"


def _of_commit(commit: Commit, repo_id: int) -> Problems:
    if commit.repo_id != repo_id:
        yield f"belongs to repository {commit.repo_id}"
    if commit.truncated or any(_uncounted(change) for change in commit.files):
        return
    told = (commit.additions, commit.deletions)
    added = sum(change.additions or 0 for change in commit.files)
    deleted = sum(change.deletions or 0 for change in commit.files)
    if told != (added, deleted):
        yield f"says +{told[0]} -{told[1]}, its files +{added} -{deleted}"
    if told != (in_diff := hunk_lines(commit.diff)):
        yield f"says +{told[0]} -{told[1]}, its diff +{in_diff[0]} -{in_diff[1]}"


def _uncounted(change: FileChange) -> bool:
    """Whether the diff may show lines of a change that are not counted as such: a submodule's
    pointer, or one side of a change of type."""
    unshown = change.kind in ("binary", "omitted") and change.status != "type"
    return change.additions is None and not unshown


def hunk_lines(diff: str) -> tuple[int, int]:
    """Return how many lines the hunks of a diff add and delete.

    A line counts by its place, as many as each `@@` header announces: `+++i;` inside a hunk is an
    added line.
    """
    added = deleted = old_due = new_due = 0
    for line in diff.split("\n"):
        if old_due <= 0 and new_due <= 0:
            if found := _HUNK.match(line):
                old_due, new_due = (int(number or 1) for number in found.groups())
        elif line.startswith("+"):
            added, new_due = added + 1, new_due - 1
        elif line.startswith("-"):
            deleted, old_due = deleted + 1, old_due - 1
        elif not line.startswith("\\"):
            old_due, new_due = old_due - 1, new_due - 1
    return added, deleted


def decisions(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Every extracted commit has one decision, a dropped one a reason, no sha is kept twice, and a
    whole repository is on the side of the split that its record names."""
    kept: dict[str, str] = {}

    def of_unit(folder: Path, record: Record) -> Problems:
        rows = list(read_rows(Decision, folder / f"{record.key}.jsonl"))
        split = record.extra["split"]
        if split not in SPLITS or any(row.split != split for row in rows):
            yield f"is not on its side of the split, {split}"
        for row in rows:
            if bool(row.keep) == bool(row.reason):
                yield f"{row.sha[:12]}: keep is {row.keep}, with reason {row.reason!r}"
            if row.keep and (other := kept.setdefault(row.sha, record.key)) != record.key:
                yield f"{row.sha[:12]}: kept here and in {other}"
        yield from _same_shas(settings, record, [row.sha for row in rows])

    yield from per_unit("curated_commits", of_unit)(settings, partitions)


def _same_shas(settings: Settings, record: Record, shas: list[str]) -> Problems:
    folder = settings.paths.artifact("commits") / settings.version / record.partition
    commits = read_record(folder / f"{record.key}.record.json")
    if commits and shas != (extracted := read_shas(folder, record.key)):
        yield f"{len(shas)} decisions do not match {len(extracted)} extracted commits"


def _of_clones(settings: Settings, partition: str) -> str:
    folder = settings.paths.artifact("clones") / settings.version / partition
    return seen.listing(folder) + inside(folder)


CHECKS = (
    Check("repositories", "identities", identities),
    Check("repositories", "ranges_asked", ranges_asked),
    Check("repositories", "ranges_whole", ranges_whole, dg.AssetCheckSeverity.WARN),
    Check(
        "repositories",
        "within_automatic_bounds",
        within_automatic_bounds,
        dg.AssetCheckSeverity.WARN,
    ),
    Check("clones", "heads_readable", per_unit("clones", heads), mark=_of_clones),
    Check("commits", "rows_sound", per_unit("commits", commit_rows), mark=reading("commits")),
    Check(
        "curated_commits",
        "decisions_sound",
        decisions,
        mark=reading("curated_commits", "commits"),
        across=True,
    ),
)
