"""The documents nearest to a query, searched by Lance on the disk: exactly, or by its IVF index.

Exact search compares every vector that the condition leaves. The index keeps vectors whole in its
cells (`IVF_FLAT`): only the choice of cells can miss one. Lance searches the `CELLS` nearest, goes
on by its own measure (at 100,000 records the same hits from 16 to 200 of 316 cells), and until it
has as many rows as asked for; asking for `LOOKED_AT` finds more of the nearest 16 than asking for
16. Rows without a vector are never found. Rows written since the index was made are searched in
full; upkeep brings them into the index. Without an index every search is exact.
Limits: cells are drawn by `index_routes` only; a memory that grew many times over since has large
cells: slower, not worse.
"""

from typing import Any

from torch import Tensor

from awareness_model.memory.conflicts import Conflict
from awareness_model.memory.tables import Table

EXACT_BELOW = 50_000
"""Records up to which search is exact."""
CELLS, MOST_CELLS = 16, 1024
"""Searched at least; made at most (about √n are made)."""
LOOKED_AT = 256
"""Rows asked for at least; see docs/benchmarks.md for the recall."""


def index_routes(records: Table, above: int = EXACT_BELOW) -> bool:
    """Make the index, where there are that many records and none yet. Another's commit may preempt
    it: then it is left to the next. Tells whether it was made."""
    held = records.found()
    if held is None or held.count_rows() < above or _has_index(held):
        return False
    cells = max(1, min(MOST_CELLS, int(held.count_rows() ** 0.5)))
    try:
        records.commit(
            lambda: held.create_index("route", "IVF_FLAT", metric="dot", num_partitions=cells)
        )
    except Conflict:
        return False
    return True


def nearest_documents(
    table: Any, condition: str, query: Tensor, most: int, exact: bool
) -> set[str]:
    """Return the content hashes of at least `most` documents whose chunks are nearest, where so
    many fulfil the condition.

    Args:
        table: the opened records at a fixed version.
        condition: filters before the search; permissions stand in it.
        exact: compare all, whether there is an index or not.
    """
    how: dict[str, Any] = {"column": "route", "q": query.float().numpy(), "metric": "dot"}
    how |= {"use_index": False} if exact else {"minimum_nprobes": CELLS}
    wanted = max(most, LOOKED_AT)
    while True:
        found = table.scanner(
            columns=["content_hash", "_distance"],
            nearest={**how, "k": wanted},
            filter=condition,
            prefilter=True,
        ).to_table()
        documents = set(found["content_hash"].to_pylist())
        if len(documents) >= most or found.num_rows < wanted:
            return documents
        wanted *= 4


def _has_index(table: Any) -> bool:
    return any("route" in index.field_names for index in table.describe_indices())
