"""What the student reads: the task, and before it the one file that the task names.

The repository is in its memory, never in its prompt. Limits: how much of the file is given is up to
whoever asks; a reader that cuts long prompts from the front cuts the file first.
"""

from typing import Any

from awareness_model.base import chat_ids, plain_ids
from awareness_model.schema import TASK_BEFORE, SourceFile

__all__ = ["student_ids"]


def student_ids(tokenizer: Any, prompt: str, file: SourceFile | None, *, raw: bool) -> list[int]:
    """Return the ids of the student's prompt, ready for the answer.

    Args:
        raw: the prompt is continued as it stands; otherwise it is a user's turn.
    """
    before = f"{file.path}\n{file.text.rstrip()}\n\n{TASK_BEFORE}" if file else ""
    ids = plain_ids(tokenizer, before + prompt)
    return ids if raw else chat_ids(tokenizer, "", ids)
