"""A reader as a folder to keep and to share: what trains, and a record of what it belongs to.

There is one format, that of a checkpoint (`checkpoint.save`): `gca.safetensors` and `record.json`.
A training's exported folder therefore loads with `ReasoningDecoder.from_pretrained`, and what
`save_pretrained` writes loads with `checkpoint.load_gca`. The base model is named, never copied.
Limits: a record names the base model as it was named when it was made; `base=` says where it is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from awareness_model import checkpoint
from awareness_model.config import DecoderConfig, UserError, default_device, model_identity

SHIPPED = Path(__file__).parent / "adapters"
"""Readers that come with the package, a folder each."""
RANKS = ("lora_rank", "encoder_rank")
"""What a latent reader was trained with beside its reading layers, in its record's settings."""
READER_RANK = "reader_rank"
"""Of a kv reader, in its record's settings."""


def save(
    folder: Path, decoder: checkpoint.Trained, origin: checkpoint.CheckpointRecord | None = None
) -> None:
    """Write a decoder's trained parameters and record at `folder`, replacing what is there.

    Args:
        origin: the record the decoder was loaded from; its steps, settings and data stay.
    """
    settings = kv_settings(decoder, origin.settings if origin else {})
    settings |= {name: rank for name in RANKS if (rank := getattr(decoder.config, name))}
    checkpoint.save(
        folder,
        decoder,
        step=origin.step if origin else 0,
        settings=settings,
        data=origin.data if origin else "",
    )


def kv_settings(decoder: checkpoint.Trained, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with what makes a kv reader of the same shape again."""
    rank = decoder.config.reader_rank
    return {**settings, READER_RANK: rank} if rank else dict(settings)


def ranks_of(record: checkpoint.CheckpointRecord) -> dict[str, Any]:
    """Return what a decoder's settings must say to take a record's weights, by name."""
    return {name: int(record.settings.get(name, 0)) for name in RANKS}


def shipped(model: str) -> Path | None:
    """Return the folder of the kv reader that comes with the package for this base model, if one
    does. What counts is the model's identity, not its name or place.

    Raises:
        UserError: no model is there.
    """
    identity = model_identity(model)
    for folder in sorted(SHIPPED.glob(f"*/{checkpoint.RECORD}")):
        if checkpoint.read_record(folder.parent).model == identity:
            return folder.parent
    return None


def config_of(folder: Path, base: str | None = None, device: str | None = None) -> DecoderConfig:
    """Return the settings of the decoder that a folder was made with.

    Args:
        base: folder or hub id of the base model; None: as the record names it.

    Raises:
        UserError: no record there, no base model there, or it is another one.
    """
    record = checkpoint.read_record(folder)
    try:
        identity = model_identity(base or record.name)
    except UserError as error:
        raise UserError(
            f"{folder} needs its base model {record.name!r}: {error}; or give its place as base="
        ) from None
    if identity != record.model:
        raise UserError(
            f"{folder} was trained on another base model than {base or record.name!r} "
            f"({record.family}, {record.name!r} then): give that one as base="
        )
    return DecoderConfig(
        model_name=base or record.name,
        device=device or default_device(),
        layout=record.layout,
        placement=record.placement,
        reader_rank=int(record.settings.get(READER_RANK, 0)),
        **ranks_of(record),
    )
