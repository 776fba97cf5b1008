"""Which files of a repository the teacher should read first, and how many are worth sending.

The order is: files that the commit touches, files that those import, files in their folders, the
rest; each by path. Limits: files are offered whole, up to a few windows' worth of text; how many
fit is counted in tokens by the teacher itself.
"""

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Final

from awareness_model.schema import SourceFile

__all__ = ["FOLDER", "IMPORTED", "REASONS", "REST", "TOUCHED", "by_relevance", "offered"]

TOUCHED: Final = "touched"
IMPORTED: Final = "imported"
FOLDER: Final = "folder"
REST: Final = "rest"
REASONS: Final = (TOUCHED, IMPORTED, FOLDER, REST)
"""Why a file is offered, most relevant first."""
MAX_CHARACTERS_PER_TOKEN: Final = 8
"""A file of more characters than this per token of the window cannot fit: code has 3 to 4."""
OFFERED_WINDOWS: Final = 2


def by_relevance(
    files: Iterable[SourceFile], touched: Collection[str], imported: Collection[str]
) -> list[tuple[SourceFile, str]]:
    """Return files in the order in which the teacher should see them, each with its reason."""
    touched, imported = frozenset(touched), frozenset(imported)
    folders = {PurePosixPath(path).parent for path in touched}

    def reason(path: str) -> str:
        if path in touched:
            return TOUCHED
        if path in imported:
            return IMPORTED
        return FOLDER if PurePosixPath(path).parent in folders else REST

    judged = [(file, reason(file.path)) for file in files]
    return sorted(judged, key=lambda pair: (REASONS.index(pair[1]), pair[0].path))


def offered(
    files: Iterable[tuple[SourceFile, str]], max_context_tokens: int
) -> tuple[tuple[SourceFile, str], ...]:
    """Return the first files that are worth sending: none that cannot fit, and no more text than
    fills the window `OFFERED_WINDOWS` times."""
    window = max_context_tokens * MAX_CHARACTERS_PER_TOKEN
    room = window * OFFERED_WINDOWS
    kept = []
    for file, reason in files:
        if len(file.text) <= min(window, room):
            kept.append((file, reason))
            room -= len(file.text)
    return tuple(kept)
