"""Checkpoints of a reader: only what trains, as safetensors, with a record that makes it exist.

    <folder>/gca.safetensors   the trained parameters, under their names in the decoder
    <folder>/record.json       step, settings, base model, digests: written last
    <folder>/engine/           AdamW's moments, only in checkpoints made to be resumed from

A folder is filled aside (`.<name>.aside`), synced and renamed, so a killed writer leaves nothing
that `latest` can see. Limits: local folders, one base model per checkpoint, no conversion between
placements: a checkpoint fits the base model and reading layers it was made for.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from awareness_model.config import DecoderConfig, UserError, model_identity
from awareness_model.schema import digest, write_atomic

WEIGHTS = "gca.safetensors"
RECORD = "record.json"
ENGINE = "engine"
STEP_DIGITS = 8
FORM = 2
"""Of record and files. 2: moments by the parameter's name; before, DeepSpeed's own files."""


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """What a checkpoint is and where it came from."""

    step: int
    """Optimizer steps taken."""
    model: str
    """Identity of the base model (`config.model_identity`)."""
    name: str
    """The base model as it was named: a folder or a hub id."""
    family: str
    layout: str
    placement: str
    reading_layers: tuple[int, ...]
    settings: Mapping[str, Any]
    """The training settings that decide the result, as plain JSON values."""
    data: str
    """Digest of the training samples."""
    digest: str
    """blake2b-128 of the weights' names, shapes and bytes."""
    form: int = FORM
    course: Mapping[str, Any] = field(default_factory=dict)
    """Where a curriculum stands (`training.curriculum.Course`); nothing for other trainings."""


class Trained(Protocol):
    """A decoder as a checkpoint sees it."""

    @property
    def config(self) -> DecoderConfig:
        """Its settings."""

    @property
    def family(self) -> str:
        """Its base model's family."""

    @property
    def placement(self) -> str:
        """The preset of its reading layers."""

    @property
    def reading_layers(self) -> tuple[int, ...]:
        """The layers that read."""

    def trainable_parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """What trains, by group and full name."""


