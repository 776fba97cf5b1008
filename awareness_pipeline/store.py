"""Artifacts in an S3 bucket that workers on many machines share. The bucket has the truth.

    <store>/<artifact>/<version>/<partition>/<key>.record.json, <key>.<digest>, record.json

A worker's root is its own copy: before it works on a partition, what the stage reads is brought
there, what differs or is missing alone, and what the bucket lacks goes from it. A unit is sent when
it is finished, files before record, the partition's record at the end; what is removed (opt-outs,
`reprocess`) is removed in the bucket, record first. Killed anywhere, a rerun on any machine ends
with the same: half of a unit has no record, and goes when its partition is next worked on.

    <root>/.store                                   the bucket that this root is a copy of
    <root>/<artifact>/<version>/<partition>/.parcels/<key>.json   what was last seen there of a unit
    <root>/<artifact>/<version>/.<partition>.brought              the partition's record, by digest

Limits: who works on a partition is for `catalog.workers` to say. Files that no record names
(tensorboard, a training's checkpoints in hand, a teacher's answers) stay on their machine; so do
tries that a killed worker had not told the catalog. A copy that no run uses any more keeps what was
removed since: it can be deleted at any time.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from awareness_model.schema import write_atomic
from awareness_pipeline.artifacts import Place, Record, measure, parsed, read_record
from awareness_pipeline.bucket import Bucket, opened
from awareness_pipeline.config import Paths, UserError
from awareness_pipeline.locks import hold
from awareness_pipeline.parcels import (
    Damaged,
    Parcel,
    packed,
    read_parcel,
    receive,
    send,
    withdraw,
)

AT_ONCE: Final = 16
"""Requests under way at a time."""
RECORD: Final = "record.json"
_KEY: Final = re.compile(r"([A-Za-z0-9_-]+)\.record\.json")


@contextmanager
def copied(paths: Paths) -> Iterator[None]:
    """Have the root be this process's copy of the store while the block runs.

    Raises:
        UserError: the root holds outputs of its own, which would be removed; it is the copy of
            another store, or another worker's at this moment.
    """
    paths.root.mkdir(parents=True, exist_ok=True)
    with hold(paths.root / ".store.lock", wait=False) as held:
        if not held:
            raise UserError(
                f"another worker has {paths.root}: give each an AWARENESS_ROOT of its own"
            )
        mark = paths.root / ".store"
        said = _read(mark).decode().strip()
        if said and said != paths.store:
            raise UserError(f"{paths.root} is a copy of {said}: give each store a root of its own")
        homes = (*paths.root.glob("*"), paths.artifact("clones"), paths.artifact("commits"))
        if not said and any(next(home.glob(f"*/*/*{RECORD}"), None) for home in homes):
            raise UserError(f"{paths.root} holds outputs that the store lacks: use an empty folder")
        write_atomic(mark, f"{paths.store}\n".encode())
        yield


def publish(here: Place, key: str) -> None:
    """Send a finished unit."""
    path = here.folder / f"{key}.record.json"
    text = path.read_text(encoding="utf-8")
    parcel = packed(here.folder, text, parsed(text.encode()).files)
    send(opened(here.store), _home(here), key, here.folder, parcel)
    write_atomic(_seen(here, key), parcel.text)


def publish_partition(here: Place) -> None:
    """Remove units that are here no more, then send the partition's record."""
    bucket, home = opened(here.store), _home(here)
    there, kept = _keys(bucket.sizes(home)), _keys(path.name for path in here.folder.iterdir())
    for key in sorted(there - kept):
        withdraw(bucket, home, key)
    for path in _parcels(here):
        if path.stem not in kept:
            path.unlink()
    text = (here.folder / RECORD).read_bytes()
    if bucket.read(f"{home}/{RECORD}") != text:
        bucket.write(f"{home}/{RECORD}", text)
    write_atomic(_brought(here), _mark(text))


