"""Which documents a memory must hold for the traces of a repository, within a budget of tokens.

First come the files that decide: of single traces, and of chains with all their trees, whole or not
at all, since a chain teaches by the difference between its trees. Then come the other files that
the teacher saw. In both rounds the kind of trace goes next that has been given the fewest tokens,
so that no kind can use up the budget before another has had its part. A text counts once, however
many trees hold it; in the end every tree shows all chosen documents that stand in it at one of the
paths asked for, so that an old tree has more to read than the file in question.

Limits: a file that does not fit is left out, and smaller ones after it may still fit; tokens are
estimated (`BYTES_PER_TOKEN`); the texts of a repository's wanted files are held at once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from awareness_model.schema import SnapshotRow
from awareness_pipeline.config import BYTES_PER_TOKEN, Encode, UserError
from awareness_pipeline.gitio.snapshot import TreeFile, blobs_at, read_files

__all__ = ["Chosen", "Need", "choose_for_traces", "in_fair_turns", "read_needs"]

COLUMNS: Final = ("parent_sha", "kind", "chain", "gold_paths", "manifest_paths")
BATCH_ROWS: Final = 1_024
NOT_WHOLE: Final = "chain_not_whole"
OVER_BUDGET: Final = "over_budget"

Place = tuple[str, str]
"""(sha of a tree, path)."""
Trees = Mapping[str, Mapping[str, TreeFile | str]]
"""Files, or why there is none, by tree and path."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one trace needs, or all traces of a chain together."""

    kind: str
    chain: str
    """Empty for a single trace."""
    gold: tuple[Place, ...]
    """Files that decide."""
    seen: tuple[Place, ...]
    """Files that the teacher saw."""


@dataclass(slots=True)
class Chosen:
    """The documents of one repository, filled up to its budget."""

    limits: Encode
    wanted: set[str] = field(default_factory=set)
    """Documents considered: content hashes, or `sha:path` where there is none."""
    texts: dict[str, str] = field(default_factory=dict)
    rows: dict[Place, SnapshotRow] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    """Reason by document."""
    tokens: float = 0.0

    def add(self, repo_id: int, sha: str, file: TreeFile) -> None:
        """Take a file if it fits."""
        name = file.content_hash
        self.wanted.add(name)
        if name not in self.texts:
            if not self.fits([file]):
                self.dropped[name] = OVER_BUDGET
                return
            self.texts[name] = file.text
            self.tokens += _tokens(file)
            self.dropped.pop(name, None)
        self.rows[sha, file.path] = SnapshotRow(repo_id, sha, file.path, name)

    def fits(self, files: Iterable[TreeFile]) -> bool:
        """Whether files can all be taken."""
        new = {file.content_hash: file for file in files if file.content_hash not in self.texts}
        return self.tokens + sum(map(_tokens, new.values())) <= self.limits.max_repository_tokens

    def leave(self, file: TreeFile, reason: str) -> None:
        """Count a file that is not taken, unless it already is or another trace takes it later."""
        self.wanted.add(file.content_hash)
        if file.content_hash not in self.texts:
            self.dropped[file.content_hash] = reason

    def miss(self, sha: str, path: str, reason: str) -> None:
        """Count a document that cannot be had."""
        self.wanted.add(f"{sha}:{path}")
        self.dropped[f"{sha}:{path}"] = reason

    def reasons(self) -> dict[str, int]:
        """Return how many documents were left out, by reason."""
        reasons = sorted(self.dropped.values())
        return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def choose_for_traces(repo_id: int, clone: Path, traces: Sequence[Path], chosen: Chosen) -> None:
    """Fill `chosen` with what the traces in some files need.

    Raises:
        RepositoryError: the clone cannot be read.
    """
    needs = read_needs(traces)
    trees = _read_trees(clone, needs, chosen.limits.max_file_bytes)

    def take(places: Sequence[Place], whole: bool) -> float:
        before = chosen.tokens
        _take(repo_id, places, trees, chosen, whole)
        return chosen.tokens - before

    in_fair_turns(needs, lambda need: take(need.gold, bool(need.chain)))
    held = (need for need in needs if not need.chain or chosen.rows.keys() >= set(need.gold))
    in_fair_turns(held, lambda need: take(need.seen, False))
    _show_in_every_tree(repo_id, clone, trees, chosen)


