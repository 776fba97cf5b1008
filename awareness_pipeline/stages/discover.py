"""Stage `discover`: which repositories exist, into the catalog.

A partition is a language, or one of two other sources: `local`, a folder of repositories on this
machine, and `listed`, a file of names. `ahead` asks for the languages of a run together, in the
order that serves a target best; `run` asks what is left of one language and lists what the catalog
then holds: `<key>.jsonl`, redone when its content changed. Search progress lives in the catalog's
ranges, not in records, so a killed or capped run goes on where it stopped, and a finished language
asks nothing again until a refresh or `--fresh`.
"""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from awareness_model.schema import digest, write_rows
from awareness_pipeline.artifacts import Counts, Record, place, writing
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.clock import REAL_CLOCK, Clock, utc
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.github import tiers
from awareness_pipeline.github.agenda import Agenda, Goal, lost, prepare
from awareness_pipeline.github.client import GitHub
from awareness_pipeline.github.crawl import alone, crawl
from awareness_pipeline.github.items import FULL_NAME
from awareness_pipeline.github.listing import Answer, answers_of, read_answers, read_names
from awareness_pipeline.github.sampling import choose
from awareness_pipeline.gitio.local import Found, find_repositories, size_kb
from awareness_pipeline.gitio.repository import (
    RepositoryError,
    local_external_id,
    open_repository,
)
from awareness_pipeline.gitio.snapshot import main_language_of
from awareness_pipeline.records import Repository, repo_id_of, to_json
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, pending

ARTIFACT = "repositories"
LOCAL = "local"
LISTED = "listed"
ANSWERS = "listed.names.jsonl"
LEFT_OUT = "opted out or withdrawn"

log = logging.getLogger(__name__)


def partitions(settings: Settings) -> tuple[str, ...]:
    """Return the languages to look for; only `local` for a folder, `listed` for a list.

    Raises:
        UserError: a language that no tier knows.
    """
    if settings.source.local:
        return (LOCAL,)
    return (LISTED,) if settings.source.listing else tiers.languages(settings.discover)