def forget(here: Place, keys: set[str] | None) -> set[str]:
    """Remove units, all or those named, from the bucket. Returns which were there."""
    bucket, home = opened(here.store), _home(here)
    found = _keys(bucket.sizes(home))
    chosen = found if keys is None else found & keys
    bucket.remove(f"{home}/{RECORD}")
    for key in sorted(chosen):
        withdraw(bucket, home, key)
        _seen(here, key).unlink(missing_ok=True)
    return chosen


def bring(here: Place, *, own: bool = False, whole: bool = True) -> None:
    """Make a partition's folder what the bucket has.

    Args:
        own: it will be worked on, and is held. Units that are damaged in the bucket are forgotten,
            so that they are done again; what no record names is removed there.
        whole: with all files; else with those alone that records name, which is a clone without
            its packs.

    Raises:
        UserError: the bucket cannot be asked, or what another stage made is damaged there.
    """
    bucket, home = opened(here.store), _home(here)
    here.folder.mkdir(parents=True, exist_ok=True)
    for leftover in here.folder.glob(".*.aside"):
        leftover.unlink()
    text = bucket.read(f"{home}/{RECORD}")
    texts = None if own else _as_before(here, text)
    if texts is None:
        _brought(here).unlink(missing_ok=True)
        texts = _texts(bucket, home, here, own=own)
    for key in sorted(_known(here) - texts.keys()):
        _drop(here, key)

    def one(item: tuple[str, bytes]) -> None:
        _bring_unit(bucket, here, *item, own=own, whole=whole)

    _each(one, sorted(texts.items()))
    _put_record(here, text)
    if text and not own:
        write_atomic(_brought(here), _mark(text))


def bring_records(places: Iterable[Place]) -> None:
    """Bring the records of partitions alone."""

    def one(here: Place) -> None:
        here.folder.mkdir(parents=True, exist_ok=True)
        _put_record(here, opened(here.store).read(f"{_home(here)}/{RECORD}"))

    _each(one, places)


def send_files(here: Place, key: str, names: Iterable[str]) -> None:
    """Send files of a folder that have no record of their own, as one."""
    marks = {name: measure(here.folder / name) for name in names}
    send(opened(here.store), _home(here), key, here.folder, Parcel("", marks))


def bring_files(here: Place, key: str, names: Iterable[str] | None = None) -> None:
    """Bring files that `send_files` sent, all or those named; none where there are none.

    Raises:
        Damaged: one is not there, or not what its digest says.
    """
    bucket, home = opened(here.store), _home(here)
    where = f"{home}/{key}.record.json"
    if text := bucket.read(where):
        parcel = read_parcel(text, where)
        chosen = parcel.files.keys() & set(parcel.files if names is None else names)
        receive(bucket, home, key, here.folder, parcel, chosen)


def _home(here: Place) -> str:
    return f"{here.artifact}/{here.version}/{here.partition}"


def _seen(here: Place, key: str) -> Path:
    return here.folder / ".parcels" / f"{key}.json"


def _parcels(here: Place) -> list[Path]:
    return sorted((here.folder / ".parcels").glob("*.json"))


def _brought(here: Place) -> Path:
    return here.folder.with_name(f".{here.partition}.brought")


def _mark(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).hexdigest().encode()


def _keys(names: Iterable[str]) -> set[str]:
    return {found[1] for name in names if (found := _KEY.fullmatch(name))}


def _known(here: Place) -> set[str]:
    """Return the keys of which anything was kept here."""
    return _keys(path.name for path in here.folder.iterdir()) | {p.stem for p in _parcels(here)}


def _each(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, items))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _as_before(here: Place, text: bytes | None) -> dict[str, bytes] | None:
    """Return what was seen of all units, if the partition is as it was then."""
    if not text or _read(_brought(here)) != _mark(text):
        return None
    seen = {path.stem: path.read_bytes() for path in _parcels(here)}
    return seen if seen.keys() == dict(_record(text, here.partition).inputs).keys() else None


