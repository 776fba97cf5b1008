"""What a language model is asked and answers: plain text, teacher traces, an endpoint's tokens.

A request and its answer share an `id`; requests come in any order. Limits: no conversation, one
prompt and one answer; alternatives are the likeliest only, the rest is one number (`tail_mass`).
"""

from dataclasses import dataclass

FILES_BEFORE = "These files are in the repository:\n\n"
TASK_BEFORE = "The task:\n"
"""What a teacher reads before files and before the task; a file is its path, a line break, its text
and an empty line."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Ask the local model to write. The answer starts inside `prefix`, which is not repeated."""

    id: str
    system: str
    prompt: str
    prefix: str
    """Text the assistant's answer is forced to begin with, such as `<task>`."""
    stop: str
    """Generation ends where this text appears; it is not part of the answer."""
    max_prompt_tokens: int
    max_new_tokens: int
    top_k: int = 0
    """Alternatives wanted per token of the answer."""


@dataclass(frozen=True, slots=True)
class GenerateAnswer:
    """What the model wrote, without prefix and stop text.

    Where alternatives were wanted, `topk_ids[t]` and `topk_logprobs[t]` describe the distribution
    that chose `token_ids[t]`, likeliest first; those of the stop text are among them.
    """

    id: str
    text: str
    finish_reason: str
    """`stop`: the stop text came (or the end of sequence, where none was asked for); `end`: the
    model ended without it; `length`: the budget ran out."""
    prompt_tokens: int
    completion_tokens: int
    token_ids: tuple[int, ...] = ()
    topk_ids: tuple[tuple[int, ...], ...] = ()
    topk_logprobs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One text file of a repository snapshot."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class DistilRequest:
    """Ask the teacher to answer with the repository in its context.

    `files` come most relevant first; the teacher packs as many whole files as fit in
    `max_context_tokens`. With `response` set, the teacher is forced along it (and scores it)
    instead of writing its own answer. `raw` prompts are continued as they stand (code completion);
    others go through the model's chat template. `student_file` stands in the student's prompt.
    """

    id: str
    prompt: str
    files: tuple[SourceFile, ...]
    response: str | None
    raw: bool
    max_context_tokens: int
    max_new_tokens: int
    top_k: int
    student_file: SourceFile | None = None


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A file the teacher saw, with the number of its tokens."""

    path: str
    tokens: int


@dataclass(frozen=True, slots=True)
class DistilAnswer:
    """A teacher trace; T response tokens, k alternatives each.

    `topk_ids[t]` and `topk_logprobs[t]` describe the distribution that predicts `response_ids[t]`
    (already shifted); `tail_mass[t]` is the probability outside the k alternatives.
    `finish_reason`: `stop` or `length` of the own answer; `forced` along a given response; `given`,
    a response that no teacher has scored; `no_context` where no file (or not even the prompt) fits,
    and then nothing was asked; an endpoint's own word where it refused.

    Without alternatives (all three lists empty) the answer is text only: `response_ids` are the
    student tokenizer's, whatever the teacher's are.
    """

    id: str
    student_prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    response_text: str
    topk_ids: tuple[tuple[int, ...], ...]
    topk_logprobs: tuple[tuple[float, ...], ...]
    tail_mass: tuple[float, ...]
    manifest: tuple[ManifestEntry, ...]
    finish_reason: str
    teacher_tokens: int
    tokenizer_fingerprint: str


@dataclass(frozen=True, slots=True)
class AlignRequest:
    """Put an endpoint's answer into the student's tokens: T tokens as far as the endpoint named
    them, each with its alternatives.

    A token has an id (-1: not told) and its bytes in hex (empty: not told). The tokens may begin
    before `response` and end behind it: those that spell it are looked for from the end.
    """

    id: str
    prompt: str
    raw: bool
    student_file: SourceFile | None
    response: str
    finish_reason: str
    token_ids: tuple[int, ...]
    token_bytes: tuple[str, ...]
    topk_ids: tuple[tuple[int, ...], ...]
    topk_bytes: tuple[tuple[str, ...], ...]
    topk_logprobs: tuple[tuple[float, ...], ...]
    written_tokens: int
    """As the endpoint counts them; 0 for a text that was given to it."""
    teacher_tokens: int
    manifest: tuple[ManifestEntry, ...]
