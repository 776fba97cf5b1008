"""Settings: one frozen tree, and the recipes that fill it: `demo()`, `pilot()`, `full()`.

A recipe is a function that returns a whole configuration; environment variables (and `.env`)
replace where things live and who answers, never what a stage does. A field marked `run_only` says
how fast or where, so it stays out of every fingerprint; all other fields of a stage's section are
part of its identity (see `artifacts.py`).
"""

import json
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from awareness_model.config import LOCAL_MODEL, UserError, default_device, default_model

__all__ = ["LOCAL_MODEL", "UserError"]

PROJECT = Path(__file__).resolve().parent.parent
RUN_ONLY = {"run_only": True}
GITHUB = "https://api.github.com"
TASK_STYLES = ("imperative",)
BYTES_PER_TOKEN = 3.5
"""Estimate for source code, where no tokenizer is at hand."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where outputs live. Two folders can be moved alone; the catalog may be a database URL."""

    root: Path = Path("data")
    repos: Path | None = None
    """Replaces `<root>/clones`."""
    commits: Path | None = None
    """Replaces `<root>/commits`."""
    database: str = field(default="", repr=False)
    """SQLite path or PostgreSQL URL, which may hold a password; empty: `<root>/crawl_state.db`."""

    def artifact(self, name: str) -> Path:
        """Return the folder that holds every version of an artifact."""
        moved = {"clones": self.repos, "commits": self.commits}.get(name)
        return moved or self.root / name

    @property
    def database_url(self) -> str:
        """Return the catalog's SQLAlchemy URL."""
        chosen = self.database or str(self.root / "crawl_state.db")
        return chosen if "://" in chosen else f"sqlite:///{Path(chosen).absolute()}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where repositories come from: GitHub's API as `url` stands, or a local folder."""

    url: str = GITHUB
    tokens: tuple[str, ...] = field(default=(), repr=False, metadata=RUN_ONLY)
    search_interval_s: float = field(default=0.0, metadata=RUN_ONLY)
    """Seconds between searches; 0: 2.5 with a token, 6 without (GitHub's 30 and 10 a minute)."""
    local: Path | None = None
    """A folder of git repositories; set, it replaces GitHub."""
    listing: Path | None = field(default=None, metadata=RUN_ONLY)
    """A file of names (`owner/name` or URL, one a line); set, it replaces the search."""

    @property
    def host(self) -> str:
        """Return the first half of a repository's identity. The port is no part of it."""
        return "local" if self.local else (urlsplit(self.url).hostname or "")

    @property
    def git_url(self) -> str:
        """Return the root of clone URLs, derived from the API root and never from an API reply:
        `https://github.com` for GitHub, `https://HOST` for `https://HOST/api/v3`."""
        if self.url.rstrip("/") == GITHUB:
            return "https://github.com"
        return re.sub(r"/api(/v3)?/?$", "", self.url)


@dataclass(frozen=True, slots=True)
class Discover:
    """Which repositories to look for."""

    languages: tuple[str, ...] = ()
    """Languages asked for; empty: every language of the tiers included."""
    min_stars: int = 50
    """Least stars in the mainstream tier; niche asks for at most 20, emerging for at most 10."""
    include_niche: bool = True
    include_emerging: bool = True
    target: int = field(default=100_000, metadata=RUN_ONLY)
    """Stop asking once so many repositories are found; as many at most are cloned."""
    cap_per_language: int = field(default=0, metadata=RUN_ONLY)
    """Stop asking for a language once so many of it are found; 0: no cap."""
    sampling: str = field(default="stars", metadata=RUN_ONLY)
    """Which `target` of the repositories found are cloned: `stars` or `stratified`."""
    seed: int = field(default=0, metadata=RUN_ONLY)
    """Of the stratified choice."""
    mode: str = field(default="resume", metadata=RUN_ONLY)
    """`resume` asks what was not asked yet, `refresh` everything again, `incremental` what was
    pushed since."""


@dataclass(frozen=True, slots=True)
class Clone:
    """How repositories are fetched."""

    max_size_kb: int = 2_000_000
    max_blob_bytes: int = 0
    """Leave out files of this size and more, whose changes become `omitted`; 0: none."""
    concurrency: int = field(default=10, metadata=RUN_ONLY)
    timeout_s: float = field(default=3600.0, metadata=RUN_ONLY)
    order: str = field(default="stars", metadata=RUN_ONLY)
    """`stars` or `random`."""
    disk_budget_gb: float = field(default=0.0, metadata=RUN_ONLY)
    """Most that the clones of a version may take together; 0: no bound."""
    min_free_gb: float = field(default=1.0, metadata=RUN_ONLY)
    """Free space on the disk below which nothing is fetched."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What of a history becomes commit rows."""

    max_commits: int = 0
    """Newest commits per repository; 0: all."""
    max_file_diff_bytes: int = 1_000_000
    max_commit_diff_bytes: int = 4_000_000
    merges: str = "label"
    """`label`: merges are rows without a diff; `first-parent`: with the diff to their first parent,
    which is the whole branch that they bring in."""
    plain: bool = False
    """Write `.jsonl` instead of `.jsonl.zst`."""
    workers: int = field(default=2, metadata=RUN_ONLY)