def _record(text: bytes, where: str) -> Record:
    try:
        return parsed(text)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{where} in the store is no record; remove it to redo that work") from None


def _texts(bucket: Bucket, home: str, here: Place, *, own: bool) -> dict[str, bytes]:
    """Return the stored records of a partition's units."""
    sizes = bucket.sizes(home)
    found: dict[str, bytes] = {}

    def one(key: str) -> None:
        if text := bucket.read(f"{home}/{key}.record.json"):
            found[key] = text

    _each(one, sorted(_keys(sizes)))
    return _sound(bucket, home, found, sizes) if own else found


def _sound(
    bucket: Bucket, home: str, found: dict[str, bytes], sizes: dict[str, int]
) -> dict[str, bytes]:
    """Forget units that lack files in the bucket, and remove there what belongs to none."""
    kept: dict[str, bytes] = {}
    owned = {RECORD}
    for key, text in found.items():
        files = read_parcel(text, f"{home}/{key}").files.values()
        if all(sizes.get(f"{key}.{mark}") == size for size, mark in files):
            kept[key] = text
            owned |= {f"{key}.record.json", *(f"{key}.{mark}" for _, mark in files)}
        else:
            withdraw(bucket, home, key)
    _each(lambda name: bucket.remove(f"{home}/{name}"), sorted(sizes.keys() - owned))
    return kept


def _bring_unit(
    bucket: Bucket, here: Place, key: str, text: bytes, *, own: bool, whole: bool
) -> None:
    home, where = _home(here), f"{_home(here)}/{key}"
    parcel = read_parcel(text, where)
    record = _record(parcel.record.encode(), where)
    said = (record.artifact, record.version, record.partition, record.key)
    if said != (here.artifact, here.version, here.partition, key) or any(
        parcel.files.get(name) != mark for name, mark in record.files.items()
    ):
        raise UserError(f"{where} in the store is another unit's record; remove it")
    names = parcel.files if whole else record.files
    path = here.folder / f"{key}.record.json"
    as_seen = _read(_seen(here, key)) == text and _read(path) == parcel.record.encode()
    if as_seen and all(_has(here.folder / name, parcel.files[name][0]) for name in names):
        return
    path.unlink(missing_ok=True)
    try:
        receive(bucket, home, key, here.folder, parcel, names)
    except Damaged as damage:
        now = None if own else bucket.read(f"{where}.record.json")
        if now and now != text:
            # Its owner did it anew meanwhile, and removed what it replaced.
            _bring_unit(bucket, here, key, now, own=own, whole=whole)
            return
        if now:
            raise UserError(
                f"{damage}: `awareness run {here.artifact} --partition "
                f"{here.partition}` makes it again"
            ) from None
        if own:
            withdraw(bucket, home, key)
        _drop(here, key)
        return
    write_atomic(path, parcel.record.encode())
    write_atomic(_seen(here, key), text)


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _put_record(here: Place, text: bytes | None) -> None:
    """Have the partition's record as it is in the bucket; a file that is the same stays."""
    path = here.folder / RECORD
    if text is None:
        path.unlink(missing_ok=True)
    elif _read(path) != text:
        _record(text, f"{_home(here)}/{RECORD}")
        write_atomic(path, text)


def _drop(here: Place, key: str) -> None:
    """Remove a unit from the copy, its record first."""
    path, seen = here.folder / f"{key}.record.json", _seen(here, key)
    record, marks = read_record(path), _read(seen)
    path.unlink(missing_ok=True)
    names = set(record.files) if record else set()
    names |= set(read_parcel(marks, str(seen)).files) if marks else set()
    for top in {name.split("/")[0] for name in names}:
        if (here.folder / top).is_dir():
            shutil.rmtree(here.folder / top)
        else:
            (here.folder / top).unlink(missing_ok=True)
    seen.unlink(missing_ok=True)
