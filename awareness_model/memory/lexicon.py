"""The text index beside the records: which documents hold a prompt's words, or define its names.

One row a document, by content hash, whatever encoder read it: its words (`terms`) in two columns,
each with Lance's inverted index, which scores by BM25 (k1 1.2, b 0.75). A row never changes. The
words of a document tell much of it: they leave with it (`sweep`).
A search is given the documents a reader may see before it scores; the weight of a word (its idf)
comes from all documents of the table.
Limits: the index is brought up to date with every write, so that scores do not depend on the order
of writes; where another process preempts that, scores are a little off until the next write. Of
documents with a prompt's words, those beyond `MOST_FOUND` do not count; ties there have no order.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
from lance.query import MatchQuery

from awareness_model.config import MemoryConfig
from awareness_model.memory.conflicts import Conflict
from awareness_model.memory.location import located, storage_options
from awareness_model.memory.snapshots import in_lists
from awareness_model.memory.tables import Table
from awareness_model.memory.terms import asked_names, asked_words, bag, defined_in
from awareness_model.memory.upkeep import keep_up
from awareness_model.memory.within import within

COLUMNS = ("words", "names")
ROWS = pa.schema(
    [
        pa.field(
            "content_hash",
            pa.string(),
            nullable=False,
            metadata={"lance-schema:unenforced-primary-key": "true"},
        ),
        ("words", pa.string()),
        ("names", pa.string()),
    ]
)
MOST_FOUND = 256
"""Documents a search returns at most, for each of both columns."""

_PLAIN = {
    "base_tokenizer": "whitespace",
    "lower_case": False,
    "stem": False,
    "ascii_folding": False,
    "max_token_length": None,
    "with_position": False,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, by content hash, each from 0 to 1 (the best document's score is 1)."""

    words: Mapping[str, float]
    """BM25 over all words."""
    names: Mapping[str, float]
    """BM25 over the names documents define; only whole names in their own case count."""


class Lexicon:
    """The table of documents' words, beside the store's two. Opening one that is not there gives an
    empty one."""

    def __init__(self, config: MemoryConfig) -> None:
        """Raises UserError: no memory can lie at the path."""
        uri = f"{located(config.path)}/terms.lance"
        self.table = Table(uri, storage_options(), ("content_hash",))

    def put(self, texts: Mapping[str, str]) -> None:
        """Add documents' words, by content hash, in one commit; those there stay. Idempotent."""
        new = self.missing(texts)
        if not new:
            return
        columns = {
            "content_hash": new,
            "words": [bag(texts[name]) for name in new],
            "names": [defined_in(texts[name]) for name in new],
        }
        table = self.table.opened(ROWS)
        held = table.schema
        rows = pa.table(columns, schema=ROWS.with_metadata(held.metadata))
        self.table.merge(table, rows, "content_hash", update=False)
        keep_up(self.table)
        _bring_up(self.table)

    def missing(self, hashes: Collection[str]) -> list[str]:
        """Return the documents whose words are not here, sorted."""
        there = {
            row["content_hash"]
            for part in in_lists(hashes)
            for row in self.table.rows(["content_hash"], f"content_hash IN ({part})")
        }
        return sorted(set(hashes) - there)

    def search(self, prompt: str, hashes: Collection[str]) -> Found:
        """Return the documents among `hashes` that hold a prompt's words or define its names."""
        table = self.table.at(self.table.number())
        if (held := table.found()) is None or not hashes:
            return Found({}, {})
        asked = (asked_words(prompt), asked_names(prompt))
        allowed = within(table, hashes)
        words, names = (
            _best(held, MatchQuery(query, column), allowed) if query else {}
            for column, query in zip(COLUMNS, asked, strict=True)
        )
        return Found(words, names)

    def sweep(self, records: Table, older_than: timedelta) -> int:
        """Remove the words of documents that have no record, from the indices too, and versions of
        the table older than an age; returns how many documents went. Words are put after their
        records: what is written meanwhile stays. Zero is for one process alone."""
        there = {row["content_hash"] for row in self.table.rows(["content_hash"])}
        kept = {row["content_hash"] for row in records.rows(["content_hash"])}
        for part in in_lists(there - kept):
            self.table.delete(f"content_hash IN ({part})")
        if there - kept:
            keep_up(self.table, always=True)
            _bring_up(self.table, anew=True)
        if (held := self.table.found()) is not None:
            held.cleanup_old_versions(older_than)
        return len(there - kept)


def _best(table: Any, query: MatchQuery, allowed: bytes) -> dict[str, float]:
    found = table.scanner(
        columns=["content_hash", "_score"],
        full_text_query=query,
        row_addr_allowlist=allowed,
        prefilter=True,
        limit=MOST_FOUND,
    ).to_table()
    scores = dict(zip(*(found[name].to_pylist() for name in found.column_names), strict=True))
    best = max(scores.values(), default=0.0)
    return {name: scores[name] / best for name in sorted(scores)} if best > 0 else {}


def _bring_up(table: Table, anew: bool = False) -> None:
    """Make the inverted indices, or bring them up to the last write; `anew`: without the words of
    deleted rows, which otherwise stay in them."""
    try:
        table.commit(lambda: _index(table.found(), anew))
    except Conflict:
        return


def _index(held: Any, anew: bool) -> None:
    there = {column for index in held.describe_indices() for column in index.field_names}
    for column in COLUMNS:
        if anew or column not in there:
            stop = column == "words"
            held.create_scalar_index(column, "INVERTED", remove_stop_words=stop, **_PLAIN)
    held.optimize.optimize_indices()
