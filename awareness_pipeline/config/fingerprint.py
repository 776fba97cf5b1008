"""Which settings are part of a stage's identity, and in which form they enter a fingerprint.

A field marked `RUN_ONLY` says how fast or where and stays out. Limits: values are numbers, strings,
truth values, None and tuples of these; any other value is an error.
"""

from dataclasses import fields
from typing import Any

RUN_ONLY = {"run_only": True}


def identity(section: Any) -> dict[str, Any]:
    """Return the part of a settings dataclass that belongs to a fingerprint, as plain JSON values.

    Raises:
        TypeError: a value with no stable form.
    """
    return {
        item.name: _stable(getattr(section, item.name), item.name)
        for item in fields(section)
        if not item.metadata.get("run_only")
    }


def _stable(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_stable(item, name) for item in value]
    raise TypeError(f"setting {name!r} has no stable form: {type(value).__name__}")
