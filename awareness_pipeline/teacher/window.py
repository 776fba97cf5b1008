"""A request with files as a chat that fits an endpoint's window.

The same texts in the same order as the local teacher reads them (`awareness_model.distil`), but in
estimated tokens, since an endpoint's tokenizer is not at hand: whole files, each that still fits. A
prompt that is continued as it stands becomes the beginning of the assistant's turn.

Limits: estimates are rather too high, so an endpoint sees less than fits; the manifest's numbers
are estimates too.
"""

from dataclasses import dataclass
from typing import Final

from awareness_model.schema import (
    FILES_BEFORE,
    TASK_BEFORE,
    DistilRequest,
    ManifestEntry,
)
from awareness_pipeline.teacher.chat import ChatRequest
from awareness_pipeline.teacher.room import most_tokens

__all__ = ["Packed", "packed"]

CONTINUE: Final = "Go on with the code that the answer begins with.\n"
TOKENS_AROUND: Final = 32
"""Allowance for a chat template."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A chat, and the files it shows."""

    chat: ChatRequest
    manifest: tuple[ManifestEntry, ...]


def packed(request: DistilRequest, max_tokens: int) -> Packed | None:
    """Return a request as a chat of about `max_tokens` at most, a given answer not counted; None
    where no file fits."""
    task = CONTINUE if request.raw else TASK_BEFORE + request.prompt
    around = FILES_BEFORE + task + (request.prompt if request.raw else "")
    room = max_tokens - TOKENS_AROUND - most_tokens(around)
    texts, manifest = [], []
    for file in request.files:
        text = f"{file.path}\n{file.text.rstrip()}\n\n"
        tokens = most_tokens(text)
        if tokens <= room:
            room -= tokens
            texts.append(text)
            manifest.append(ManifestEntry(file.path, tokens))
    if not manifest:
        return None
    prompt = "".join((FILES_BEFORE, *texts, task))
    chat = ChatRequest(
        system="",
        prompt=prompt,
        # It fits already, so it is never cut.
        max_prompt_tokens=len(prompt),
        max_new_tokens=request.max_new_tokens,
        prefix=request.prompt if request.raw else "",
        top_logprobs=request.top_k,
        forced=(request.response or "").strip(),
    )
    return Packed(chat, tuple(manifest))
