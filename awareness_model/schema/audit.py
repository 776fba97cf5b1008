"""How likely a text is behind one reading or another: requests of an audit and their answers.

The readings of a request share the text and differ in what stands before it. Limits: likelihoods
under one model, compared within a request and never across requests.
"""

from dataclasses import dataclass

from awareness_model.schema.asking import SourceFile


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is scored behind: a prompt, with files before it or without."""

    name: str
    """`own`, `same` (of another commit of the repository) or `other` (of another repository)."""
    prompt: str
    files: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """Ask how likely a text is behind each of its readings; `own` is one of them.

    With files, every reading gets as many tokens of them as the one that has fewest, at most
    `max_context_tokens`, so that only what is read differs and not how much.
    """

    id: str
    kind: str
    """`prompt`: the readings differ in the prompt; `context`: in the files."""
    group: str
    """What is compared within a kind: the style of the prompts, or a trace's target."""
    repo_id: int
    sha: str
    text: str
    readings: tuple[Reading, ...]
    max_text_tokens: int
    """The text's first tokens are scored."""
    max_prompt_tokens: int
    """A longer prompt is cut in its middle."""
    max_context_tokens: int


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """What one reading makes of a text."""

    id: str
    """`<request id>:<reading>`."""
    nats: float
    """−log likelihood of the text, all its scored tokens together."""
    tokens: int
    """Tokens of the text that were scored."""
    read: int
    """Tokens before it."""
