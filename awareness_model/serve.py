"""serve: memories behind OpenAI's chat completions: `python -m awareness_model.serve PATH…`.

Each PATH is a folder, indexed here first and then followed: the next answer sees an edit, and
stderr tells of it (`--no-watch`: indexed only). Its memory is named by the folder's name, or as in
`NAME=PATH`. Loopback unless `--host` says otherwise, and then only with a token in
AWARENESS_SERVE_TOKEN. SIGTERM and Ctrl-C end it after the answer in hand. Limits: HTTP without TLS
(a proxy's work); one process, one model.
"""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from awareness_model.agent import INTERRUPTED, add_model
from awareness_model.config import UserError, model_folder

if TYPE_CHECKING:
    from awareness_model.loaded import Loaded
    from awareness_model.memory.live import Changes, LiveMemory
    from awareness_model.service.app import Service

MOST_CONNECTIONS = 64


def folders(given: Sequence[str]) -> dict[str, Path]:
    """Return folders by the names of their memories.

    Raises:
        UserError: no such folder, or two of one name.
    """
    found: dict[str, Path] = {}
    for one in given:
        name, _, path = one.rpartition("=")
        place = Path(path).expanduser()
        if not place.is_dir():
            raise UserError(f"{path} is not a folder: name one whose files are to be remembered")
        name = name or place.resolve().name
        if name in found:
            raise UserError(f"two memories are called {name!r}: write NAME=PATH")
        found[name] = place
    return found


def memories(model: "Loaded", places: dict[str, Path]) -> dict[str, "LiveMemory"]:
    """Open and index the memories of folders."""
    from awareness_model import home

    opened = {}
    for name, place in places.items():
        home.make_home(place)
        opened[name] = memory = home.open_memory(place, model)
        done = memory.index()
        print(f"{name}: {len(done.encoded)} encoded, {done.kept} unchanged", file=sys.stderr)
    return opened


def tell(name: str, done: "Changes") -> None:
    """Say what changed in a memory."""
    parts = {"encoded": done.encoded, "renamed": done.renamed, "removed": done.removed}
    told = ", ".join(f"{len(ones)} {what}" for what, ones in parts.items() if ones)
    if told:
        print(f"{name}: {told}", file=sys.stderr, flush=True)
    for path, reason in sorted((done.left_out or {}).items()):
        print(f"{name}: left out: {path!r}: {reason}", file=sys.stderr, flush=True)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: the address is in use, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def run(service: "Service", listener: socket.socket) -> None:
    """Serve until told to stop."""
    import uvicorn

    from awareness_model.service.app import application

    settings = uvicorn.Config(
        application(service),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=10,
    )
    uvicorn.Server(settings).run(sockets=[listener])


def main(argv: Sequence[str] | None = None) -> int:
    """Serve. Exit status 2 with one line on a user's error, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.serve")
    parser.add_argument("paths", nargs="+", help="folders, or NAME=FOLDER")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8321)
    parser.add_argument("--no-history", action="store_true", help="note no answers")
    parser.add_argument("--no-watch", action="store_true", help="do not follow changes")
    add_model(parser)
    args = parser.parse_args(argv)
    try:
        _serve(args)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _serve(args: argparse.Namespace) -> None:
    from awareness_model.service.guard import TOKEN, checked_host

    token = os.environ.pop(TOKEN, None) or None
    host = checked_host(args.host, token)
    places = folders(args.paths)
    model_folder(args.model)
    with bound(host, args.port) as listener:
        from awareness_model.loaded import load
        from awareness_model.service.app import Service

        model = load(args.model, args.device, args.layout, args.reader)
        name = Path(args.model).name if Path(args.model).is_dir() else args.model
        service = Service(name, model, memories(model, places), token)
        service.history = not args.no_history
        service.told = None if args.no_watch else tell
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {name} on http://{shown}:{listener.getsockname()[1]}/", file=sys.stderr)
        sys.stderr.flush()
        run(service, listener)


if __name__ == "__main__":
    raise SystemExit(main())
