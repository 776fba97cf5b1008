"""The documents nearest to a query, searched by Lance on the disk: exactly, or by its IVF index.

Exact search compares every vector allowed. The index keeps vectors whole in its cells (`IVF_FLAT`):
only the choice of cells can miss one. Few cells are searched first, then more; where that changes
the nearest documents, cells tell little of them, and all are searched, which misses none. Rows
written since the index was made are searched in full; upkeep brings them into the index. Rows
without a vector are never found. Without an index every search is exact.
Measured: docs/benchmarks.md, "Routing". Limits: that a wider search found no nearer document is a
sign, not a proof, that there is none (recall .99 and more at all spreads tried); cells are drawn by
`index_routes` only: a memory that grew many times over since has large ones, slower, not worse.
"""

from typing import Any

from torch import Tensor

from awareness_model.memory.conflicts import Conflict
from awareness_model.memory.tables import Table

CELLS = (8, 32)
"""Searched first, and then to see whether more cells change anything."""
MOST_CELLS = 1024
"""Made at most; about √n are made."""
CHUNKS = 8
"""Rows asked for a document; more where they are chunks of too few."""


def index_routes(records: Table, above: int) -> bool:
    """Make the index, where there are that many records and none yet. Another's commit may preempt
    it: then it is left to the next. Tells whether it was made."""
    held = records.found()
    if held is None or held.count_rows() < above or has_index(held):
        return False
    cells = max(1, min(MOST_CELLS, int(held.count_rows() ** 0.5)))
    try:
        records.commit(
            lambda: held.create_index("route", "IVF_FLAT", metric="dot", num_partitions=cells)
        )
    except Conflict:
        return False
    return True


def has_index(table: Any) -> bool:
    """Tell whether an opened table has an index over its routing vectors."""
    return any("route" in index.field_names for index in table.describe_indices())


def nearest_documents(
    table: Any, allowed: bytes, query: Tensor, most: int, exact: bool = False
) -> list[str]:
    """Return the content hashes of the `most` documents whose chunks are nearest, nearest first;
    fewer where so many are not allowed.

    Args:
        table: the opened records at a fixed version.
        allowed: the mask of rows that may be compared (`within`), of that version.
        exact: compare all, whether there is an index or not.
    """
    how: dict[str, Any] = {"column": "route", "q": query.float().numpy(), "metric": "dot"}
    if exact or not has_index(table):
        return _search(table, allowed, {**how, "use_index": False}, most)
    before = None
    for cells in CELLS:
        found = _search(table, allowed, {**how, "nprobes": cells}, most)
        if len(found) == most and before is not None and set(found) == set(before):
            return found
        before = found
    return _search(table, allowed, {**how, "search_effort": 1.0}, most)


def _search(table: Any, allowed: bytes, how: dict[str, Any], most: int) -> list[str]:
    wanted = CHUNKS * most
    while True:
        found = table.scanner(
            columns=["content_hash", "_distance"],
            nearest={**how, "k": wanted},
            row_addr_allowlist=allowed,
            prefilter=True,
        ).to_table()
        ordered = found.sort_by([("_distance", "ascending"), ("content_hash", "ascending")])
        documents = list(dict.fromkeys(ordered["content_hash"].to_pylist()))
        if len(documents) >= most or found.num_rows < wanted:
            return documents[:most]
        wanted *= 4
