"""A query's filter for documents that a reader may see, as short as it can be.

A search over a table is given its documents before anything is scored. Naming all of many costs
seconds, so the few that are *not* among them are named where they are fewer; for that the ids that
stand in the table are read, nothing else. The table must be at a fixed version: what is written
after the ids were read is then not seen at all.
"""

from collections.abc import Collection

from awareness_model.memory.scopes import quoted
from awareness_model.memory.tables import Table

FEW = 2_000
"""Documents named without looking at what else stands in the table."""


def within(table: Table, hashes: Collection[str], also: str = "true") -> str:
    """Return the condition for the rows of documents by content hash that fulfil `also`.

    Args:
        table: at a fixed version.
    """
    if not hashes:
        return "false"
    wanted = set(hashes)
    if len(wanted) <= FEW:
        return f"{also} AND content_hash IN ({quoted(wanted)})"
    others = _there(table) - wanted
    if not others:
        return also
    if len(others) < len(wanted):
        return f"{also} AND content_hash NOT IN ({quoted(others)})"
    return f"{also} AND content_hash IN ({quoted(wanted)})"


def _there(table: Table) -> set[str]:
    return {
        name
        for batch in table.batches(["content_hash"])
        for name in batch["content_hash"].to_pylist()
    }
