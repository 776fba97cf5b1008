"""An edit of one file by the model that remembers the rest: asked for, checked, applied, encoded.

The model is shown the file and forced to begin a block for it. Nothing is written unless every
block applies; after that the file is encoded again, so the next question sees it. `ask` is what
writes: the model, or a function in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass

from awareness_model.config import UserError
from awareness_model.conversation import Message
from awareness_model.edits import CLOSES, MIDDLE, OPENS, difference, edited, replace_file
from awareness_model.memory import folder
from awareness_model.memory.live import Changes, LiveMemory
from awareness_model.reading import Answer, Asked

RULES = (
    "You change one file by search and replace blocks and write nothing else. Form of a block:\n"
    f"path\n{OPENS}\nlines of the file as they are\n{MIDDLE}\nlines in their place\n{CLOSES}"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that applies."""

    path: str
    before: str
    after: str
    answer: Answer

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        return difference(self.path, self.before, self.after)


def request(instruction: str, path: str, scope: str = "**") -> Asked:
    """Return what the model is asked: the file, then the instruction; its answer begins a block."""
    wish = f"Change the file {path}: {instruction}"
    messages = [Message("system", RULES), Message("user", wish)]
    return Asked(messages, scope, path, prefix=beginning(path))


def beginning(path: str) -> str:
    """Return how an edit of a file begins."""
    return f"{path}\n{OPENS}\n"


def propose(instruction: str, file: str, memory: LiveMemory, ask: Callable[[str], Answer]) -> Edit:
    """Have a change written and check that it applies; nothing is changed yet.

    Args:
        ask: given the file's path; answers with what follows `beginning(path)`.

    Raises:
        UserError: the file is outside the root, none, or no text.
        Refused: what was written cannot be applied.
    """
    if not instruction.strip():
        raise UserError("say what to change")
    path = folder.relative(memory.root, file)
    try:
        found = folder.read(memory.root, path)
    except folder.LeftOut as reason:
        raise UserError(f"{path!r} cannot be edited: {reason}") from None
    if found is None:
        raise UserError(f"there is no file {path!r} below {memory.root}")
    answer = ask(path)
    after = edited(path, found.text, beginning(path) + answer.text + "\n")
    return Edit(path, found.text, after, answer)


def apply(edit: Edit, memory: LiveMemory) -> Changes:
    """Write the file and encode it again.

    Raises:
        Refused: the file changed meanwhile.
    """
    replace_file(memory.root, edit.path, edit.before, edit.after)
    return memory.update(edit.path)
