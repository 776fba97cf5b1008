"""Commit rows on disk: one JSON line each, compressed with zstd unless the file is named `.jsonl`.

A `.jsonl.zst` file is a row of zstd frames. A frame ends with the row that fills 64 MiB of text, so
all frames but the last depend on nothing that comes after them. A file that grows keeps those, and
its last frame is packed anew with the rows that are added: grown step by step or written at once,
the same rows give the same bytes (fixed level, one thread, no times). Readers see one stream, if
they read across frames as `read_commits` does.

`<key>.shas` beside it holds the shas alone, one a line, in the same order.

Lines end in `\\n` and are split there alone, in bytes; text holds U+2028, form feeds and carriage
returns as they are.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import orjson
import zstandard

from awareness_pipeline.records import Commit, FileChange

__all__ = ["Grown", "commit_file", "read_commits", "read_shas", "shas_file", "write_commits"]

ZSTD_LEVEL: Final = 3
FRAME_BYTES: Final = 64 << 20
BLOCK_BYTES: Final = 1 << 20
PACKED_BYTES: Final = 512
"""Unpacked at once: what repeats without end may grow 30,000 times."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A commit file that new rows go behind, and where its last frame begins."""

    path: Path
    tail: int


def commit_file(folder: Path, key: str) -> Path:
    """Return the file of one repository's commits: `<key>.jsonl.zst`, else `<key>.jsonl`."""
    packed = folder / f"{key}.jsonl.zst"
    return packed if packed.exists() else folder / f"{key}.jsonl"


def shas_file(folder: Path, key: str) -> Path:
    """Return the file that lists the shas of one repository's commits."""
    return folder / f"{key}.shas"


def read_shas(folder: Path, key: str) -> list[str]:
    """Return the shas of one repository's commits, in the order of its rows."""
    return shas_file(folder, key).read_text(encoding="ascii").split()


def write_commits(
    path: Path, commits: Iterable[Commit], *, plain: bool, after: Grown | None = None
) -> int:
    """Write rows as they come, behind those of another file if one is given.

    The caller makes it atomic and durable.

    Returns:
        Where the last frame begins, for the next `Grown`; 0 in a plain file.
    """
    with path.open("wb") as file:
        packer = _Packer(file, plain=plain)
        if after is not None:
            packer.take_over(after)
        for commit in commits:
            packer.write(orjson.dumps(commit) + b"\n")
        packer.close()
        return packer.tail


def read_commits(path: Path) -> Iterator[Commit]:
    """Yield the rows of a commit file in order.

    Raises:
        ValueError: the file is damaged, or a line is no commit row; the message gives the file's
            name and the line.
    """
    number, plain = 0, path.suffix != ".zst"
    try:
        with path.open("rb") as file:
            if not plain and not file.read(1):
                raise ValueError("the file is empty")
            file.seek(0)
            for line in _lines_of(file, plain=plain):
                number += 1
                yield _commit(orjson.loads(line))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}, line {number}: not a commit: {error}") from None


def _commit(found: dict[str, Any]) -> Commit:
    for name in ("files_changed", "parents", "labels"):
        found[name] = tuple(found[name])
    found["files"] = tuple([FileChange(**change) for change in found["files"]])
    return Commit(**found)


class _Packer:
    """Packs lines into frames. Blocks end at lines, so only the lines decide about the bytes."""

    def __init__(self, file: IO[bytes], *, plain: bool) -> None:
        self._file = file
        self._plain = plain
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
        self._frame: zstandard.ZstdCompressionObj | None = None
        self._lines: list[bytes] = []
        self._waiting = 0
        self._in_frame = 0
        self.tail = 0

    def take_over(self, before: Grown) -> None:
        """Begin with what another file holds: its closed frames as they are, its last one anew."""
        with before.path.open("rb") as file:
            if self._plain:
                shutil.copyfileobj(file, self._file, BLOCK_BYTES)
                return
            for start in range(0, before.tail, BLOCK_BYTES):
                self._file.write(file.read(min(BLOCK_BYTES, before.tail - start)))
            self.tail = before.tail
            for line in _lines_of(file, plain=False):
                self.write(line + b"\n")

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self._waiting += len(line)
        self._in_frame += len(line)
        if self._waiting >= BLOCK_BYTES:
            self._flush()
        if self._in_frame >= FRAME_BYTES and not self._plain:
            self._end_frame()

    def close(self) -> None:
        self._flush()
        if not self._plain and (self._frame is not None or self._file.tell() == 0):
            self._finish_frame()

    def _flush(self) -> None:
        block = b"".join(self._lines)
        self._lines, self._waiting = [], 0
        if self._plain or not block:
            self._file.write(block)
            return
        if self._frame is None:
            self._frame = self._compressor.compressobj()
        self._file.write(self._frame.compress(block))

    def _end_frame(self) -> None:
        self._flush()
        self._finish_frame()
        self._in_frame = 0
        self.tail = self._file.tell()

    def _finish_frame(self) -> None:
        frame = self._frame or self._compressor.compressobj()
        self._file.write(frame.flush())
        self._frame = None


def _lines_of(file: IO[bytes], *, plain: bool) -> Iterator[bytes]:
    """Yield the lines of a file from where it stands, without their `\\n`."""
    parts: list[bytes] = []
    for block in _plain_blocks(file) if plain else _unpacked(file):
        first, *lines = block.split(b"\n")
        parts.append(first)
        if lines:
            yield b"".join(parts)
            yield from lines[:-1]
            parts = lines[-1:]
    if rest := b"".join(parts):
        yield rest


def _plain_blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what the frames of a file hold.

    Raises:
        ValueError: the file is damaged, or ends inside a frame.
    """
    packed = zstandard.ZstdDecompressor()
    frame, whole = packed.decompressobj(), True
    try:
        while block := file.read(PACKED_BYTES):
            while block:
                yield frame.decompress(block)
                block, whole = b"", frame.eof
                if whole:
                    block, frame = frame.unused_data, packed.decompressobj()
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if not whole:
        raise ValueError("the file ends inside a frame")