def save(
    folder: Path,
    decoder: Trained,
    *,
    step: int,
    settings: Mapping[str, Any],
    data: str,
    engine: Callable[[Path], None] | None = None,
    leader: bool = True,
    course: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint at `folder`, replacing what is there.

    Args:
        engine: writes the optimizer's state into the folder it is given; every rank calls it.
        leader: this process writes the weights and the record (rank 0).
    """
    aside = folder.with_name(f".{folder.name}.aside")
    if leader:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    if engine:
        engine(aside / ENGINE)
    if not leader:
        return
    record = CheckpointRecord(
        step=step,
        model=model_identity(decoder.config.model_name),
        name=decoder.config.model_name,
        family=decoder.family,
        layout=decoder.config.layout,
        placement=decoder.placement,
        reading_layers=tuple(decoder.reading_layers),
        settings=settings,
        data=data,
        digest=_write_weights(aside / WEIGHTS, decoder),
        course=course or {},
    )
    write_atomic(aside / RECORD, (json.dumps(_plain(record), indent=1) + "\n").encode())
    _sync(aside)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def read_record(folder: Path) -> CheckpointRecord:
    """Return a checkpoint's record.

    Raises:
        UserError: no checkpoint is there, it is of another form, or its record cannot be read.
    """
    try:
        found = json.loads((folder / RECORD).read_bytes())
        if found.get("form") != FORM and "digest" in found:
            raise UserError(
                f"{folder} is a checkpoint of another form than this version reads: remove it, and "
                "train again"
            )
        return CheckpointRecord(**{**found, "reading_layers": tuple(found["reading_layers"])})
    except FileNotFoundError:
        raise UserError(f"no checkpoint at {folder}: train one first") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / RECORD} is damaged ({error}); train again") from None


def step_folder(root: Path, step: int) -> Path:
    """Return where the checkpoint of a step lives; names sort by step."""
    return root / f"{step:0{STEP_DIGITS}d}"


def latest(root: Path) -> Path | None:
    """Return the newest whole checkpoint under `root`, or None."""
    whole = sorted(path.parent for path in root.glob(f"[0-9]*/{RECORD}"))
    return whole[-1] if whole else None


def prune(root: Path, keep: int = 2) -> None:
    """Remove all but the newest checkpoints, and what killed writers left."""
    whole = sorted(path.parent for path in root.glob(f"[0-9]*/{RECORD}"))
    for folder in (*whole[: max(len(whole) - keep, 0)], *root.glob(".*.aside")):
        shutil.rmtree(folder)


def copy(source: Path, target: Path, *, bf16: bool = False) -> CheckpointRecord:
    """Write a checkpoint's weights and record at `target`, which is not there yet; never the
    optimizer's state. Returns the new record.

    Args:
        bf16: store projections in bfloat16; what is not a weight matrix stays as it is.

    Raises:
        UserError: no checkpoint at `source`, or it is damaged.
    """
    record, state = read_record(source), _read_weights(source)
    if bf16:
        state = {name: _halved(name, one) for name, one in state.items()}
    aside = target.with_name(f".{target.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    record = replace(record, digest=_write_state(aside / WEIGHTS, state))
    write_atomic(aside / RECORD, (json.dumps(_plain(record), indent=1) + "\n").encode())
    _sync(aside)
    aside.rename(target)
    return record


def load_gca(decoder: Trained, folder: Path) -> CheckpointRecord:
    """Put a checkpoint's weights into a decoder, in place.

    Raises:
        UserError: no checkpoint there; made for another base model or other reading layers; or the
            weights are not those the record tells of.
    """
    record = read_record(folder)
    if record.model != model_identity(decoder.config.model_name):
        raise UserError(f"{folder} was trained on another base model ({record.name!r})")
    if record.layout != decoder.config.layout:
        raise UserError(f"{folder} reads {record.layout} memory, not {decoder.config.layout}")
    if record.reading_layers != tuple(decoder.reading_layers):
        raise UserError(
            f"{folder} reads memory in layers {list(record.reading_layers)}, "
            f"the decoder in {list(decoder.reading_layers)}: use the placement it was trained with"
        )
    state = _read_weights(folder)
    own = _trained(decoder)
    if own.keys() != state.keys():
        raise UserError(f"{folder} holds other parameters than this decoder trains")
    for name, parameter in own.items():
        parameter.data.copy_(state[name])
    return record


def _trained(decoder: Trained) -> dict[str, Any]:
    """Return every trained parameter by name, sorted."""
    groups = decoder.trainable_parameters().values()
    return dict(sorted((name, value) for group in groups for name, value in group.items()))


def _read_weights(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's weights.

    Raises:
        UserError: they are not there, or not those the record tells of.
    """
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} has lost its {WEIGHTS}; train again")
    state: dict[str, Any] = load_file(folder / WEIGHTS)
    if _digest(state) != read_record(folder).digest:
        raise UserError(f"{folder / WEIGHTS} is not what its record tells of; train again")
    return state


def _write_weights(path: Path, decoder: Trained) -> str:
    """Write the trained parameters; return their digest."""
    state = {name: value.detach().cpu().contiguous() for name, value in _trained(decoder).items()}
    return _write_state(path, state)


def _write_state(path: Path, state: Mapping[str, Any]) -> str:
    from safetensors.torch import save_file

    save_file(state, path)
    return _digest(state)


def _halved(name: str, tensor: Any) -> Any:
    return tensor.bfloat16() if name.endswith(".weight") else tensor


def _digest(state: Mapping[str, Any]) -> str:
    """Return a digest of tensors by name, type, shape and bytes."""
    import torch

    parts = []
    for name, tensor in sorted(state.items()):
        content = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        mark = blake2b(content, digest_size=16).hexdigest()
        parts += [name, str(tensor.dtype), str(tuple(tensor.shape)), mark]
    return digest(*parts)


def _plain(record: CheckpointRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in CheckpointRecord.__slots__}


def _sync(folder: Path) -> None:
    """Have everything under a folder on the disk before it takes its name."""
    for path in (*sorted(folder.rglob("*")), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
