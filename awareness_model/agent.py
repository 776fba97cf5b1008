"""agent: a folder in memory, and a model that uses it: `python -m awareness_model.agent`.

    index PATH · ask QUESTION · edit INSTRUCTION --file F · remember TEXT · watch PATH · memory WHAT

The root is `--root`, else the nearest folder upwards that has a memory. Answers go to stdout,
progress to stderr. Exit status 2 with one line on a user's error. Limits: each command loads the
model (about two seconds for SmolLM2-135M); `serve` keeps it.
"""

import argparse
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from awareness_model.config import UserError, default_device, default_model, model_folder
from awareness_model.schema import LAYOUTS

if TYPE_CHECKING:
    from awareness_model.loaded import Loaded
    from awareness_model.memory.live import Changes, LiveMemory
    from awareness_model.reading import Answer

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
WHAT = ("ls", "scopes", "versions", "gc")
SHOWN = 6
"""Citations printed beside an answer."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(prog="python -m awareness_model.agent")
    commands = made.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, **first: Any) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text)
        one.add_argument("about", **first)
        one.add_argument("--memory", help="the store's folder or URL (default: PATH/.awareness)")
        one.add_argument("--json", action="store_true", help="print JSON for machines")
        if name != "memory":
            add_model(one)
        if name not in ("index", "watch"):
            one.add_argument("--root", type=Path, help="the folder (default: the nearest indexed)")
        return one

    command("index", "encode what is new in a folder", type=Path)
    command("watch", "index, then follow every change", type=Path)
    command("remember", "keep a text about the user")
    asking = command("ask", "answer a question from memory")
    asking.add_argument("--file", help="a file whose text goes into the prompt")
    editing = command("edit", "change one file")
    editing.add_argument("--file", required=True, help="the file to change")
    editing.add_argument("--apply", action="store_true", help="write it; else only show")
    for one in (asking, editing):
        one.add_argument("--scope", default="**", help="a glob, or a named scope")
        one.add_argument("--max-tokens", type=int, default=256, help="of the answer")
    looking = command("memory", "what is in memory", choices=WHAT)
    looking.add_argument("--scope", default="**", help="a glob, or a named scope")
    looking.add_argument("--older-than", type=float, default=24.0, help="gc: hours to keep")
    return made


def add_model(one: argparse.ArgumentParser) -> None:
    """Add the options that choose a model."""
    one.add_argument("--model", default=default_model(), help="folder or hub id")
    one.add_argument("--device", default=default_device())
    one.add_argument("--layout", choices=LAYOUTS, default="kv")
    one.add_argument(
        "--reader",
        type=Path,
        help="a trained reader's folder; kv: `none` for untrained (default: the package's)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 2 with one line on a user's error, 130 on Ctrl-C."""
    args = parser().parse_args(argv)
    commands = {
        "index": _index, "watch": _watch, "remember": _remember, "ask": _ask, "edit": _edit,
        "memory": _memory,
    }  # fmt: skip
    try:
        commands[args.command](args)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _loaded(args: argparse.Namespace) -> "Loaded":
    model_folder(args.model)  # what is missing is said before torch is loaded
    from awareness_model.loaded import load

    return load(args.model, args.device, args.layout, args.reader)


def _opened(args: argparse.Namespace, root: Path | None = None) -> tuple["Loaded", "LiveMemory"]:
    """Find the folder before the model is loaded: what is wrong is said at once."""
    from awareness_model import home

    place = root or (home.find_root(Path()) if args.root is None else args.root)
    if root is not None:
        home.make_home(root)
    model = _loaded(args)
    return model, home.open_memory(place, model, args.memory)


def _index(args: argparse.Namespace) -> None:
    _, memory = _opened(args, args.about)
    begun = time.perf_counter()
    done = memory.index(_say)
    _tell_changes(done, args.json, time.perf_counter() - begun)


def _say(done: int, total: int) -> None:
    ends = "\n" if done == total or not sys.stderr.isatty() else "\r"
    print(f"encoded {done}/{total}", end=ends, file=sys.stderr, flush=True)


def _watch(args: argparse.Namespace) -> None:
    _, memory = _opened(args, args.about)
    stop = Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    print(f"watching {memory.root}: Ctrl-C ends it", file=sys.stderr, flush=True)
    memory.watch(stop, lambda done: _tell_changes(done, args.json))


def _remember(args: argparse.Namespace) -> None:
    from awareness_model import home

    _, memory = _opened(args)
    _tell_changes(home.remember(memory, args.about), args.json)


def _ask(args: argparse.Namespace) -> None:
    from awareness_model.conversation import Message
    from awareness_model.reading import Asked, answer
    from awareness_model.writing import Style

    model, memory = _opened(args)
    style = Style(max_new_tokens=_tokens(args))
    asked = Asked([Message("user", args.about)], args.scope, args.file, style=style)
    if args.json:
        print(json.dumps(dataclasses.asdict(answer(asked, model, memory)), ensure_ascii=False))
        return
    found = answer(asked, model, memory, lambda text: print(text, end="", flush=True))
    print("\n")
    _tell_cited(found)


def _tell_cited(found: "Answer") -> None:
    from awareness_model.citing import by_document

    print(f"read, by attention mass ({found.on_memory:.0%} of the attention was on memory):")
    for path, mass in list(by_document(found.cited).items())[:SHOWN]:
        print(f"  {mass:6.1%}  {path}")
    for one in [one for one in found.cited if one.lines][:1]:
        assert one.lines is not None
        print(f"most in one place: {one.path}, lines {one.lines[0]} to {one.lines[1]}")


def _edit(args: argparse.Namespace) -> None:
    from awareness_model.editing import apply, propose
    from awareness_model.reading import answer

    tokens = _tokens(args)
    model, memory = _opened(args)
    made = propose(
        args.about,
        args.file,
        memory,
        lambda asked: answer(asked, model, memory),
        args.scope,
        tokens,
    )
    changes = apply(made, memory) if args.apply else None
    if args.json:
        print(json.dumps({"path": made.path, "diff": made.diff, "applied": args.apply}))
        return
    print(made.diff, end="")
    if changes is None:
        print("not applied: add --apply", file=sys.stderr)
    else:
        _tell_changes(changes, as_json=False)


def _tell_changes(done: "Changes", as_json: bool, seconds: float | None = None) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(done), ensure_ascii=False), flush=True)
        return
    parts = {
        "encoded": len(done.encoded),
        "renamed": len(done.renamed),
        "removed": len(done.removed),
        "known already": len(done.named),
        "unchanged": done.kept,
    }
    told = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
    took = "" if seconds is None else f" in {seconds:.1f} s"
    print(f"{told or 'nothing to remember here'}{took}", flush=True)
    for path, reason in sorted((done.left_out or {}).items()):
        print(f"left out: {path!r}: {reason}", file=sys.stderr, flush=True)


def _memory(args: argparse.Namespace) -> None:
    from awareness_model import home, listing

    root = args.root or home.find_root(Path())
    store = home.open_store(root, args.memory)
    tell = {
        "ls": lambda: listing.documents(store, args.scope),
        "scopes": lambda: listing.scopes(store),
        "versions": lambda: listing.versions(store),
        "gc": lambda: listing.collect(store, args.older_than),
    }
    rows = tell[args.about]()
    if args.json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        print("\n".join(listing.lines(rows)))


def _tokens(args: argparse.Namespace) -> int:
    if args.max_tokens < 1:
        raise UserError("--max-tokens is at least 1")
    return int(args.max_tokens)


if __name__ == "__main__":
    raise SystemExit(main())
