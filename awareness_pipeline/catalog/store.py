"""Operations on the catalog. Every method is one transaction; none is held across network calls.

Here are repositories, opt-outs and how far each stage is; what was asked of a host is in
`searches.py`, through `Catalog.searches`. A repository has one row whatever it is called: the key
is the hash of host and the host's own id. Rows are never removed. What asked to be left out, and
what the host shows no longer to everyone (`WITHDRAWN`), is not handed to any stage.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from awareness_pipeline.catalog.engine import alone, in_turn, open_engine, plain_errors
from awareness_pipeline.catalog.searches import Searches
from awareness_pipeline.catalog.tables import OptOutRow, RepositoryRow, StageProgressRow
from awareness_pipeline.clock import utc_now
from awareness_pipeline.records import Repository

REPOSITORY_FIELDS = tuple(Repository.__slots__)
BATCH = 500
"""Rows per statement: databases bound the number of a statement's parameters."""
REPOSITORIES = "repositories"
"""The queue of those who read repositories or opt-outs in order to write them."""
WITHDRAWN = ("blocked", "private")
"""States of a repository that no stage may hold any longer."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """An owner or repository that asked to be left out."""

    name: str
    external_id: str


class Catalog:
    """A catalog database, brought to the current schema when opened."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with plain_errors(), Session(self._engine) as session, session.begin():
            yield session

    def searches(self, host: str) -> Searches:
        """Return what was asked of a host, and what is still to ask."""
        return Searches(self._session, host)

    def alone(self, name: str, *, wait: bool = False) -> AbstractContextManager[bool]:
        """Hold `name` against other processes on this catalog; False where another holds it, unless
        it is to `wait` for that one's end."""
        return alone(self._engine, name, wait=wait)

    def upsert(self, repositories: Iterable[Repository], *, listed: bool = False) -> int:
        """Store repositories that the host showed just now; known ones get new metadata.

        Args:
            listed: they were asked for by name, so they are always selected.

        Returns how many were new.
        """
        now = utc_now()
        chosen = {"selected": True, "listed": True} if listed else {}
        seen = {"checked_at": now, "state": "alive", **chosen}
        rows = {row.repo_id: {**_columns(row), **seen} for row in repositories}
        first = {"discovered_at": now, "selected": True, "listed": False}
        new = 0
        with self._session() as session:
            in_turn(session, REPOSITORIES)
            for ids in _batches(sorted(rows)):
                query = select(RepositoryRow.repo_id).where(RepositoryRow.repo_id.in_(ids))
                known = set(session.scalars(query))
                added = [{**first, **rows[one]} for one in ids if one not in known]
                changed = [rows[one] for one in ids if one in known]
                if added:
                    session.execute(insert(RepositoryRow), added)
                if changed:
                    session.execute(update(RepositoryRow), changed)
                new += len(added)
            _pin_opt_outs(session, rows.values())
        return new

    def mark(self, repo_id: int, state: str) -> None:
        """Note that the host was asked for a repository, and in what state it is."""
        with self._session() as session:
            row = session.get_one(RepositoryRow, repo_id)
            row.state, row.checked_at = state, utc_now()

    def enlist(self, repo_ids: Iterable[int]) -> None:
        """Mark known repositories as asked for by name."""
        rows = [{"repo_id": one, "listed": True, "selected": True} for one in sorted(repo_ids)]
        with self._session() as session:
            in_turn(session, REPOSITORIES)
            if rows:
                session.execute(update(RepositoryRow), rows)

    def select(self, host: str, chosen: Collection[int]) -> None:
        """Mark which of a host's repositories are to be cloned; listed ones always are."""
        with self._session() as session:
            in_turn(session, REPOSITORIES)
            query = select(RepositoryRow.repo_id, RepositoryRow.selected, RepositoryRow.listed)
            found = session.execute(query.where(RepositoryRow.host == host)).tuples()
            changed = [
                {"repo_id": one, "selected": not selected}
                for one, selected, listed in sorted(found)
                if selected != (listed or one in chosen)
            ]
            if changed:
                session.execute(update(RepositoryRow), changed)

    def repositories(
        self,
        host: str,
        *,
        language: str | None = None,
        under: Path | None = None,
        shard: tuple[int, int] | None = None,
    ) -> list[Repository]:
        """Return a host's repositories by id; without opted-out and withdrawn ones.

        Args:
            language: only this one (any case).
            under: only repositories found below this local folder.
            shard: only those of a shard: its number, and how many there are.
        """
        query = _handed_out(host, shard)
        if language is not None:
            query = query.where(func.lower(RepositoryRow.language) == language.lower())
        rows = self._kept(host, query)
        if under is not None:
            folder = under.resolve()
            rows = [row for row in rows if Path(row.local_path or "/").is_relative_to(folder)]
        return rows

    def namesakes(self, host: str) -> list[Repository]:
        """Return a host's repositories whose name another one has too (any case), by id; without
        opted-out and withdrawn ones."""
        name = func.lower(RepositoryRow.full_name)
        names = select(name).where(RepositoryRow.host == host).group_by(name)
        return self._kept(host, _handed_out(host).where(name.in_(names.having(func.count() > 1))))

    def _kept(self, host: str, query: Select[tuple[RepositoryRow]]) -> list[Repository]:
        with self._session() as session:
            refused = _refused(session, host)
            rows = [_repository(row) for row in session.scalars(query)]
        kept = [row for row in rows if not _names(row) & refused] if refused else rows
        return sorted(kept, key=lambda row: row.repo_id)

    def selected(self, host: str, shard: tuple[int, int] | None = None) -> set[int]:
        """Return the ids of what is to be cloned, in all or in a shard; opted-out and withdrawn
        ones are among them."""
        query = select(RepositoryRow.repo_id).where(RepositoryRow.host == host, *_of_shard(shard))
        with self._session() as session:
            return set(session.scalars(query.where(RepositoryRow.selected)))

    def unchecked(self, host: str, before: str) -> list[Repository]:
        """Return the repositories that nothing was heard of since a time, longest ago first.

        Withdrawn ones are among them: they may be back.
        """
        query = (
            select(RepositoryRow)
            .where(RepositoryRow.host == host, RepositoryRow.checked_at < before)
            .order_by(RepositoryRow.checked_at, RepositoryRow.repo_id)
        )
        with self._session() as session:
            refused = _refused(session, host)
            rows = [_repository(row) for row in session.scalars(query)]
        return [row for row in rows if not _names(row) & refused]

    def count(self, host: str, language: str | None = None) -> int:
        """Return how many repositories of a host are stored, opted-out ones included."""
        query = select(func.count()).select_from(RepositoryRow).where(RepositoryRow.host == host)
        if language is not None:
            query = query.where(func.lower(RepositoryRow.language) == language.lower())
        with self._session() as session:
            return session.scalar(query) or 0

    def states(self, host: str) -> dict[str, int]:
        """Return how many repositories of a host are in each state, and how many are selected."""
        query = (
            select(RepositoryRow.state, func.count())
            .where(RepositoryRow.host == host)
            .group_by(RepositoryRow.state)
        )
        selected = select(func.count()).where(RepositoryRow.host == host, RepositoryRow.selected)
        with self._session() as session:
            found = dict(iter(session.execute(query).tuples()))
            return {**dict(sorted(found.items())), "selected": session.scalar(selected) or 0}

    def named(self, host: str) -> dict[str, int]:
        """Return the ids of a host's repositories by full name, lower case."""
        query = select(RepositoryRow.full_name, RepositoryRow.repo_id)
        with self._session() as session:
            found = session.execute(query.where(RepositoryRow.host == host)).tuples()
            return {name.lower(): repo_id for name, repo_id in sorted(found)}

    def note(self, version: str, stage: str, repo_id: int, error: str = "") -> None:
        """Note that a repository is done in a stage, or failed with `error`."""
        state = "failed" if error else "done"
        with self._session() as session:
            in_turn(session, f"progress {version} {stage} {repo_id}")
            row = session.get(StageProgressRow, (version, stage, repo_id))
            if row is None:
                row = StageProgressRow(
                    version=version, stage=stage, repo_id=repo_id, state=state, attempts=0
                )
                session.add(row)
            row.state, row.last_error = state, error
            row.attempts += 1

    def progress(self, version: str) -> dict[str, dict[str, int]]:
        """Return, by stage and state, how many repositories of a version stand there."""
        query = (
            select(StageProgressRow.stage, StageProgressRow.state, func.count())
            .where(StageProgressRow.version == version)
            .group_by(StageProgressRow.stage, StageProgressRow.state)
        )
        found: dict[str, dict[str, int]] = {}
        with self._session() as session:
            for stage, state, number in sorted(session.execute(query).tuples()):
                found.setdefault(stage, {})[state] = number
        return found

    def opt_out(self, host: str, name: str) -> None:
        """Leave an owner or `owner/name` out from now on, whatever it is called later."""
        name = name.lower()
        by_name = select(RepositoryRow.external_id).where(
            RepositoryRow.host == host, func.lower(RepositoryRow.full_name) == name
        )
        with self._session() as session:
            in_turn(session, REPOSITORIES)
            if session.get(OptOutRow, (host, name)) is None:
                known = session.scalar(by_name) or ""
                session.add(OptOutRow(host=host, name=name, external_id=known))

    def opt_in(self, host: str, name: str) -> bool:
        """Take an opt-out back. Returns whether there was one."""
        query = delete(OptOutRow).where(OptOutRow.host == host, OptOutRow.name == name.lower())
        with self._session() as session:
            in_turn(session, REPOSITORIES)
            return bool(session.execute(query).rowcount)  # type: ignore[attr-defined]

    def opt_outs(self, host: str) -> list[OptOut]:
        """Return who asked to be left out, by name."""
        query = select(OptOutRow).where(OptOutRow.host == host)
        with self._session() as session:
            found = [OptOut(row.name, row.external_id) for row in session.scalars(query)]
        # Databases order text in ways of their own.
        return sorted(found, key=lambda one: one.name)

    def rows(self) -> list[Mapping[str, Any]]:
        """Return every repository by id: what `awareness digest` hashes. Where a local one lies
        on this machine, and when it was seen, are left out."""
        query = select(RepositoryRow).order_by(RepositoryRow.repo_id)
        with self._session() as session:
            found = [
                {**_columns(_repository(row)), "state": row.state, "selected": row.selected}
                for row in session.scalars(query)
            ]
        return [{k: v for k, v in row.items() if k != "local_path"} for row in found]


