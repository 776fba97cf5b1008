"""Where a memory lies: a folder, a `file://` URL or an object store's URL, with its options.

Credentials never stand in the URL: Lance reads the usual variables of the provider (`AWS_…`), and
`AWARENESS_STORAGE_OPTIONS`, a JSON object of strings, adds others (`endpoint`, `allow_http`, …).
Paths are joined as text, so that nothing depends on a local file system. `memory://` is refused:
pylance 14 opens a new, empty store each time (measured).

On S3 each commit is one put of a manifest with `If-None-Match: *` (seen with pylance 14), which
Amazon's S3 and moto answer with 412 where another writer was first; Lance then tries again on top
of the other's commit. So several may write, and no table of locks is needed, as long as the service
honours that condition: one that passes over it lets the later of two commits win in silence. A
service that is not Amazon's needs `endpoint`, and over plain HTTP `allow_http`.
"""

import json
import os
import re
from pathlib import Path

from awareness_model.config import UserError

STORAGE_OPTIONS = "AWARENESS_STORAGE_OPTIONS"
SCHEMES = ("file", "s3", "gs", "az", "abfss")


def located(path: str) -> str:
    """Return the root of a memory, without a trailing slash.

    Raises:
        UserError: an empty path, a scheme that cannot hold a memory, or a password in the URL.
    """
    if not path:
        raise UserError("the memory has no path: set the folder or URL of the memory")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", path)
    if scheme is None:
        return str(Path(path).expanduser())
    if scheme[1] not in SCHEMES:
        raise UserError(
            f"a memory cannot lie at {scheme[1]}://: use a folder or one of "
            + ", ".join(f"{one}://" for one in SCHEMES)
        )
    if "@" in path[scheme.end() :].split("/", 1)[0] and scheme[1] != "abfss":
        raise UserError("no password in a memory's URL: set the provider's variables instead")
    return path.rstrip("/")


def local_folder(root: str) -> Path | None:
    """Return the folder a root stands for; None where it is an object store."""
    if root.startswith("file://"):
        return Path(root.removeprefix("file://"))
    return None if "://" in root else Path(root)


def storage_options() -> dict[str, str] | None:
    """Return the options given in the environment.

    Raises:
        UserError: they are no JSON object of strings. Their text is not shown: it may be secret.
    """
    given = os.environ.get(STORAGE_OPTIONS)
    if not given:
        return None
    try:
        options = json.loads(given)
    except ValueError:
        options = None
    if not isinstance(options, dict) or not all(isinstance(one, str) for one in options.values()):
        raise UserError(f"{STORAGE_OPTIONS} must be a JSON object of strings")
    return options