def read_needs(traces: Iterable[Path]) -> list[Need]:
    """Return what the traces in some files need, in their order; a chain stands where it begins.

    Raises:
        UserError: a file is no file of traces.
    """
    found: dict[str, Need] = {}
    for row in (row for path in traces for row in _rows(path)):
        sha, chain = row["parent_sha"], row["chain"]
        gold = tuple((sha, one) for one in row["gold_paths"])
        seen = tuple((sha, one) for one in row["manifest_paths"])
        key = f"chain {chain}" if chain else f"trace {len(found)}"
        if key in found:
            gold, seen = found[key].gold + gold, found[key].seen + seen
        found[key] = Need(row["kind"], chain, gold, seen)
    return list(found.values())


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the columns of a trace file that say what a memory must hold."""
    try:
        # Reading ahead would hold the whole file.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names = file.schema_arrow.names
            if missing := [name for name in COLUMNS if name not in names]:
                raise UserError(f"{path} has no {', '.join(missing)}: run distil again")
            for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS)):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        said = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read ({said}): run distil again") from None


def in_fair_turns(needs: Iterable[Need], take: Callable[[Need], float]) -> None:
    """Hand each need to `take`, which returns the tokens it cost: always the next one of the kind
    that has been given the fewest so far, the first in the alphabet of those alike."""
    waiting: dict[str, deque[Need]] = {}
    for need in needs:
        waiting.setdefault(need.kind, deque()).append(need)
    spent = dict.fromkeys(waiting, 0.0)
    while waiting:
        kind = min(waiting, key=lambda one: (spent[one], one))
        spent[kind] += take(waiting[kind].popleft())
        if not waiting[kind]:
            del waiting[kind]


def _take(repo_id: int, places: Sequence[Place], trees: Trees, chosen: Chosen, whole: bool) -> None:
    """Take files, each if it fits; with `whole` all of them or none."""
    files: list[tuple[str, TreeFile]] = []
    for sha, path in places:
        file = trees[sha][path]
        if isinstance(file, TreeFile):
            files.append((sha, file))
        else:
            chosen.miss(sha, path, file)
    reason = ""
    if whole and len(files) < len(places):
        reason = NOT_WHOLE
    elif whole and not chosen.fits(file for _, file in files):
        reason = OVER_BUDGET
    for sha, file in files:
        if reason:
            chosen.leave(file, reason)
        else:
            chosen.add(repo_id, sha, file)


def _read_trees(clone: Path, needs: Sequence[Need], max_file_bytes: int) -> Trees:
    """Read what is asked for of every tree, each text once."""
    paths: dict[str, dict[str, None]] = {}
    for need in needs:
        for sha, path in (*need.gold, *need.seen):
            paths.setdefault(sha, {})[path] = None
    known: dict[tuple[str, str], TreeFile | str] = {}
    return {
        sha: read_files(clone, sha, held, max_file_bytes=max_file_bytes, known=known)
        for sha, held in paths.items()
    }


def _show_in_every_tree(repo_id: int, clone: Path, trees: Trees, chosen: Chosen) -> None:
    """Let every tree show the chosen documents that it holds unchanged; they cost nothing more."""
    files = [one for held in trees.values() for one in held.values() if isinstance(one, TreeFile)]
    taken = {(one.path, one.blob_sha): one for one in files if one.content_hash in chosen.texts}
    paths = sorted({path for path, _ in taken})
    for sha in trees:
        for place in blobs_at(clone, sha, paths).items():
            if place in taken:
                chosen.add(repo_id, sha, taken[place])


def _tokens(file: TreeFile) -> float:
    return len(file.text.encode()) / BYTES_PER_TOKEN