def _handed_out(host: str, shard: tuple[int, int] | None = None) -> Select[tuple[RepositoryRow]]:
    return select(RepositoryRow).where(
        RepositoryRow.host == host, RepositoryRow.state.not_in(WITHDRAWN), *_of_shard(shard)
    )


def _of_shard(shard: tuple[int, int] | None) -> list[ColumnElement[bool]]:
    """Return the condition that `records.shard_of` puts a repository into a shard."""
    return [RepositoryRow.repo_id % shard[1] == shard[0]] if shard else []


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _refused(session: Session, host: str) -> set[str]:
    """Return the owners, names and `#ids` that asked to be left out."""
    rows = list(session.scalars(select(OptOutRow).where(OptOutRow.host == host)))
    return {row.name for row in rows} | {f"#{row.external_id}" for row in rows if row.external_id}


def _names(row: Repository) -> set[str]:
    name = row.full_name.lower()
    return {name, name.split("/")[0], f"#{row.external_id}"}


def _pin_opt_outs(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Tie opt-outs by `owner/name` to the repository that now has the name."""
    waiting = list(
        session.scalars(
            select(OptOutRow).where(OptOutRow.external_id == "", OptOutRow.name.contains("/"))
        )
    )
    if not waiting:
        return
    ids = {(row["host"], row["full_name"].lower()): row["external_id"] for row in rows}
    for one in waiting:
        one.external_id = ids.get((one.host, one.name), "")


def _columns(repository: Repository) -> dict[str, Any]:
    values = {name: getattr(repository, name) for name in REPOSITORY_FIELDS}
    return {**values, "topics": json.dumps(values["topics"])}


def _repository(row: RepositoryRow) -> Repository:
    values = {name: getattr(row, name) for name in REPOSITORY_FIELDS}
    return Repository(**{**values, "topics": tuple(json.loads(row.topics))})
