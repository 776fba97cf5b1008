"""Hot rows: decoded records kept in RAM, the least recently used going first.

Bounded by the bytes of the tensors; a record larger than the bound is not kept. An entry is good
for the version of the table it was seen in; at another version the store asks anew whether the
record is there with the same checksum. Safe for several threads of one process.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from threading import Lock

from awareness_model.memory.record import Record


@dataclass(slots=True)
class _Entry:
    record: Record
    checksum: int
    version: int


class HotRows:
    """Records by id, at most `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.hits = 0
        self.misses = 0
        self.held = 0
        """Bytes now."""
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()

    def doubtful(self, ids: Collection[str], version: int) -> list[str]:
        """Return which of `ids` are kept but were seen at another version."""
        with self._lock:
            found = ((one, self._entries.get(one)) for one in ids)
            return [one for one, entry in found if entry and entry.version != version]

    def confirm(self, ids: Collection[str], checksums: Mapping[str, int], version: int) -> None:
        """Keep those of `ids` that a version holds with the same checksum, drop the others."""
        with self._lock:
            for one in ids:
                if (entry := self._entries.get(one)) is None:
                    continue
                if checksums.get(one) == entry.checksum:
                    entry.version = version
                else:
                    self.held -= self._entries.pop(one).record.nbytes

    def take(self, ids: Collection[str], version: int) -> dict[str, Record]:
        """Return what is kept of `ids` and good at `version`; counts hits and misses."""
        with self._lock:
            found = {}
            for one in ids:
                entry = self._entries.get(one)
                if entry is not None and entry.version == version:
                    self._entries.move_to_end(one)
                    found[one] = entry.record
            self.hits += len(found)
            self.misses += len(set(ids)) - len(found)
            return found

    def keep(self, record: Record, checksum: int, version: int) -> None:
        """Keep a record that was read at `version`; older ones go where it needs room."""
        size = record.nbytes
        if size > self.limit:
            return
        with self._lock:
            if (old := self._entries.pop(record.record_id, None)) is not None:
                self.held -= old.record.nbytes
            self._entries[record.record_id] = _Entry(record, checksum, version)
            self.held += size
            while self.held > self.limit:
                _, gone = self._entries.popitem(last=False)
                self.held -= gone.record.nbytes
