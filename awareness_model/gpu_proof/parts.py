"""What travels, as parts small enough for one carrying each, and put together again by digest.

    <out>/1/part  <out>/2/part …   one archive, cut evenly; beside each the same manifest.json
    <at>/model, <at>/data          what `join` makes of them where the last part has come

The archive holds the model's files, its weights as `weights.py` writes them, and the data. Nothing
is used whose digest is not the manifest's. Limits: a model of one safetensors file.
"""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from awareness_model.config import UserError, model_folder, model_identity
from awareness_model.gpu_proof import weights
from awareness_model.schema import write_atomic

MOST_BYTES = 45 << 20
"""Of a part."""
MANIFEST, PART, READY = "manifest.json", "part", "ready.json"
WEIGHTS, ENCODED = "model.safetensors", "weights"
MODEL, DATA = "model", "data"


def pack(
    out: Path,
    model: str,
    data: Mapping[str, bytes],
    about: Mapping[str, Any],
    most: int = MOST_BYTES,
) -> dict[str, Any]:
    """Write the parts at `out`, replacing what is there; return the manifest.

    Args:
        data: files by name.
        about: what else the manifest says.

    Raises:
        UserError: the model is no folder with one safetensors file.
    """
    folder = model_folder(model)
    if folder is None or not (folder / WEIGHTS).is_file():
        raise UserError(f"{model!r} is no folder with a {WEIGHTS}: run `make models`")
    aside = out.with_name(f".{out.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    archive = _archive(aside, folder, data)
    manifest = {
        **about,
        "model": model_identity(model),
        "weights": {
            "bytes": (folder / WEIGHTS).stat().st_size,
            "digest": _digest(folder / WEIGHTS),
        },
        "archive": _digest(archive),
        "parts": _cut(archive, aside, most),
    }
    for number in range(1, len(manifest["parts"]) + 1):
        _write(aside / str(number) / MANIFEST, manifest)
    archive.unlink()
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return manifest


def join(folders: Sequence[Path], at: Path) -> tuple[int, int]:
    """Take parts in; where all have come, make model and data of them.

    Returns how many parts are there, and of how many. Raises UserError where one is damaged or of
    another archive.
    """
    at.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        _take(folder, at)
    manifest = _read(at / MANIFEST, "give it a folder that `pack` made")
    there = [at / f"{PART}-{n}" for n in range(1, len(manifest["parts"]) + 1)]
    if (at / READY).is_file():
        return len(there), len(there)
    if not all(one.is_file() for one in there):
        return sum(one.is_file() for one in there), len(there)
    _open(at, there, manifest)
    return len(there), len(there)


def ready(at: Path) -> dict[str, Any]:
    """Return the manifest of what was put together at `at`. Raises UserError: parts are missing."""
    return _read(at / READY, "bring every part with `join` first")


def _archive(aside: Path, folder: Path, data: Mapping[str, bytes]) -> Path:
    encoded = aside / ENCODED
    with encoded.open("wb") as file:
        weights.encode(folder / WEIGHTS, file)
    beside = [one for one in sorted(folder.iterdir()) if one.is_file() and one.name != WEIGHTS]
    target = aside / "archive"
    with tarfile.open(target, "w") as made:
        for one in beside:
            _add(made, f"{MODEL}/{one.name}", one)
        _add(made, ENCODED, encoded)
        for name, content in sorted(data.items()):
            (aside / DATA).write_bytes(content)
            _add(made, f"{DATA}/{name}", aside / DATA)
    encoded.unlink()
    (aside / DATA).unlink(missing_ok=True)
    return target


def _add(made: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file under a name; nothing else of it goes along."""
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    with path.open("rb") as file:
        made.addfile(entry, file)


def _cut(archive: Path, out: Path, most: int) -> list[dict[str, Any]]:
    size = archive.stat().st_size
    count = -(-size // most)
    each = -(-size // count)
    told = []
    with archive.open("rb") as file:
        for number in range(1, count + 1):
            path = out / str(number) / PART
            path.parent.mkdir()
            path.write_bytes(file.read(each))
            told.append({"bytes": path.stat().st_size, "digest": _digest(path)})
    return told


def _take(folder: Path, at: Path) -> None:
    """Copy a part whose digest is right."""
    manifest = _read(folder / MANIFEST, "that is no folder that `pack` made")
    here = at / MANIFEST
    if here.is_file() and json.loads(here.read_bytes()) != manifest:
        raise UserError(f"{folder} is of another archive than what is at {at}: name another folder")
    name = _digest(folder / PART)
    numbers = [n for n, one in enumerate(manifest["parts"], 1) if one["digest"] == name]
    if not numbers:
        raise UserError(f"{folder / PART} is damaged (digest differs): carry it again")
    for number in numbers:
        aside = at / f".{PART}"
        shutil.copyfile(folder / PART, aside)
        aside.rename(at / f"{PART}-{number}")
    _write(here, manifest)


def _open(at: Path, there: Iterable[Path], manifest: Mapping[str, Any]) -> None:
    archive = at / "archive"
    with archive.open("wb") as file:
        for one in there:
            with one.open("rb") as part:
                shutil.copyfileobj(part, file, 1 << 20)
    if _digest(archive) != manifest["archive"]:
        raise UserError(f"the parts at {at} make no whole archive: carry them again")
    with tarfile.open(archive) as held:
        held.extractall(at, filter="data")
    with (at / ENCODED).open("rb") as source, (at / MODEL / WEIGHTS).open("wb") as file:
        weights.decode(source, file)
    if _digest(at / MODEL / WEIGHTS) != manifest["weights"]["digest"]:
        raise UserError("the weights are not those that were packed (digest differs)")
    if model_identity(str(at / MODEL)) != manifest["model"]:
        raise UserError("the model is not the one that was packed (identity differs)")
    archive.unlink()
    (at / ENCODED).unlink()
    _write(at / READY, manifest)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, advice: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no {path.name} at {path.parent}: {advice}") from None
    return found


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    write_atomic(path, (json.dumps(manifest, indent=1) + "\n").encode())
