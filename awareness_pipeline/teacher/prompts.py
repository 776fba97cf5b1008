"""Prompt templates: markdown files in `prompts/`, and the change that fills them.

A template has three parts: `# System`, `# User`, and `# Answer`, how the answer begins, which is
forced where the backend can. Places are named `{{name}}`; what fills one is never searched for
places again. The text is part of the fingerprint of what it made, so a changed word asks for a new
version. The examples are ours, and none repeats a benchmark's problem (tested).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from awareness_model.schema import digest
from awareness_pipeline.patch.hunks import read_patch
from awareness_pipeline.teacher.quoting import quoted
from awareness_pipeline.teacher.room import GAP

__all__ = ["Template", "changed_lines", "load_template"]

EDGE_LINES: Final = 2_000
LINE_CHARACTERS: Final = 2_000
_FOLDER: Final = Path(__file__).parent / "prompts"
_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
_PARTS: Final = re.compile(r"^# (?:System|User|Answer)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Template:
    """One prompt: the instruction, the question with its demonstrations, the answer's opening."""

    system: str
    user: str
    answer: str
    fingerprint: str

    @property
    def own_text(self) -> str:
        """Return all parts without what fills them."""
        return _PLACE.sub("", f"{self.system}\n{self.user}\n{self.answer}")

    def fill(self, **values: str) -> tuple[str, str]:
        """Return the user part and the answer's opening with every place filled. Raises KeyError
        where a value lacks."""
        user, answer = (
            _PLACE.sub(lambda place: values[place[1]], part) for part in (self.user, self.answer)
        )
        return user, answer


def load_template(name: str) -> Template:
    """Read `prompts/<name>.md`."""
    text = (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
    _, system, user, answer = (part.strip() for part in _PARTS.split(text))
    return Template(system, user, answer, digest(text))


def changed_lines(diff: str) -> tuple[str, ...]:
    """Return the lines that a diff removes (`-`) and adds (`+`), each quoted as one line.

    Headers and unchanged lines are left out: what a task is about stands in what changed. Of very
    many lines those in the middle are a gap, and an endless line is cut.
    """
    lines = [
        (sign, line)
        for file in read_patch(diff)
        for hunk in file.hunks
        for sign, line in hunk.lines
        if sign != " "
    ]
    if len(lines) > 2 * EDGE_LINES:
        lines = [*lines[:EDGE_LINES], (GAP, ""), *lines[-EDGE_LINES:]]
    return tuple(sign + quoted(line[:LINE_CHARACTERS].removesuffix("\n")) for sign, line in lines)