@dataclass(frozen=True, slots=True)
class Curate:
    """Which commits go on, and how repositories are split."""

    held_out_fraction: float = 1 / 3
    """Share of repositories kept from training, by a stateless hash: a split never moves."""
    near_duplicate: float = 0.7
    """Jaccard similarity of two patches from which one of them goes (BigCode's threshold)."""
    shared_commits: float = 0.1
    """Share of the smaller repository's commits, the same or nearly so, that keeps two
    repositories on one side of the split."""


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


@dataclass(frozen=True, slots=True)
class Audit:
    """What is scored as evidence that prompts and traces say something of their commits."""

    max_commits: int = 200
    """Commits whose prompts are compared, each in all its styles; over the whole version."""
    max_tasks: int = 100
    """Tasks whose traces are compared, each with all its targets."""
    max_text_tokens: int = 128
    """The first tokens of a diff or response that are scored."""
    max_prompt_tokens: int = 256
    """A longer prompt is cut in its middle."""
    max_context_tokens: int = 1_024
    """Of files, read before a response."""
    seed: int = 0
    """Of the pairing and of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Encode:
    """Which documents become memory."""

    layouts: tuple[str, ...] = ("kv", "latent")
    max_file_tokens: int = 8_000
    """Longer files are left out, with a reason. Tokens are estimated as bytes / 3.5."""
    max_repository_tokens: int = 100_000
    """Per repository and shard run; files beyond it are left out, with a reason."""

    @property
    def max_file_bytes(self) -> int:
        """Return the size up to which a file is read at all."""
        return int(self.max_file_tokens * BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Train:
    """How the reader is trained. Names as in awareness_model.config.TrainingConfig."""

    steps: int = 2_000
    batch_size: int = 16
    learning_rate: float = 2e-3
    visible_documents: tuple[int, ...] = (1, 2, 4)
    visible_switch: tuple[float, ...] = (0.5, 0.8)
    max_prompt_tokens: int = 512
    """The prompt's last tokens that are read."""
    max_answer_tokens: int = 256
    """The answer's first tokens that are scored."""
    checkpoint_every: int = 50
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Evaluate:
    """What the memory is measured on."""

    max_items: int = 480
    visible_documents: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know."""

    recipe: str
    version: str
    """A name a person chose; part of every output path."""
    shards: int = 256
    model: str = field(default_factory=default_model)
    device: str = field(default_factory=default_device, metadata=RUN_ONLY)
    paths: Paths = field(default_factory=Paths, metadata=RUN_ONLY)
    source: Source = field(default_factory=Source)
    discover: Discover = field(default_factory=Discover)
    clone: Clone = field(default_factory=Clone)
    extract: Extract = field(default_factory=Extract)
    curate: Curate = field(default_factory=Curate)
    reverse: Reverse = field(default_factory=Reverse)
    distil: Distil = field(default_factory=Distil)
    teacher: Teacher = field(default_factory=Teacher)
    audit: Audit = field(default_factory=Audit)
    encode: Encode = field(default_factory=Encode)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)

    @property
    def shard_keys(self) -> tuple[str, ...]:
        """Return the partition keys of the sharded stages: `000`, `001`, …"""
        return tuple(f"{number:03d}" for number in range(self.shards))


def demo() -> Settings:
    """The whole flow at the smallest size that is real: minutes on two cores."""
    return Settings(
        recipe="demo",
        version="demo",
        shards=4,
        discover=Discover(languages=("Python", "JavaScript", "Go"), min_stars=10),
        extract=Extract(max_commits=40),
        reverse=Reverse(max_commits=16, max_prompt_tokens=640, max_new_tokens=56),
        distil=Distil(
            max_traces=32,
            target="both",
            max_reconstruction=120,
            max_state=24,
            max_response_tokens=512,
        ),
        audit=Audit(max_commits=16, max_tasks=6, max_text_tokens=64, max_context_tokens=384),
        encode=Encode(max_file_tokens=1_000, max_repository_tokens=900),
        train=Train(
            steps=40,
            batch_size=8,
            max_prompt_tokens=64,
            max_answer_tokens=32,
            checkpoint_every=10,
        ),
        evaluate=Evaluate(max_items=48),
    )


def pilot() -> Settings:
    """A day's work on one machine: ten thousand repositories."""
    return Settings(recipe="pilot", version="pilot", discover=Discover(target=10_000))


def full() -> Settings:
    """A hundred thousand repositories."""
    return Settings(recipe="full", version="full")


RECIPES: dict[str, Callable[[], Settings]] = {"demo": demo, "pilot": pilot, "full": full}


