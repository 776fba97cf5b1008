"""What the user can mend becomes one line and exit status 2; anything else keeps its traceback.

Covered: `UserError`, a full disk, a folder that cannot be written, a database in the same trouble.
A traceback never shows the values of variables, since these may hold a token.
"""

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from awareness_pipeline.config import UserError
from awareness_pipeline.logs import set_up, tell

_DISK = {
    errno.ENOSPC: "the disk is full: free some space, then run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space, then run the same command again",
    errno.EROFS: "the file system is read-only: choose another folder with --root",
    errno.EACCES: "permission denied: choose another folder with --root, or change its rights",
    errno.EPERM: "not permitted: choose another folder with --root, or change its rights",
    errno.ENOTDIR: "a file is in the way of a folder: choose another folder with --root",
}
_SQLITE = {"SQLITE_FULL": errno.ENOSPC, "SQLITE_READONLY": errno.EROFS}


class Commands(TyperGroup):
    """The command group; the one place where errors become lines."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Exits with status 2 where the user can mend what went wrong."""
        try:
            set_up()
            return super().invoke(ctx)
        except Exception as error:
            said = line_for(error)
            if said is None:
                raise
            tell(f"error: {said}", level="error", status=2)
            raise typer.Exit(2) from None


def line_for(error: BaseException) -> str | None:
    """Return the line that tells the user what to mend, or None for a fault of the program."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    if isinstance(error, FileNotFoundError) and error.filename == "git":
        from awareness_pipeline.doctor import NO_GIT

        return NO_GIT
    if isinstance(error, OSError) and error.errno in _DISK:
        return _disk_line(error.errno, error.filename)
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", None) or ""
    for prefix, number in _SQLITE.items():
        if name.startswith(prefix):
            return _disk_line(number, "the catalog's database")
    return None


def _disk_line(number: int, where: Any) -> str:
    return f"{where}: {_DISK[number]}" if where else _DISK[number]