def ahead(
    settings: Settings,
    languages: Sequence[str],
    clock: Clock = REAL_CLOCK,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Ask for several languages together, and mark which repositories are to be cloned.

    Raises:
        UserError: an unknown language, no token that works, or no network.
    """
    if settings.source.local or settings.source.listing:
        return
    goals = [_goal(settings, language) for language in languages]
    host = settings.source.host
    with Catalog(settings.paths.database_url) as catalog:
        _ask(settings, catalog, goals, settings.discover.mode, clock, transport)
        wishes = settings.discover
        found = catalog.repositories(host)
        chosen = choose(found, wishes.target, wishes.sampling, wishes.seed)
        catalog.select(host, chosen)


def run(
    settings: Settings,
    partition: str,
    clock: Clock = REAL_CLOCK,
    transport: httpx.BaseTransport | None = None,
) -> Record:
    """List the repositories of one language, of the list or of the local folder, after asking
    what is not asked yet.

    Raises:
        UserError: an unknown language, no token that works, no network, no such folder or file.
    """
    if settings.source.local:
        return _run_local(settings, settings.source.local)
    if settings.source.listing:
        return _run_listed(settings, settings.source.listing, clock, transport)
    goal = _goal(settings, tiers.canonical(partition))
    started = time.monotonic()
    with Catalog(settings.paths.database_url) as catalog:
        failed = _ask(settings, catalog, [goal], "resume", clock, transport)
        host = settings.source.host
        rows = catalog.repositories(host, language=goal.language)
        left_out = catalog.count(host, goal.language) - len(rows)
        missing = lost(catalog.searches(host).ranges(goal.language))
    shape = {"language": goal.language, "tier": goal.tier, "min_stars": goal.least}
    dropped = {**missing, LEFT_OUT: left_out}
    reasons = [f"failed: {reason}" for reason in failed.values()]
    return _list(settings, goal.language, shape, rows, dropped, reasons, started)


def _goal(settings: Settings, language: str) -> Goal:
    least = tiers.least_stars(settings.discover, language)
    return Goal(tiers.canonical(language), tiers.tier_of(language).name, least)


def _ask(
    settings: Settings,
    catalog: Catalog,
    goals: Sequence[Goal],
    mode: str,
    clock: Clock,
    transport: httpx.BaseTransport | None,
) -> dict[str, str]:
    """Ask what `mode` asks for. Returns what went wrong, by language."""
    host = settings.source.host
    searches = catalog.searches(host)
    # GitHub drops a `language:` that it does not know, and answers with every language.
    goals = [goal for goal in goals if tiers.search_names(goal.language)]
    if mode == "resume" and Agenda(searches, settings.discover).complete(goals):
        return {}
    with alone(catalog, host, clock), GitHub(settings.source, clock, transport, searches) as github:
        number = prepare(searches, goals, mode, utc(clock.wall()))
        failed = crawl(catalog, github, host, settings.discover, goals)
        if number and not failed:
            searches.close_round(number, utc(clock.wall()))
    return failed


def _run_listed(
    settings: Settings, file: Path, clock: Clock, transport: httpx.BaseTransport | None
) -> Record:
    """Find the repositories that a file names; those that the catalog knows are not asked for, nor
    those that were not there, unless it is a refresh."""
    started = time.monotonic()
    names = read_names(file, settings.source.git_url)
    host = settings.source.host
    here = place(settings, ARTIFACT, LISTED, {})
    with Catalog(settings.paths.database_url) as catalog:
        again = settings.discover.mode == "refresh"
        answers = {} if again else read_answers(here.folder / ANSWERS)
        known = catalog.named(host)
        answers |= {name: Answer(name, "alive", known[name]) for name in names if name in known}
        if todo := [name for name in names if name not in answers]:
            with GitHub(settings.source, clock, transport, catalog.searches(host)) as github:
                answers |= answers_of(catalog, github, todo, host)
        answers = {name: answers[name] for name in sorted(names) if name in answers}
        ids = {one.repo_id for one in answers.values() if one.state == "alive"}
        catalog.enlist(ids)
        rows = [row for row in catalog.repositories(host) if row.repo_id in ids]
    dropped = Counter(one.state for one in answers.values() if one.state != "alive")
    dropped[LEFT_OUT] = len(ids) - len(rows)
    write_rows(here.folder / ANSWERS, answers.values())
    refused = ["failed: lookup refused"] * (len(names) - len(answers))
    return _list(settings, LISTED, {}, rows, dropped, refused, started)


def _list(
    settings: Settings,
    partition: str,
    shape: Mapping[str, Any],
    rows: Iterable[Repository],
    dropped: Mapping[str, int],
    failed: Iterable[str],
    started: float,
) -> Record:
    """Write the list of a partition's repositories, by id, if it is another one than before."""
    here = place(settings, ARTIFACT, partition, shape)
    key = _key(partition)
    # Where a local one lies is this machine's business.
    lines = [to_json(replace(row, local_path=None)) + "\n" for row in rows]
    dropped = {reason: number for reason, number in sorted(dropped.items()) if number}
    unit = Unit(key, {"content": digest(json.dumps(dropped), *lines)})
    fresh = pending(here, [unit])
    if fresh:
        with writing(here.folder / f"{key}.jsonl") as path:
            path.write_text("".join(lines), encoding="utf-8", newline="\n")
        counts = Counts(len(lines) + sum(dropped.values()), len(lines), dropped)
        finish_unit(here, unit, Outcome(counts, (f"{key}.jsonl",)), time.monotonic() - started)
    seconds = time.monotonic() - started
    return close(here, [unit], fresh=len(fresh), failed=Counter(failed), seconds=seconds)


def _key(language: str) -> str:
    """The language as part of a file name: `c`, `cplusplus`, `common-lisp`."""
    name = language.lower().replace("+", "plus").replace("#", "sharp")
    return re.sub(r"[^a-z0-9]+", "-", name)


def _run_local(settings: Settings, folder: Path) -> Record:
    try:
        found = find_repositories(folder)
    except NotADirectoryError:
        raise UserError(f"{folder} is not a folder: name one that holds git repositories") from None
    if not found:
        raise UserError(f"{folder} holds no git repository, down to three levels")
    started = time.monotonic()
    rows, broken = [], 0
    for one in found:
        try:
            rows.append(_repository(one, folder))
        except RepositoryError as error:
            log.warning("%s: %s", one.path, error)
            broken += 1
    with Catalog(settings.paths.database_url) as catalog:
        catalog.upsert(rows)
        ids = {row.repo_id for row in rows}
        listed = [row for row in catalog.repositories(LOCAL, under=folder) if row.repo_id in ids]
    dropped = {"broken": broken, LEFT_OUT: len(rows) - len(listed)}
    return _list(settings, LOCAL, {}, listed, dropped, [], started)


def _repository(one: Found, folder: Path) -> Repository:
    """Say of a local repository what a host would.

    Raises:
        RepositoryError: it cannot be read.
    """
    external_id = local_external_id(open_repository(one.path), one.place)
    return Repository(
        repo_id=repo_id_of(LOCAL, external_id),
        host=LOCAL,
        external_id=external_id,
        full_name=_local_name(one.place or folder.resolve().name),
        language=main_language_of(one.path, one.head) if one.head else "",
        stars=0,
        forks=0,
        size_kb=size_kb(one.path),
        default_branch=one.branch,
        licence=None,
        fork=False,
        archived=False,
        created_at="",
        pushed_at=one.committed_at,
        local_path=str(one.path),
    )


def _local_name(where: str) -> str:
    """`OWNER/NAME` as it stands; any other path becomes `local/PATH` with `--` for `/`."""
    name = where.removesuffix(".git")
    if FULL_NAME.fullmatch(name):
        return name
    return "local/" + re.sub(r"[^A-Za-z0-9._-]", "-", name.replace("/", "--"))
