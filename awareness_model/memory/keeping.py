"""A memory that is kept: its versions, pins and garbage, and what to do when it is broken.

The words of documents (`lexicon`) leave with their records, and no later.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from awareness_model.config import MemoryConfig
from awareness_model.memory import check as checks
from awareness_model.memory import versions as history
from awareness_model.memory.lexicon import Lexicon
from awareness_model.memory.nearest import index_routes
from awareness_model.memory.reader import Reader
from awareness_model.memory.snapshots import in_lists
from awareness_model.memory.upkeep import keep_up


class Kept(Reader):
    """A reader of the latest state, with the care of both tables and of the words beside them."""

    config: MemoryConfig
    lexicon: Lexicon

    def versions(self) -> list[history.Version]:
        """Return the versions that are kept, oldest first."""
        return history.list_versions(self.snapshots)

    @contextmanager
    def pinned(
        self, version: int | None = None, hold: timedelta = history.HOLD
    ) -> Iterator[Reader]:
        """Give a reader of one state of both tables (now, or a version), whatever is written
        meanwhile; garbage collection leaves it for as long as `hold`.

        Raises:
            UserError: no such version.
        """
        with history.pinned(self.records, self.snapshots, version, hold) as (records, snapshots):
            yield Reader(records, snapshots, self.hot)

    def rollback(self, version: int) -> None:
        """Go back to an earlier version: a new commit, which can itself be undone. The records that
        only later versions name stay until garbage collection.

        Raises:
            UserError: no such version.
        """
        history.rollback(self.snapshots, version)

    def compact(self) -> None:
        """Merge small files, rewrite those with deleted rows, bring the indices up to date."""
        for table in (self.records, self.snapshots, self.lexicon.table):
            keep_up(table, always=True)
        index_routes(self.records, self.config.exact_below)

    def collect_garbage(self, older_than: timedelta = history.KEEP) -> history.Collected:
        """Remove records that no kept version names, and versions older than an age. The current
        state and pinned ones stay. Zero is for one process alone."""
        collected = history.collect(self.records, self.snapshots, older_than)
        self.lexicon.sweep(self.records, older_than)
        return collected

    def check(self) -> checks.Report:
        """Read everything and say what is broken, by document."""
        return checks.check(self.records, self.snapshots)

    def repair(self) -> tuple[str, ...]:
        """Drop what is broken; returns the places of the documents to index again."""
        return checks.repair(self.records, self.snapshots)

    def recover(self) -> list[str]:
        """Go back to the last version that opens, where the last manifest is torn; returns what was
        set aside. `check` then names the documents that lost their records."""
        return [name for one in (self.records, self.snapshots) for name in checks.recover(one)]

    def forget(self, repo_ids: Collection[int]) -> int:
        """Remove every tree of repositories, and all records that no tree leads to any more, from
        the disk too: no earlier version of the tables is left, pinned or not. Returns how many
        records went.

        Run again after a kill, it finishes what was begun.
        """
        for part in in_lists([str(int(one)) for one in repo_ids]):
            self.snapshots.delete(f"CAST(repo_id AS STRING) IN ({part})")
        named = {row["content_hash"] for row in self.snapshots.rows(["content_hash"])}
        held = [row["content_hash"] for row in self.records.rows(["content_hash"])]
        for part in in_lists(set(held) - named):
            self.records.delete(f"content_hash IN ({part})")
        self.lexicon.sweep(self.records, timedelta(0))
        for table in (self.snapshots, self.records, self.lexicon.table):
            history.purge(table)
        return sum(name not in named for name in held)
