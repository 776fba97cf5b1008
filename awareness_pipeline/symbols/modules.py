"""How one file of a tree names another: import paths, packages and what stands before a dot.

Limits: paths alone decide. A Python module is matched by the end of its dotted path, a JavaScript
one by its relative path, a Go one by its package clause; aliases and path mappings are not known.
"""

import posixpath
from pathlib import PurePosixPath
from typing import Final

from awareness_pipeline.symbols.syntax import Use

__all__ = ["import_name", "module_parts", "names_file", "refers_to"]

_SOURCE_ROOTS: Final = ("lib", "src")


def refers_to(use: Use, path: str, target: str, language: str) -> bool:
    """Tell whether a use in the file `path` takes its name from the file `target`.

    For Go, which names packages and not files, see `items`.
    """
    if use.source:
        return names_file(use.source, path, target, language)
    last = use.qualifier.rpartition(".")[2]
    return bool(last) and last == module_parts(target)[-1]


def names_file(module: str, path: str, target: str, language: str) -> bool:
    """Tell whether a module, as the file `path` writes it, may be the file `target`."""
    matches = _python_matches if language == "Python" else _javascript_matches
    return matches(module, path, target)


def import_name(path: str) -> str:
    """Return the dotted name by which Python imports a file; empty where it has none.

    A leading `src` or `lib` folder is left out, as such folders are put on the search path.
    """
    parts = module_parts(path)
    if len(parts) > 1 and parts[0] in _SOURCE_ROOTS:
        parts = parts[1:]
    return ".".join(parts) if all(part.isidentifier() for part in parts) else ""


def module_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a module's path; a package or folder index stands for its folder."""
    pure = PurePosixPath(path)
    parts = pure.with_suffix("").parts
    return parts[:-1] if pure.stem in ("__init__", "index") and len(parts) > 1 else parts


def _python_matches(source: str, path: str, target: str) -> bool:
    name = source.lstrip(".")
    parts = tuple(name.split(".")) if name else ()
    level = len(source) - len(name)
    module = module_parts(target)
    if not level:
        return module[-len(parts) :] == parts
    folder = PurePosixPath(path).parent.parts
    kept = len(folder) - (level - 1)
    return kept >= 0 and module == (*folder[:kept], *parts)


def _javascript_matches(source: str, path: str, target: str) -> bool:
    if not source.startswith("."):
        return False
    asked = posixpath.normpath(posixpath.join(posixpath.dirname(path), source))
    without_suffix = str(PurePosixPath(target).with_suffix(""))
    return asked in (target, without_suffix, "/".join(module_parts(target)))
