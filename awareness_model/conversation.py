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


def conversation_ids(tokenizer: Any, messages: Sequence[Message], prefix: str = "") -> list[int]:
    """Return the ids of a conversation, `[n]`, ready for the assistant's next turn.

    Args:
        prefix: text that the answer is made to begin with.

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
    for one, mark in zip(messages, marks, strict=True):
        before, found, rendered = rendered.partition(mark)
        if not found:
            raise UserError(f"the model's chat template drops a {one.role} message: leave it out")
        ids += tokenizer(before, add_special_tokens=False)["input_ids"]
        ids += plain_ids(tokenizer, one.text)
    ids += tokenizer(rendered, add_special_tokens=False)["input_ids"]
    return [*ids, *plain_ids(tokenizer, prefix)]
