"""Teacher traces that can be trained on: those whose deciding documents are in memory.

Traces come from Parquet files (`traces.Traces`), documents from a memory store's snapshots. A trace
sees the documents of its own tree, (repo_id, parent_sha): two steps of a `state` chain are two
trees, so each has its own version of the file that was edited in between. What cannot be used is
counted with a reason. Some samples of each kind are held out, so that a training can be watched on
questions it does not learn from (`training.probe`).

Limits: of every usable trace a few numbers are held, and of every tree its content hashes. Samples
are held out by their first gold file, all its versions together; documents are not: that file may
be visible to other samples.
"""

import sys
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from awareness_model.config import TrainingConfig, UserError
from awareness_model.memory.batch import Slots
from awareness_model.neighbours import Neighbours, Repository
from awareness_model.schema import digest

if TYPE_CHECKING:
    from awareness_model.traces import Traces

HELD_OUT_MOST: Final = 64
"""Gold files of a kind whose samples are held out at most: what a small probe needs."""

TREES_HELD: Final = 1_024
"""Trees whose paths are kept while traces are read; those of a repository come together."""

Tree = tuple[int, str]
"""Repository and commit whose tree a memory holds."""


class Documents(Protocol):
    """What training needs of a memory store: a `memory.shelf.Shelf`."""

    def snapshot(self, repo_id: int, sha: str) -> Mapping[str, str]:
        """Return content hashes by path of the documents in memory; empty where there are none."""

    def chunks(self, content_hashes: Sequence[str]) -> Sequence[Sequence[Slots]]:
        """Return the encoded chunks of documents, in the order asked for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A trace whose gold documents are in memory."""

    row: int
    """Its row number among the traces."""
    length: int
    """Prompt and answer tokens that are read."""
    snapshot: Tree
    """The tree its documents come from."""
    gold: tuple[str, ...]
    """Content hashes of the documents that decide the answer."""
    stale: tuple[str, ...] = ()
    """Content hashes of other versions of these files: beside the gold they would contradict it."""
    kind: str = ""
    """Of the trace (`schema.traces`)."""
    held_out: bool = False
    """It is measured on, never trained on."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The traces that can be trained on, and why others cannot."""

    traces: "Traces"
    usable: tuple[Sample, ...]
    documents: Mapping[Tree, tuple[str, ...]]
    """Content hashes in memory, by tree, sorted."""
    trees: Mapping[int, tuple[Tree, ...]]
    """The trees in memory, by repository, sorted."""
    neighbours: Neighbours
    """Which of these repositories are alike: where negatives come from."""
    dropped: Mapping[str, int]
    """Traces left out, by reason."""

    @property
    def digest(self) -> str:
        """Return the digest of what training sees: prompts, answers, teacher, documents and which
        repositories are alike. It reads every trace, as a stream."""
        taught = self.traces.digest([sample.row for sample in self.usable])
        about = [
            repr((one.snapshot, one.gold, one.stale, one.kind, one.held_out)) for one in self.usable
        ]
        alike = [repr(astuple(one)) for one in self.neighbours.repositories.values()]
        return digest(taught, *about, repr(sorted(self.documents.items())), *alike)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of trace that can be trained on, sorted."""
        return tuple(sorted({one.kind for one in self.usable if not one.held_out}))

    def of(self, kind: str, held_out: bool = False) -> list[int]:
        """Return the places, in `usable`, of the samples of a kind; of every kind for an empty
        name."""
        return [
            place
            for place, one in enumerate(self.usable)
            if kind in ("", one.kind) and one.held_out == held_out
        ]

    def holds(self, tree: Tree, content_hash: str) -> bool:
        """Whether a tree's memory holds a document."""
        held = self.documents[tree]
        place = bisect_left(held, content_hash)
        return place < len(held) and held[place] == content_hash


def load_samples(
    paths: Sequence[Path], store: Documents, training: TrainingConfig, fingerprint: str
) -> Samples:
    """Read traces and keep those whose gold documents are in memory.

    Reasons to leave a trace out: `no_answer`, `no_gold` (it names no deciding document),
    `gold_not_in_memory`.

    Raises:
        UserError: a file is missing or is no trace file, a teacher used another tokenizer, or
            nothing is left to train on.
    """
    from awareness_model.traces import Traces  # Parquet, which a reader of memory does without

    traces = Traces(paths)
    found = _Found(lru_cache(TREES_HELD)(store.snapshot))
    row = 0
    for part in traces.index():
        for one in part:
            _refuse_other_tokenizer(one["tokenizer_fingerprint"], fingerprint)
            found.add(row, one, training)
            row += 1
    if not found.usable:
        raise UserError(
            f"no trace can be trained on ({dict(found.dropped) or 'there are none'}): "
            "distil more, and encode the documents they name"
        )
    return found.samples(traces, training.held_out)


