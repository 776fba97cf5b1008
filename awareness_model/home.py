"""Where a folder's memory is: `.awareness/` in it, beside the texts that users told the memory.

    .awareness/memory/            the store (or elsewhere: a folder or an object store's URL)
    .awareness/user-profile/      one file per thing told with `remember`
    .awareness/recent-history/    one file per answered chat, the oldest leave
    .awareness/.gitignore         keeps all of it out of git

The texts are documents like any other, in the scope of their folder: a new model encodes them
again, and a file deleted by hand is forgotten.
"""

import re
from pathlib import Path

from awareness_model.config import MemoryConfig, UserError
from awareness_model.memory import folder
from awareness_model.memory.live import Changes, Encodes, LiveMemory
from awareness_model.memory.store import LatentMemoryStore
from awareness_model.schema import content_hash, write_atomic

MOST_HISTORY = 32
"""Chats kept."""
LONGEST_TEXT = 20_000
"""Characters of a text to remember: some 5,000 tokens."""


def find_root(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that has a memory.

    Raises:
        UserError: there is none.
    """
    begun = folder.root_of(start)
    for one in (begun, *begun.parents):
        if (one / folder.HOME).is_dir():
            return one
    raise UserError(f"no memory in {begun} or above it: run `awareness index PATH` first")


def open_store(root: Path, place: str | None = None) -> LatentMemoryStore:
    """Open the memory of a root, at its usual place or at another."""
    return LatentMemoryStore(MemoryConfig(path=place or str(root / folder.HOME / "memory")))


def make_home(root: Path) -> None:
    """Make a folder the root of a memory.

    Raises:
        UserError: there is no such folder.
    """
    ignore = folder.root_of(root) / folder.HOME / ".gitignore"
    if not ignore.is_file():
        write_atomic(ignore, b"*\n")


def open_memory(root: Path, encoder: Encodes, place: str | None = None) -> LiveMemory:
    """Return the memory of a root, for reading and writing."""
    return LiveMemory(root, open_store(root, place), encoder)


def remember(memory: LiveMemory, text: str) -> Changes:
    """Keep a text about the user; the same text is kept once.

    Raises:
        UserError: it is empty or too long.
    """
    kept = text.strip()
    if not kept or "\0" in kept:
        raise UserError("there is nothing to remember: give a text")
    if len(kept) > LONGEST_TEXT:
        raise UserError(f"the text has {len(kept):,} characters, at most {LONGEST_TEXT:,} are kept")
    path = f"{folder.HOME}/user-profile/{content_hash(kept.encode())[:16]}.md"
    write_atomic(memory.root / path, f"{kept}\n".encode())
    return memory.update(path)


def note_chat(memory: LiveMemory, question: str, answer: str, most: int = MOST_HISTORY) -> Changes:
    """Keep an answered chat as recent history; the oldest ones beyond `most` leave."""
    place = memory.root / folder.HOME / "recent-history"
    held = sorted(path.name for path in place.glob("*.md") if re.fullmatch(r"\d{8}\.md", path.name))
    number = int(held[-1].removesuffix(".md")) + 1 if held else 1
    text = f"User: {question}\n\nAssistant: {answer}\n".replace("\0", "")[:LONGEST_TEXT]
    name = f"{number:08d}.md"
    write_atomic(place / name, text.encode(errors="replace"))
    gone = [*held, name][:-most]
    for old in gone:
        (place / old).unlink(missing_ok=True)
    return memory.update(*(f"{folder.HOME}/recent-history/{one}" for one in (*gone, name)))
