"""A folder's memory that follows the folder: new bytes are encoded, everything else is rows.

A document is named by its path below the root and by the blake2b of its bytes. `index` looks at all
files, `update` at those named, `watch` at those that change; all three end in one comparison of
files with rows: what has no record of this encoder is encoded, what was renamed is moved, what is
gone is removed. Texts are encoded group by group, each group committed with its rows; a killed run
is started again and encodes only what is missing.

Limits: one memory belongs to one root; two processes that index the same folder at once encode the
same document twice (the store keeps it once). A `watch` sees what the system reports: on network
file systems that may be nothing.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from awareness_model.config import GROUP_CHARACTERS
from awareness_model.memory import folder
from awareness_model.memory.folder import File
from awareness_model.memory.record import Encoding
from awareness_model.memory.scopes import quoted
from awareness_model.memory.snapshots import LIVE, Change, in_lists, live_row, rows_where
from awareness_model.memory.store import Document, LatentMemoryStore
from awareness_model.memory.watching import DEBOUNCE_MS, changed
from awareness_model.schema import SnapshotRow

WORDS_CHARACTERS = 1_000_000
"""Text per commit of words, and the most that is held from one look at the folder to its encoding:
a file is read once where that suffices."""


class Encodes(Protocol):
    """What turns texts into the chunks of one layout; names what it makes."""

    @property
    def layout(self) -> str:
        """`kv` or `latent`."""

    @property
    def fingerprint(self) -> str:
        """Names model and settings."""

    def encode(self, texts: Sequence[str], paths: Sequence[str]) -> Sequence[Sequence[Encoding]]:
        """Return the chunks of each text."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look at the folder changed in memory."""

    encoded: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    """Old and new path."""
    named: tuple[str, ...] = ()
    """Paths whose content was in memory already, under another path or from before."""
    kept: int = 0
    left_out: Mapping[str, str] | None = None
    """Files that are no documents, with the reason."""

    @property
    def any(self) -> bool:
        """Whether the memory is another one now."""
        return bool(self.encoded or self.removed or self.renamed or self.named)


