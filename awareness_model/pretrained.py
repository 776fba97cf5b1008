"""A reader as a folder to keep and to share: what trains, and a record of what it belongs to.

There is one format, that of a checkpoint (`checkpoint.save`): `gca.safetensors` and `record.json`.
A training's exported folder therefore loads with `ReasoningDecoder.from_pretrained`, and what
`save_pretrained` writes loads with `checkpoint.load_gca`. The base model is named, never copied.
Limits: a record names the base model as it was named when it was made; `base=` says where it is.
"""

from pathlib import Path

from awareness_model import checkpoint
from awareness_model.config import DecoderConfig, UserError, default_device, model_identity


def save(
    folder: Path, decoder: checkpoint.Trained, origin: checkpoint.CheckpointRecord | None = None
) -> None:
    """Write a decoder's trained parameters and record at `folder`, replacing what is there.

    Args:
        origin: the record the decoder was loaded from; its steps, settings and data stay.
    """
    checkpoint.save(
        folder,
        decoder,
        step=origin.step if origin else 0,
        settings=origin.settings if origin else {},
        data=origin.data if origin else "",
    )


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
    )
