"""Scopes and permissions: which rows of a snapshot a reader may see.

A scope is a name (`repository`, `user-profile`, `recent-history`) or a glob on paths. Permissions,
named scopes and a glob's fixed beginning go into the store's query, before any tensor is loaded;
the rest of a glob is matched on the paths that come back. `**` spans directories, `*` and `?` stay
within one name, `[abc]` and `[!abc]` are sets; everything else stands for itself, case counts.
Paths have forward slashes and stay inside their root.
"""

import re
from collections.abc import Collection

from awareness_model.config import UserError

PUBLIC = ("public",)
"""The labels a reader holds who was given none."""

SCOPES = ("repository", "user-profile", "recent-history")
"""The named scopes; a document is in exactly one."""

LONGEST_PATH = 4096
"""Bytes; what Linux allows."""


def parsed(scope: str) -> tuple[str, str | None]:
    """Return a scope as glob and name: one of the two says nothing (`**`, None).

    Raises:
        UserError: a glob that is absolute or leaves the root.
    """
    if scope in SCOPES:
        return "**", scope
    if not scope or scope.startswith("/") or ".." in scope.split("/") or "\0" in scope:
        raise UserError(
            f"scope {scope!r} leaves the memory's root: give a glob such as 'src/**/*.py', "
            f"or one of {', '.join(SCOPES)}"
        )
    return scope.removeprefix("./"), None


def named(scope: str) -> str:
    """Return a scope's name.

    Raises:
        UserError: no such scope.
    """
    if scope not in SCOPES:
        raise UserError(f"unknown scope {scope!r}: choose one of {', '.join(SCOPES)}")
    return scope


def contained(path: str) -> str:
    """Return a document's path, without a leading `./`.

    Raises:
        UserError: it is empty, absolute, too long or leaves the root.
    """
    path = path.removeprefix("./")
    parts = path.split("/")
    if not path or path.startswith("/") or {"..", ".", ""} & set(parts) or "\0" in path:
        raise UserError(f"path {path!r} is not inside the memory's root: give a relative path")
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise UserError(f"path {path!r} is not text (UTF-8)") from None
    if size > LONGEST_PATH:
        raise UserError(f"path {path[:40]!r}… has {size} bytes; at most {LONGEST_PATH} are kept")
    return path


def tree_filter(
    repo_id: int, sha: str, acl: Collection[str], scope: str | None, glob: str = "**"
) -> str:
    """Return the SQL condition for one tree, permissions first."""
    conditions = [f"acl IN ({quoted(acl)})"] if acl else ["false"]
    conditions += [f"repo_id = {int(repo_id)}", f"sha = {quoted([sha])}"]
    if scope is not None:
        conditions.append(f"scope = {quoted([scope])}")
    return " AND ".join([*conditions, *_path_range(glob)])


def quoted(values: Collection[str]) -> str:
    """Return values as SQL string literals, separated by commas, sorted."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))


def matches(glob: str, path: str) -> bool:
    """Tell whether a path is in a glob scope such as `src/**/*.py`."""
    return re.fullmatch(_pattern(glob), path, re.DOTALL) is not None


def _path_range(glob: str) -> list[str]:
    """Return conditions that hold for every path with the glob's fixed beginning, so that an index
    on paths is used; text is ordered by code points, as its UTF-8 bytes are."""
    fixed = re.split(r"[*?\[]", glob, maxsplit=1)[0]
    if fixed == glob:
        return [f"path = {quoted([glob])}"]
    if not fixed:
        return []
    after = ord(fixed[-1]) + 1
    if after > 0xD7FF:  # The next code point may be none that UTF-8 can hold.
        return [f"path >= {quoted([fixed])}"]
    return [f"path >= {quoted([fixed])}", f"path < {quoted([fixed[:-1] + chr(after)])}"]


def _pattern(glob: str) -> str:
    """Translate a glob; `**/` also stands for no directory at all."""
    parts = []
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", glob, re.DOTALL):
        if token in _WILD:
            parts.append(_WILD[token])
        elif len(token) > 1:
            body = token[1:-1].replace("\\", r"\\")
            parts.append("[" + ("^" + body[1:] if body.startswith("!") else body) + "]")
        else:
            parts.append(re.escape(token))
    return "".join(parts)


_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