def load(recipe: str | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Return a recipe's settings with the environment (and `.env`) applied.

    Raises:
        UserError: unknown recipe, or a variable whose value cannot be read.
    """
    env = _environment() if env is None else env
    name = recipe or env.get("AWARENESS_RECIPE") or "pilot"
    if name not in RECIPES:
        raise UserError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    settings = RECIPES[name]()
    return replace(
        settings,
        version=env.get("AWARENESS_VERSION") or settings.version,
        model=env.get("AWARENESS_MODEL") or settings.model,
        device=env.get("DEVICE") or settings.device,
        paths=Paths(
            root=Path(env.get("AWARENESS_ROOT") or "data"),
            repos=_path(env, "AWARENESS_REPOS_PATH"),
            commits=_path(env, "AWARENESS_OUTPUT_PATH"),
            database=env.get("AWARENESS_DB_PATH") or "",
        ),
        source=Source(
            url=(env.get("AWARENESS_GITHUB_URL") or GITHUB).rstrip("/"),
            tokens=_tokens(env),
            search_interval_s=_number(env, "AWARENESS_SEARCH_INTERVAL_S", 0.0),
            local=_path(env, "AWARENESS_LOCAL"),
            listing=_path(env, "AWARENESS_FROM_FILE"),
        ),
        teacher=_teacher(env),
    )


def identity(section: Any) -> dict[str, Any]:
    """Return the part of a settings dataclass that belongs to a fingerprint, as plain JSON values.

    Raises:
        TypeError: a value with no stable form.
    """
    return {
        item.name: _stable(getattr(section, item.name), item.name)
        for item in fields(section)
        if not item.metadata.get("run_only")
    }


def _stable(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_stable(item, name) for item in value]
    raise TypeError(f"setting {name!r} has no stable form: {type(value).__name__}")


def _environment() -> dict[str, str]:
    """Return the process environment over what `.env` says."""
    from dotenv import dotenv_values

    found = {key: value for key, value in dotenv_values(".env").items() if value is not None}
    return {**found, **os.environ}


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None


def _tokens(env: Mapping[str, str]) -> tuple[str, ...]:
    given = ",".join(env.get(name, "") for name in ("GITHUB_TOKENS", "GITHUB_TOKEN"))
    return tuple(dict.fromkeys(token for part in given.split(",") if (token := part.strip())))


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        number = float(env.get(name) or default)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise UserError(f"{name} must be a number from 0 up, not {env[name]!r}")
    return number


def _teacher(env: Mapping[str, str]) -> Teacher:
    usual = Teacher()
    spend = _number(env, "AWARENESS_TEACHER_MAX_COST", 0.0)
    tokens = int(_number(env, "AWARENESS_TEACHER_MAX_TOKENS", 0.0))
    return replace(
        usual,
        url=(env.get("AWARENESS_TEACHER_URL") or "").rstrip("/"),
        model=env.get("AWARENESS_TEACHER_MODEL") or "",
        revision=env.get("AWARENESS_TEACHER_REVISION") or "",
        key=_teacher_key(env),
        prefill=env.get("AWARENESS_TEACHER_PREFILL", "") in ("1", "true", "yes"),
        parameters=_object(env, "AWARENESS_TEACHER_PARAMETERS"),
        top_logprobs=int(_number(env, "AWARENESS_TEACHER_TOP_LOGPROBS", usual.top_logprobs)),
        prompt_logprobs=int(_number(env, "AWARENESS_TEACHER_PROMPT_LOGPROBS", 0.0)),
        concurrency=max(1, int(_number(env, "AWARENESS_TEACHER_CONCURRENCY", usual.concurrency))),
        requests_per_minute=_number(env, "AWARENESS_TEACHER_RPM", 0.0),
        tokens_per_minute=_number(env, "AWARENESS_TEACHER_TPM", 0.0),
        timeout_s=_number(env, "AWARENESS_TEACHER_TIMEOUT_S", usual.timeout_s),
        price_in=_number(env, "AWARENESS_TEACHER_PRICE_IN", 0.0),
        price_out=_number(env, "AWARENESS_TEACHER_PRICE_OUT", 0.0),
        max_cost=spend or None,
        max_tokens=tokens or None,
        cache=_path(env, "AWARENESS_TEACHER_CACHE"),
    )


def _teacher_key(env: Mapping[str, str]) -> str:
    """Return the endpoint's key. OpenAI's own goes to OpenAI alone, whatever the URL says."""
    own, openai = (env.get(name) or "" for name in ("AWARENESS_TEACHER_KEY", "OPENAI_API_KEY"))
    theirs = r"https://([\w-]+\.)*openai\.com(:443)?(/.*)?"
    url = env.get("AWARENESS_TEACHER_URL") or ""
    return own or (openai if re.fullmatch(theirs, url, re.ASCII) else "")


def _object(env: Mapping[str, str], name: str) -> str:
    """Return a variable that holds a JSON object, in one form; empty if it is not set."""
    try:
        found = json.loads(env.get(name) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{name} must be a JSON object")
    return json.dumps(found, sort_keys=True) if found else ""
