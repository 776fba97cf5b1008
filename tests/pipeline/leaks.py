"""Marked secrets, and where they turn up: in files, in what was said, in what others see of argv.

A marker is found plain, as base64 at any alignment (how a token travels in a header) and as hex, in
files as they lie and unpacked from zstd and gzip, and in the cells of Parquet files. Limit: Lance
and git's own objects are searched as they lie.
"""

import gzip
import os
import stat
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import zstandard

MARK = "zq7leakzq7xyz"
SECRETS = {
    "GITHUB_TOKEN": f"{MARK}hub",
    "GITHUB_TOKENS": f"{MARK}good,{MARK}dead",
    "AWARENESS_TEACHER_KEY": f"{MARK}teacher",
    "OPENAI_API_KEY": f"{MARK}openai",
    "AWARENESS_SERVE_TOKEN": f"{MARK}serve",
    "AWS_ACCESS_KEY_ID": f"{MARK}awsid",
    "AWS_SECRET_ACCESS_KEY": f"{MARK}aws",
    "WANDB_API_KEY": f"{MARK}wandb",
    "AWARENESS_WEBHOOK_URL": f"http://127.0.0.1:1/{MARK}hook",
}
"""Every variable of ours that holds a secret, each with the mark in it."""
DATABASE = f"postgresql://user:{MARK}db@127.0.0.1:1/catalog"
"""A catalog that does not answer."""


def _forms() -> tuple[bytes, ...]:
    """The mark as bytes: plain, hex, and as much of its base64 as no neighbour changes."""
    coded = []
    for before in range(3):
        text = b64encode(b"\0" * before + MARK.encode()).decode().rstrip("=")
        whole = (before + len(MARK)) // 3 * 4
        coded.append(text[(before * 8 + 5) // 6 : whole].encode())
    return (MARK.encode(), MARK.encode().hex().encode(), *coded)


FORMS = _forms()


def holds(data: bytes) -> bool:
    """Whether the mark is in it, in any form."""
    return any(form in data for form in FORMS)


def in_folder(folder: Path) -> list[str]:
    """The files below a folder that hold the mark, in their name or their content."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            if MARK in str(path) or any(holds(data) for data in _contents(path)):
                found.append(str(path.relative_to(folder)))
    return sorted(found)


def _contents(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if path.suffix == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            yield reader.read()
    elif path.suffix == ".gz":
        yield gzip.decompress(data)
    elif path.suffix == ".parquet":
        yield repr(pq.read_table(path).to_pylist()).encode()


@contextmanager
def watched_processes(sign: Callable[[bytes], bool] = holds) -> Iterator[list[bytes]]:
    """Collect the command lines of this machine's processes that bear the sign, for the block."""
    found: list[bytes] = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(found, over, sign))
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _watch(found: list[bytes], over: threading.Event, sign: Callable[[bytes], bool]) -> None:
    while not over.wait(0.1):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes()
            except OSError:
                continue
            if sign(line) and line not in found:
                found.append(line)


def noting_git(folder: Path, real: str) -> Path:
    """Put a `git` into a folder that notes its arguments in `git.argv` there and goes on as git.

    Git's processes are too short to be caught in /proc.
    """
    folder.mkdir()
    shim = folder / "git"
    shim.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{folder}/git.argv'\nexec '{real}' \"$@\"\n"
    )
    shim.chmod(0o755)
    return folder
