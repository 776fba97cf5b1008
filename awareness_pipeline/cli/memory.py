"""Commands about a folder's memory and the model that reads it: `index` to `serve`.

Each hands its process over to the model package (`python -m awareness_model.agent` or `.serve`), so
that signals, output and exit status are that program's own; this one never loads torch. Our tokens
and passwords stay behind. Limits: options are checked there, after its imports.
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from awareness_pipeline.cli.options import Json
from awareness_pipeline.config import LOCAL_MODEL, PROJECT
from awareness_pipeline.launch import PACKAGE, SECRETS

Folder = Annotated[Path, typer.Argument(help="The folder, such as a repository's work tree.")]
Store = Annotated[
    str | None, typer.Option("--memory", help="Folder or URL of the store (default: .awareness).")
]
Root = Annotated[
    Path | None, typer.Option(help="The indexed folder (default: the nearest one upwards).")
]
Scope = Annotated[
    str, typer.Option(help="What may be read: a glob, repository, user-profile, recent-history.")
]
Model = Annotated[
    str | None, typer.Option(help="Folder or hub id (default: AWARENESS_MODEL, else SmolLM2).")
]
Layout = Annotated[str, typer.Option(help="kv (needs no training) or latent.")]
Trained = Annotated[
    Path | None,
    typer.Option("--reader", help="A trained reader's folder; `none` reads kv untrained."),
]
MaxTokens = Annotated[int, typer.Option(help="Most tokens of the answer.")]


class What(StrEnum):
    """What `awareness memory` shows or does."""

    LS = "ls"
    SCOPES = "scopes"
    VERSIONS = "versions"
    GC = "gc"


def index(
    path: Folder,
    memory: Store = None,
    model: Model = None,
    layout: Layout = "kv",
    reader: Trained = None,
    as_json: Json = False,
) -> None:
    """Encode what is new in a folder into its memory; the rest is moved, kept or removed."""
    _agent("index", path, memory=memory, json=as_json, **_model(model, layout, reader))


def watch(
    path: Folder,
    memory: Store = None,
    model: Model = None,
    layout: Layout = "kv",
    reader: Trained = None,
    as_json: Json = False,
) -> None:
    """Index a folder, then follow every change until Ctrl-C."""
    _agent("watch", path, memory=memory, json=as_json, **_model(model, layout, reader))


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    file: Annotated[
        str | None, typer.Option(help="A file below the root; its text goes into the prompt.")
    ] = None,
    scope: Scope = "**",
    max_tokens: MaxTokens = 256,
    root: Root = None,
    memory: Store = None,
    model: Model = None,
    layout: Layout = "kv",
    reader: Trained = None,
    as_json: Json = False,
) -> None:
    """Answer a question from memory, and say by attention mass what was read."""
    given = {"file": file, "scope": scope, "max_tokens": max_tokens, "root": root}
    _agent("ask", question, memory=memory, json=as_json, **given, **_model(model, layout, reader))


def edit(
    instruction: Annotated[str, typer.Argument(help="What to change.")],
    file: Annotated[str, typer.Option(help="The file to change, below the root.")],
    apply: Annotated[bool, typer.Option("--apply", help="Write it; else only show it.")] = False,
    scope: Scope = "**",
    max_tokens: MaxTokens = 256,
    root: Root = None,
    memory: Store = None,
    model: Model = None,
    layout: Layout = "kv",
    reader: Trained = None,
    as_json: Json = False,
) -> None:
    """Have the model change one file by search and replace; refused unless it fits exactly."""
    given = {"file": file, "scope": scope, "max_tokens": max_tokens, "root": root, "apply": apply}
    about = {"memory": memory, "json": as_json, **_model(model, layout, reader)}
    _agent("edit", instruction, **given, **about)


def remember(
    text: Annotated[str, typer.Argument(help="What the model is to remember about you.")],
    root: Root = None,
    memory: Store = None,
    model: Model = None,
    layout: Layout = "kv",
    reader: Trained = None,
    as_json: Json = False,
) -> None:
    """Keep a text in the scope user-profile."""
    about = {"root": root, "memory": memory, "json": as_json, **_model(model, layout, reader)}
    _agent("remember", text, **about)


def memory(
    what: Annotated[What, typer.Argument(help="ls, scopes, versions, or gc: tidy up.")],
    scope: Scope = "**",
    older_than: Annotated[float, typer.Option(help="gc: keep so many hours of versions.")] = 24.0,
    root: Root = None,
    memory: Store = None,
    as_json: Json = False,
) -> None:
    """Show what is in memory, or tidy it up: merge files, index, remove what nothing needs."""
    given = {"scope": scope, "older_than": older_than, "root": root, "memory": memory}
    _agent("memory", what.value, json=as_json, **given)


def serve(
    paths: Annotated[list[str], typer.Argument(help="Folders to index and serve, or NAME=FOLDER.")],
    host: Annotated[str, typer.Option(help="Others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.", min=0, max=65535)] = 8321,
    no_history: Annotated[bool, typer.Option("--no-history", help="Note no answers.")] = False,
    no_watch: Annotated[bool, typer.Option("--no-watch", help="Do not follow changes.")] = False,
    model: Model = None,
    layout: Layout = "kv",
    reader: Trained = None,
) -> None:
    """Serve memories by OpenAI's chat completions, with a page; token: AWARENESS_SERVE_TOKEN."""
    given = {"host": host, "port": port, "no_history": no_history, "no_watch": no_watch}
    options = _options({**given, **_model(model, layout, reader)})
    _become("serve", [*options, "--", *paths])


def _model(model: str | None, layout: str, reader: Path | None) -> dict[str, object]:
    return {"model": model, "layout": layout, "reader": reader}


def _agent(command: str, about: object, **given: object) -> None:
    _become("agent", [command, *_options(given), "--", str(about)])


def _options(given: dict[str, object]) -> list[str]:
    """Return options as arguments, `--name=value`; None and False are left out."""
    found = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            found.append(flag)
        elif value is not None and value is not False:
            found.append(f"{flag}={value}")
    return found


def _become(entry: str, arguments: list[str]) -> None:
    """Replace this process by an entry point of the model package."""
    env = {name: value for name, value in os.environ.items() if name not in SECRETS}
    env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    local = PROJECT / LOCAL_MODEL
    if (local / "config.json").is_file():
        env.setdefault("AWARENESS_MODEL", str(local))
    command = [sys.executable, "-m", f"{PACKAGE}.{entry}", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, env)
