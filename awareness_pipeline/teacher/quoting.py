"""Text of others inside a prompt: shown, never obeyed.

A commit can hold anything: our own tags, the special tokens of chat templates, line ends that only
a model takes for such. What would close our frame is shown with a space in it, so a reader still
sees what was there, and control characters (terminal codes, directions of writing) become spaces.
Every quoted text is one line, so nothing of it can begin one.

Limits: special tokens by their usual shapes; a text that talks the model round in plain words stays
as it is, and what comes of it meets the gate like any answer.
"""

import re
from typing import Final

__all__ = ["quoted"]

_SPECIAL: Final = re.compile(
    r"<(?=/?(?:task|score|s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|think)\s*/?>)"
    r"|<(?=[|｜][^<>\s]{1,60}[|｜]>)|<(?=</?SYS>>)|\[(?=/?(?:INST|SYS)\])",
    re.IGNORECASE,
)


def quoted(text: str) -> str:
    """Return a text as one line that breaks no frame."""
    shown = text
    if not text.isprintable():
        shown = "".join(one if one.isprintable() or one == "\t" else " " for one in text)
    return _SPECIAL.sub(lambda found: f"{found[0]} ", shown)
