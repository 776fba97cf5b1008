"""Settings of the stages that ask a language model, reverse and distil, and of who answers them.

Limits: token counts are the answering model's, and estimated where the pipeline must count itself
(`teacher/room.py`); the model on this machine is `Settings.model`, no part of `Teacher`.
"""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from awareness_pipeline.config.fingerprint import RUN_ONLY


@dataclass(frozen=True, slots=True)
class Reverse:
    """Which commits the language model turns into task prompts."""

    max_commits: int = 1_000
    """Over the whole version, dealt evenly to the shards and their repositories."""
    at_a_time: int = 2
    """Commits dealt to a repository at a time: with two or more, prompts of one repository can be
    told from one another."""
    styles: tuple[str, ...] = ("issue", "imperative", "terse")
    """Every commit is asked about in each; the cleaned message is a style that is always there."""
    max_prompt_tokens: int = 1_600
    max_new_tokens: int = 256
    """Of an issue; the other styles end sooner."""
    judge: bool = False
    """Have the model rate what the gate accepts, from 1 to 5."""
    min_judge: float = 3.0


@dataclass(frozen=True, slots=True)
class Distil:
    """What the teacher reads and answers."""

    max_traces: int = 1_000
    """Traces of tasks over the whole version, dealt evenly to the shards and their repositories."""
    max_reconstruction: int = 10_000
    """Rows made without the teacher's writing: spans of code that another file decides."""
    max_state: int = 2_000
    """Likewise, for questions over successive trees whose answer an edit changes."""
    target: str = "teacher"
    """What a task's traces answer with: `teacher`, its own answer; `commit`, the true diff, along
    which the teacher is forced; `both`."""
    edit_form: str = "search-replace"
    """How a true diff is written: `search-replace` or `unified`."""
    styles: tuple[str, ...] = ("issue", "imperative", "terse", "message")
    """Styles of the tasks that are answered; different commits come before further styles."""
    multi_hop_only: bool = False
    """Answer only tasks that need two files beyond those that their diff touches."""
    max_context_tokens: int = 1_024
    max_new_tokens: int = 96
    max_response_tokens: int = 1_024
    """A true diff that is longer is left out; estimated rather too high (`teacher/room.py`)."""
    max_student_bytes: int = 2_000
    """Of the file that a task names, for the student's prompt: whole lines from its beginning."""
    top_k: int = 32
    """Alternatives per token; an endpoint may allow fewer."""
    max_file_bytes: int = 64_000
    state_trees: int = 24
    """Newest trees of a repository's first-parent line that are compared."""


def _run_name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who answers chat requests: the model on this machine, or an OpenAI-compatible endpoint.

    What a run may spend counts from zero for each command: `run` names its ledger file.
    """

    url: str = field(default="", metadata=RUN_ONLY)
    """API root such as `http://127.0.0.1:8000/v1`; empty: `Settings.model`, on this machine."""
    model: str = ""
    """Its name at the endpoint."""
    revision: str = ""
    """What tells one state of that model from the next; another revision is asked anew."""
    key: str = field(default="", repr=False, metadata=RUN_ONLY)
    prefill: bool = False
    """The endpoint goes on from a last assistant turn, so an answer's opening can be forced."""
    parameters: str = ""
    """JSON object merged into every payload; null removes a field. For vLLM's own token ids:
    `{"return_tokens_as_token_ids": true}`."""
    top_logprobs: int = 20
    """Most alternatives per token that the endpoint gives."""
    prompt_logprobs: int = 0
    """Most alternatives per token of a given text (vLLM: `--max-logprobs`); 0: it gives none, and
    cannot be forced along a text."""
    concurrency: int = field(default=8, metadata=RUN_ONLY)
    requests_per_minute: float = field(default=0.0, metadata=RUN_ONLY)
    """0: no limit of ours."""
    tokens_per_minute: float = field(default=0.0, metadata=RUN_ONLY)
    timeout_s: float = field(default=600.0, metadata=RUN_ONLY)
    """For one try, from the first byte sent to the last one read."""
    deadline_s: float = field(default=3600.0, metadata=RUN_ONLY)
    """For one request with all its tries and waits."""
    price_in: float = field(default=0.0, metadata=RUN_ONLY)
    """Currency units per million prompt tokens; `price_out`: per million of the answer."""
    price_out: float = field(default=0.0, metadata=RUN_ONLY)
    max_cost: float | None = field(default=None, metadata=RUN_ONLY)
    max_tokens: int | None = field(default=None, metadata=RUN_ONLY)
    cache: Path | None = field(default=None, metadata=RUN_ONLY)
    """Replaces `<root>/teacher`: answers and ledger."""
    run: str = field(default_factory=_run_name, repr=False, compare=False, metadata=RUN_ONLY)