class LiveMemory:
    """The memory of one folder.

    Attributes: `root` (real path), `store`, `lexicon` (the documents' words, for the router),
    `encoder`, `encoded` (documents encoded so far).
    """

    def __init__(self, root: Path, store: LatentMemoryStore, encoder: Encodes) -> None:
        """Raises UserError: no such folder."""
        self.root = folder.root_of(root)
        self.store = store
        self.lexicon = store.lexicon
        self.encoder = encoder
        self.encoded = 0
        self._largest = folder.LARGEST_KV if encoder.layout == "kv" else folder.LARGEST_FILE

    def index(self, say: Callable[[int, int], None] = lambda done, total: None) -> Changes:
        """Bring the memory up to the folder.

        Args:
            say: told (documents encoded, documents to encode) after each group.

        Raises:
            UserError: git cannot list the folder, or the store refuses (another model or dtype).
        """
        held = _rows(self.store, "true")
        return self._compare(folder.listed(self.root), held, say)

    def update(self, *paths: Path | str) -> Changes:
        """Bring the memory up to some files or folders, whatever happened to them.

        Raises:
            UserError: a path outside the root; as `index`.
        """
        named = sorted({folder.relative(self.root, path) for path in paths})
        held: dict[str, SnapshotRow] = {}
        for part in in_lists(named):
            held |= _rows(self.store, f"path IN ({part})")
        for path in named:
            after = f"{path}/", f"{path}0"  # `0` follows `/`: what lies below a folder
            low, high = (quoted([one]) for one in after)
            held |= _rows(self.store, f"path >= {low} AND path < {high}")
        found = {one for path in named for one in folder.listed(self.root, path)}
        return self._compare(sorted(found), held)

    def watch(
        self, stop: Event, seen: Callable[[Changes], None], debounce_ms: int = DEBOUNCE_MS
    ) -> None:
        """Index, then follow the folder until `stop` is set; `seen` is told of every change, and of
        the index. Nothing that changes in between is missed: the watch begins first.

        Raises:
            UserError: as `index`, or the system refuses to watch.
        """
        indexed = False
        for batch in changed([self.root], stop, debounce_ms):
            if not indexed:
                seen(self.index())
                indexed = True
            elif batch:
                done = self.update(*batch[self.root])
                if done.any or done.left_out:
                    seen(done)

    def _compare(
        self,
        paths: Iterable[str],
        held: Mapping[str, SnapshotRow],
        say: Callable[[int, int], None] = lambda done, total: None,
    ) -> Changes:
        found, left_out = folder.survey(self.root, paths, self._largest, WORDS_CHARACTERS)
        hashes = {one.content_hash for one in found.values()}
        missing = set(self.store.missing(hashes, self.encoder.layout, self.encoder.fingerprint))
        moved = _moved(found, held, missing)
        new = [one for one in found.values() if one.content_hash in missing]
        encoded = self._encode(new, held, say)
        rest = [one for one in found.values() if one.content_hash not in missing]
        self._put_lacking_words(rest)
        old = {**held, **{after: held[before] for before, after in moved.items()}}
        rows = [_row(one, old.get(one.path)) for one in rest]
        put = [row for row in rows if row != held.get(row.path)]
        gone = sorted(set(held) - found.keys() - moved.keys())
        if put or moved or gone:
            self.store.change(Change(put, moved, gone))
        return Changes(
            tuple(encoded),
            tuple(gone),
            tuple(sorted(moved.items())),
            tuple(row.path for row in put if row.path not in set(moved.values())),
            len(rest) - len(put),
            left_out,
        )

    def _encode(
        self,
        files: Sequence[File],
        held: Mapping[str, SnapshotRow],
        say: Callable[[int, int], None],
    ) -> dict[str, str]:
        """Encode files and put them group by group, then the words of the same texts; returns
        hashes by path."""
        done: dict[str, str] = {}
        words: dict[str, str] = {}
        seen = 0
        for group in self._groups(files, GROUP_CHARACTERS):
            texts = {one.content_hash: one for one in group}
            chunks = self.encoder.encode(
                [one.text for one in texts.values()], [one.path for one in texts.values()]
            )
            made = dict(zip(texts, chunks, strict=True))
            rows = {one.path: _row(one, held.get(one.path)) for one in group}
            documents = [
                Document(path, row.content_hash, made[row.content_hash], row.scope, row.acl)
                for path, row in rows.items()
            ]
            self.store.put_documents(documents, self.encoder.layout, self.encoder.fingerprint)
            self.encoded += len(texts)
            done |= {path: row.content_hash for path, row in rows.items()}
            words |= {name: one.text for name, one in texts.items()}
            if sum(map(len, words.values())) >= WORDS_CHARACTERS:
                self.lexicon.put(words)
                words = {}
            say(seen := seen + len(group), len(files))
        if words:
            self.lexicon.put(words)
        return done

    def _put_lacking_words(self, files: Collection[File]) -> None:
        """Put the words of encoded documents that have none: a killed run left them out."""
        lacking = set(self.lexicon.missing({one.content_hash for one in files}))
        rest = [one for one in files if one.content_hash in lacking]
        for group in self._groups(rest, WORDS_CHARACTERS):
            self.lexicon.put({one.content_hash: one.text for one in group})

    def _groups(self, files: Sequence[File], characters: int) -> Iterator[list[File]]:
        """Yield files with their texts, in groups that fill a commit; a text that was not held is
        read as it is now, and what is gone by now stays out."""
        group: list[File] = []
        held = 0
        for one in sorted(files, key=lambda file: file.path):
            try:
                now = one if one.text else folder.read(self.root, one.path, self._largest)
            except folder.LeftOut:
                continue
            if now:
                group.append(now)
                held += len(now.text)
            if held >= characters:
                yield group
                group, held = [], 0
        if group:
            yield group


def _row(file: File, held: SnapshotRow | None) -> SnapshotRow:
    """Return a file's row; a label it has stays."""
    acl = held.acl if held else "public"
    return live_row(file.path, file.content_hash, folder.scope_of(file.path), acl)


def _rows(store: LatentMemoryStore, condition: str) -> dict[str, SnapshotRow]:
    tree = f"repo_id = {LIVE[0]} AND sha = {quoted([LIVE[1]])}"
    found = rows_where(store.snapshots, f"{tree} AND {condition}")
    return {row.path: row for row in found}


def _moved(
    found: Mapping[str, File], held: Mapping[str, SnapshotRow], missing: set[str]
) -> dict[str, str]:
    """Return new paths by old: content that left one path and stands at a new one."""
    gone: dict[str, list[str]] = {}
    for path in sorted(set(held) - found.keys(), reverse=True):
        gone.setdefault(held[path].content_hash, []).append(path)
    moved = {}
    for path in sorted(found.keys() - held.keys()):
        name = found[path].content_hash
        if name not in missing and gone.get(name):
            moved[gone[name].pop()] = path
    return moved
