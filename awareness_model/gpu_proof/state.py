"""What stages leave, brought away from a machine that goes, and laid out again on the next one.

    state-G-1, state-G-2 …   one archive of the work folder, cut: at most 15 MiB each
    state.json               which of them count, their digests, and where every stage stands

A machine gives back few files of bounded size, and may be stopped at any moment: an archive is
written under a number G of its own, `state.json` last, older numbers removed then. Names that begin
with a dot (files being written) stay behind. Limits: one writer; links are not followed.
"""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from awareness_model.config import UserError
from awareness_model.schema import write_atomic

PIECE_BYTES = 15 << 20
INDEX = "state.json"
SAVES = "saves"
"""File of the work folder that counts its saves, on whatever machines they were made."""


def save(work: Path, out: Path, standing: Mapping[str, Any]) -> list[Path]:
    """Write the work folder's state at `out`; return its files."""
    made = _number(work) + 1
    write_atomic(work / SAVES, str(made).encode())
    data = _archived(work)
    out.mkdir(parents=True, exist_ok=True)
    pieces: list[dict[str, str]] = []
    for start in range(0, len(data), PIECE_BYTES):
        piece, name = data[start : start + PIECE_BYTES], f"state-{made}-{len(pieces) + 1}"
        write_atomic(out / name, piece)
        pieces.append({"name": name, "digest": hashlib.sha256(piece).hexdigest()})
    index = {"number": made, "pieces": pieces, "standing": standing}
    write_atomic(out / INDEX, (json.dumps(index, indent=1) + "\n").encode())
    kept = [out / one["name"] for one in pieces]
    for old in sorted(set(out.glob("state-*")) - set(kept)):
        old.unlink()
    return [*kept, out / INDEX]


def restore(source: Path, work: Path) -> bool:
    """Lay the state at `source` out as the work folder, if there is none yet.

    Returns whether it did. Raises UserError where the state is damaged.
    """
    if work.exists() or not (source / INDEX).is_file():
        return False
    data = b"".join(_pieces(source))
    aside = work.with_name(f".{work.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as held:
        held.extractall(aside, filter="data")
    aside.rename(work)
    return True


def keep(source: Path, to: Path) -> Mapping[str, Any]:
    """Copy a whole state, replacing the one at `to`; return where its stages stand.

    Raises:
        UserError: there is none, it is damaged, or it is older than the one at `to`.
    """
    index, before = _index(source), _index(to)
    if not index:
        raise UserError(f"no {INDEX} at {source}: name the folder in which the files came back")
    if index["number"] < before.get("number", 0):
        raise UserError(f"the state at {to} is newer than the one at {source}: not replaced")
    pieces = _pieces(source)
    aside = to.with_name(f".{to.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for one, piece in zip(index["pieces"], pieces, strict=True):
        (aside / one["name"]).write_bytes(piece)
    (aside / INDEX).write_bytes((source / INDEX).read_bytes())
    shutil.rmtree(to, ignore_errors=True)
    aside.rename(to)
    return standing(to)


def standing(source: Path) -> dict[str, Any]:
    """Return where every stage stood when the state was written; nothing without one."""
    found: dict[str, Any] = _index(source).get("standing", {})
    return found


def _index(source: Path) -> dict[str, Any]:
    path = source / INDEX
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _number(work: Path) -> int:
    return int((work / SAVES).read_bytes()) if (work / SAVES).is_file() else 0


def _pieces(source: Path) -> list[bytes]:
    made = []
    for one in _index(source)["pieces"]:
        path = source / one["name"]
        piece = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(piece).hexdigest() != one["digest"]:
            raise UserError(f"{path} is damaged or missing (digest differs): bring it again")
        made.append(piece)
    return made


def _archived(work: Path) -> bytes:
    """Return the files below a folder as a tar.gz that depends on names and contents alone."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1) as made:
        for path in sorted(work.rglob("*")):
            name = path.relative_to(work)
            if any(part.startswith(".") for part in name.parts) or not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # replaced by a newer one at this moment
                continue
            entry = tarfile.TarInfo(name.as_posix())
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return held.getvalue()
