"""Snapshot rows: which tree holds which document. One row is one path of one tree; its key is a
digest of tree and path, so that two processes that write the same path at once leave one row.

Documents kept outside any commit stand in the live tree. `written` (microseconds, UTC) is when the
row was last changed; nothing compares it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from awareness_model.config import UserError
from awareness_model.memory.conflicts import retried
from awareness_model.memory.scopes import contained, named, quoted
from awareness_model.memory.tables import Table
from awareness_model.schema import SnapshotRow, digest

LIVE = (0, "live")
"""Repository and sha of documents kept by path rather than from a commit's tree."""

IN_LIST = 500
"""Values per SQL list; longer requests are split."""

COLUMNS = ("repo_id", "sha", "path", "content_hash", "scope", "acl")
SNAPSHOTS = pa.schema(
    [
        pa.field(
            "key",
            pa.string(),
            nullable=False,
            metadata={"lance-schema:unenforced-primary-key": "true"},
        ),
        ("repo_id", pa.int64()),
        ("sha", pa.string()),
        ("path", pa.string()),
        ("content_hash", pa.string()),
        ("scope", pa.string()),
        ("acl", pa.string()),
        ("written", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit does to the live tree."""

    put: Sequence[SnapshotRow] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    """New paths by old."""
    removed: Collection[str] = ()


def row_key(repo_id: int, sha: str, path: str) -> str:
    """Return the key of a path in a tree."""
    return digest(str(repo_id), sha, path)


def live_row(path: str, content_hash: str, scope: str, acl: str) -> SnapshotRow:
    """Return a row of the live tree.

    Raises:
        UserError: the path leaves the root, the scope is unknown, or the label is empty.
    """
    if not acl:
        raise UserError(f"document {path!r} has an empty acl label: name one, such as 'public'")
    return SnapshotRow(*LIVE, contained(path), content_hash, named(scope), acl)


def in_lists(values: Collection[str]) -> Iterator[str]:
    """Yield values as SQL lists, sorted, in parts."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), IN_LIST):
        yield quoted(ordered[start : start + IN_LIST])


def replace_trees(snapshots: Table, rows: Sequence[SnapshotRow], now: int) -> None:
    """Replace every tree that `rows` names by its rows, some trees per commit; a tree that is as it
    should be is not written. Two that replace one tree at once by different rows leave either, or
    rows of both."""
    trees = sorted({(row.repo_id, row.sha) for row in rows})
    for start in range(0, len(trees), IN_LIST):
        part = set(trees[start : start + IN_LIST])
        condition = " OR ".join(
            f"(repo_id = {int(repo_id)} AND sha = {quoted([sha])})" for repo_id, sha in sorted(part)
        )
        wanted = {row for row in rows if (row.repo_id, row.sha) in part}
        if wanted != set(rows_where(snapshots, condition)):
            table = snapshots.opened(SNAPSHOTS)
            snapshots.merge(table, as_table(wanted, now), "key", update=True, delete=condition)


def change_live(snapshots: Table, change: Change, now: int) -> bool:
    """Change the live tree in one commit; tells whether there was anything to do. Rows that another
    process changes in between are read again, so that a move never brings back old content.

    Raises:
        UserError: a path to move from that is nowhere, and neither is its new one.
    """
    return retried(lambda: _change_once(snapshots, change, now))


def _change_once(snapshots: Table, change: Change, now: int) -> bool:
    table = snapshots.opened(SNAPSHOTS)
    paths = {*(row.path for row in change.put), *change.moved, *change.moved.values()}
    paths |= set(change.removed)
    here = snapshots.at(table.version)
    held = {
        row.path: row
        for part in in_lists(paths)
        for row in rows_where(here, f"{_tree(*LIVE)} AND path IN ({part})")
    }
    wanted = {**_moved(change.moved, held), **{row.path: row for row in change.put}}
    gone = ({*change.moved, *change.removed} & held.keys()) - wanted.keys()
    rows = [row for path, row in wanted.items() if held.get(path) != row]
    if not rows and not gone:
        return False
    delete = f"key IN ({quoted([row_key(*LIVE, path) for path in gone])})" if gone else None
    snapshots.merge(table, as_table(rows, now), "key", update=True, delete=delete, retries=0)
    return True


def _moved(moved: Mapping[str, str], held: Mapping[str, SnapshotRow]) -> dict[str, SnapshotRow]:
    rows = {}
    for old, new in moved.items():
        if old in held:
            rows[new] = replace(held[old], path=new)
        elif new not in held:
            raise UserError(f"no document at {old!r} to move: index it under {new!r}")
    return rows


def rows_where(snapshots: Table, condition: str) -> Iterator[SnapshotRow]:
    """Yield the rows of a condition."""
    return (SnapshotRow(**row) for row in snapshots.rows(COLUMNS, condition))


def hashes_named(snapshots: Table, hashes: Collection[str]) -> set[str]:
    """Return which documents some tree holds."""
    return {
        row["content_hash"]
        for part in in_lists(hashes)
        for row in snapshots.rows(["content_hash"], f"content_hash IN ({part})")
    }


def as_table(rows: Collection[SnapshotRow], now: int) -> pa.Table:
    """Return rows as the table's columns."""
    ordered = sorted(rows, key=lambda row: (row.repo_id, row.sha, row.path))
    columns: dict[str, list[object]] = {
        "key": [row_key(row.repo_id, row.sha, row.path) for row in ordered],
        "written": [now] * len(ordered),
    }
    columns |= {name: [getattr(row, name) for row in ordered] for name in COLUMNS}
    return pa.table([columns[name] for name in SNAPSHOTS.names], schema=SNAPSHOTS)


def _tree(repo_id: int, sha: str) -> str:
    return f"repo_id = {repo_id} AND sha = {quoted([sha])}"
