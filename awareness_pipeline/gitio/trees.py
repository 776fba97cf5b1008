"""Many trees of one repository, read one after the other; what they share is read once.

Neighbouring trees differ in a few files. A reader keeps what the last tree held, by path and blob,
so that the next one costs its walk and the files that changed, and both hold the same texts.
Limits: one tree back, no more, so memory is that of the trees in use; not for several threads.
"""

from pathlib import Path

from awareness_pipeline.gitio.snapshot import Snapshot, TreeFile, read_snapshot

__all__ = ["TreeReader"]


class TreeReader:
    """Reads trees of one repository."""

    def __init__(self, repo_path: Path, max_file_bytes: int) -> None:
        self._repo_path = repo_path
        self._max_file_bytes = max_file_bytes
        self._known: dict[tuple[str, str], TreeFile | str] = {}
        self._last: tuple[str, Snapshot] | None = None

    def read(self, sha: str) -> Snapshot:
        """Return a commit's tree, as `read_snapshot` does.

        Raises:
            NotARepository: there is no repository.
            BrokenRepository: the commit or one of its objects is missing.
        """
        if self._last and self._last[0] == sha:
            return self._last[1]
        known, most = self._known, self._max_file_bytes
        found = read_snapshot(self._repo_path, sha, max_file_bytes=most, known=known)
        self._known = {(file.path, file.blob_sha): file for file in found.files}
        self._known |= {
            (one.path, one.blob_sha): one.reason for one in found.skipped if one.blob_sha
        }
        self._last = (sha, found)
        return found
