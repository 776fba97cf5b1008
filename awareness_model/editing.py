"""An edit of one file by the model that remembers the rest: asked for, checked, applied, encoded.

The model is shown the file and forced to begin a block for it. Where no block of its fits exactly,
it is asked for less: the new form of the one line that the request is about (`excerpt`), after
three examples, and the block is built around that. Nothing is written unless every block applies;
after that the file is encoded again, so the next question sees it. `ask` is what writes: the model,
or a function in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass

from awareness_model.config import UserError
from awareness_model.conversation import Message
from awareness_model.edits import (
    CLOSES,
    MIDDLE,
    OPENS,
    Refused,
    block,
    difference,
    edited,
    replace_file,
)
from awareness_model.excerpt import best_line
from awareness_model.memory import folder
from awareness_model.memory.live import Changes, LiveMemory
from awareness_model.reading import Answer, Asked
from awareness_model.writing import Style

RULES = (
    "You change one file by search and replace blocks and write nothing else. Form of a block:\n"
    f"path\n{OPENS}\nlines of the file as they are\n{MIDDLE}\nlines in their place\n{CLOSES}"
)
ONE_LINE = "You rewrite one line of a file as you are told, and write nothing else."
EXAMPLES = (
    ("change the limit to 7", "LIMIT = 5", "LIMIT = 7"),
    ('greet with "bye" in place of "hello"', '    say("hello", name)', '    say("bye", name)'),
    ("rename the function add to plus", "def add(a, b):", "def plus(a, b):"),
)
"""Requests, lines, and the lines in their place."""
LINE_TOKENS = 96


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


def request(instruction: str, path: str, scope: str = "**", max_tokens: int = 256) -> Asked:
    """Return what the model is asked: the file, then the instruction; its answer begins a block."""
    wish = f"Change the file {path}: {instruction}"
    messages = [Message("system", RULES), Message("user", wish)]
    style = Style(max_new_tokens=max_tokens)
    return Asked(messages, scope, path, prefix=beginning(path), style=style)


def line_request(instruction: str, line: str, scope: str = "**") -> Asked:
    """Return what the model is asked for one line; its answer begins after the line's indent."""
    messages = [Message("system", ONE_LINE)]
    for wish, old, new in EXAMPLES:
        messages += [Message("user", f"{wish}\n{old}"), Message("assistant", new)]
    messages.append(Message("user", f"{instruction}\n{line}"))
    style = Style(max_new_tokens=LINE_TOKENS, stop=("\n",))
    return Asked(messages, scope, prefix=_indent(line), style=style)


def beginning(path: str) -> str:
    """Return how an edit of a file begins."""
    return f"{path}\n{OPENS}\n"


def propose(
    instruction: str,
    file: str,
    memory: LiveMemory,
    ask: Callable[[Asked], Answer],
    scope: str = "**",
    max_tokens: int = 256,
) -> Edit:
    """Have a change written and check that it applies; nothing is changed yet.

    Args:
        ask: answers what it is asked, with what follows its prefix.

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
    answer = ask(request(instruction, path, scope, max_tokens))
    try:
        after = edited(path, found.text, beginning(path) + answer.text + "\n")
    except Refused as refused:
        return _one_line(instruction, path, found.text, ask, scope, refused)
    return Edit(path, found.text, after, answer)


def _one_line(
    instruction: str,
    path: str,
    text: str,
    ask: Callable[[Asked], Answer],
    scope: str,
    refused: Refused,
) -> Edit:
    """Have one line rewritten where no block fits."""
    number = best_line(text, instruction)
    if number is None:
        raise refused
    lines = text.split("\n")
    old = lines[number]
    answer = ask(line_request(instruction, old, scope))
    new = _indent(old) + answer.text.rstrip()
    if not new.strip() or "\n" in new:
        raise refused
    return Edit(path, text, edited(path, text, block(path, lines, number, new)), answer)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def apply(edit: Edit, memory: LiveMemory) -> Changes:
    """Write the file and encode it again.

    Raises:
        Refused: the file changed meanwhile.
    """
    replace_file(memory.root, edit.path, edit.before, edit.after)
    return memory.update(edit.path)
