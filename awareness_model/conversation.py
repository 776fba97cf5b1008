"""Conversations as token ids: the model's chat template around texts from outside.

Every text is tokenised by `plain_ids`, apart from the template, so that a message that holds
`<|im_end|>` ends no turn. Limits: text only; a template that drops or reorders messages is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from awareness_model.base import plain_ids
from awareness_model.config import UserError

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: str
    """One of `ROLES`."""
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as ids, and where in them two of its texts stand: columns, end excluded."""

    ids: list[int]
    first: tuple[int, int]
    """The first message's text."""
    last: tuple[int, int]
    """The end of the last message's, as much as was asked about."""


def conversation_ids(tokenizer: Any, messages: Sequence[Message], prefix: str = "") -> list[int]:
    """Return the ids of a conversation, `[n]`; see `prompted`."""
    return prompted(tokenizer, messages, prefix).ids


def prompted(
    tokenizer: Any, messages: Sequence[Message], prefix: str = "", shown: str = ""
) -> Prompt:
    """Return a conversation, ready for the assistant's next turn.

    Args:
        prefix: text that the answer is made to begin with.
        shown: text before the last message's own, such as a file.

    Raises:
        UserError: the model's template takes no such conversation.
    """
    marks = [f"\x00{number}\x00" for number in range(len(messages))]
    turns = [{"role": one.role, "content": mark} for one, mark in zip(messages, marks, strict=True)]
    try:
        rendered: str = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    except TemplateError as error:
        raise UserError(f"the model's chat template takes no such conversation: {error}") from None
    ids: list[int] = []
    places: list[tuple[int, int]] = []
    for number, (one, mark) in enumerate(zip(messages, marks, strict=True), start=1):
        before, found, rendered = rendered.partition(mark)
        if not found:
            raise UserError(f"the model's chat template drops a {one.role} message: leave it out")
        ids += tokenizer(before, add_special_tokens=False)["input_ids"]
        ids += plain_ids(tokenizer, shown) if number == len(messages) else []
        text = plain_ids(tokenizer, one.text)
        places.append((len(ids), len(ids) + len(text)))
        ids += text
    ids += tokenizer(rendered, add_special_tokens=False)["input_ids"]
    return Prompt([*ids, *plain_ids(tokenizer, prefix)], places[0], places[-1])