@dataclass(slots=True)
class _Found:
    """What reading the traces once brings together."""

    snapshot: Callable[[int, str], Mapping[str, str]]
    usable: list[tuple[Sample, tuple[str, ...]]] = field(default_factory=list)
    """Samples, with the paths of their gold documents."""
    documents: dict[Tree, tuple[str, ...]] = field(default_factory=dict)
    versions: defaultdict[tuple[int, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """Content hashes of each gold file over all trees of its repository."""
    languages: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sizes: dict[int, int] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, row: int, trace: Mapping[str, Any], training: TrainingConfig) -> None:
        """Take a row of the index in."""
        tree = trace["repo_id"], sys.intern(trace["parent_sha"])
        held = self._tree(tree, trace)
        named = tuple(sys.intern(path) for path in dict.fromkeys(trace["gold_paths"]))
        there = tuple(path for path in named if path in held)
        for path in there:
            self.versions[tree[0], path].add(held[path])
        gold = tuple(dict.fromkeys(sys.intern(held[path]) for path in there))
        length = _length(trace, training)
        if reason := _unusable(length, named, gold):
            self.dropped[reason] += 1
        else:
            sample = Sample(row, length, tree, gold, kind=sys.intern(trace["kind"]))
            self.usable.append((sample, there))

    def _tree(self, tree: Tree, trace: Mapping[str, Any]) -> Mapping[str, str]:
        held = self.snapshot(*tree)
        if not held:
            return held
        if tree not in self.documents:
            self.documents[tree] = tuple(sorted({sys.intern(one) for one in held.values()}))
        repo_id, size = tree[0], int(trace["repository_bytes"])
        self.languages[repo_id][trace["language"]] += 1
        self.sizes[repo_id] = max(size, self.sizes.get(repo_id, 0))
        return held

    def samples(self, traces: "Traces", share: float) -> Samples:
        """Return what was found, a share of the gold files of each kind held out."""
        files = [(one.kind, one.snapshot[0], min(there)) for one, there in self.usable]
        held_out = _held_out(files, share)
        usable = [
            replace(self._with_stale(sample, there), held_out=file in held_out)
            for file, (sample, there) in zip(files, self.usable, strict=True)
        ]
        trees: defaultdict[int, list[Tree]] = defaultdict(list)
        for tree in sorted(self.documents):
            trees[tree[0]].append(tree)
        return Samples(
            traces,
            tuple(usable),
            self.documents,
            {repo_id: tuple(held) for repo_id, held in trees.items()},
            Neighbours.of(
                Repository(repo_id, _most_common(self.languages[repo_id]), size)
                for repo_id, size in self.sizes.items()
            ),
            dict(sorted(self.dropped.items())),
        )

    def _with_stale(self, sample: Sample, paths: Sequence[str]) -> Sample:
        repo_id = sample.snapshot[0]
        known = {one for path in paths for one in self.versions[repo_id, path]}
        if len(known) == len(sample.gold):
            return sample
        stale = tuple(sorted(known - set(sample.gold)))
        return replace(sample, stale=stale)


def _held_out(files: Sequence[tuple[str, int, str]], share: float) -> set[tuple[str, int, str]]:
    """Return a share of the (kind, repository, path) of each kind, drawn by their digests."""
    chosen: set[tuple[str, int, str]] = set()
    for kind in {one[0] for one in files}:
        drawn = sorted({one for one in files if one[0] == kind}, key=lambda one: digest(repr(one)))
        chosen.update(drawn[: min(int(share * len(drawn)), HELD_OUT_MOST)])
    return chosen


def _most_common(counted: Counter[str]) -> str:
    return min(counted, key=lambda name: (-counted[name], name))


def _length(trace: Mapping[str, Any], training: TrainingConfig) -> int:
    """Return the tokens of a trace that are read; 0 where there is no prompt or no answer."""
    prompt, answer = trace["prompt_tokens"], trace["answer_tokens"]
    if not prompt or not answer:
        return 0
    return min(prompt, training.max_prompt_tokens) + min(answer, training.max_answer_tokens)


def _unusable(length: int, named: Sequence[str], gold: Sequence[str]) -> str:
    if not length:
        return "no_answer"
    if not named:
        return "no_gold"
    return "" if gold else "gold_not_in_memory"


def _refuse_other_tokenizer(found: str, fingerprint: str) -> None:
    if found != fingerprint:
        raise UserError(
            "the teacher's traces were made with another tokenizer than the student's, so their "
            "token ids mean other text: distil with the same model, or train another one"
        )
