"""What the audit is asked, and what was left out on the way."""

from collections import Counter
from dataclasses import dataclass, field

from awareness_model.schema import AuditRequest

__all__ = ["Plan"]


@dataclass(slots=True)
class Plan:
    """Questions of one kind. Every text offered is asked about or dropped with a reason."""

    kind: str
    """`prompt` or `context`."""
    groups: tuple[str, ...]
    """Styles or targets that are looked for, also where there is none."""
    requests: list[AuditRequest] = field(default_factory=list)
    offered: Counter[str] = field(default_factory=Counter)
    """Texts by group."""
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Texts by group and reason."""
