"""Settings of the model package: one `Config` with a section each for encoder, decoder, memory and
training. Standard library only.

Sections are plain dataclasses, changed freely before use (`config.training.batch_size = 16`); who
uses one takes a frozen copy (`frozen(section)`), so that a later change cannot reach a running
model. `deepspeed_config` is the only place that writes DeepSpeed's JSON.
"""

import copy
import os
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

DEFAULT_MODEL = "Qwen/Qwen3-0.6B"
LOCAL_MODEL = Path("models") / "smollm2-135m-instruct"
"""Where `make models` leaves the converted SmolLM2-135M-Instruct, relative to the project."""


GROUP_CHARACTERS = 8_000
"""Text encoded for one commit to the memory: about 2,500 tokens, 60 MB of kv for SmolLM2-135M; what
a kill can lose."""

SectionT = TypeVar("SectionT")


class UserError(Exception):
    """A mistake or lack on the user's side: one line that says what to do. Exit status 2."""


def default_model() -> str:
    """Return `AWARENESS_MODEL`, else the local SmolLM2 if it is there, else `Qwen/Qwen3-0.6B`."""
    if chosen := os.environ.get("AWARENESS_MODEL"):
        return chosen
    return str(LOCAL_MODEL) if (LOCAL_MODEL / "config.json").is_file() else DEFAULT_MODEL


def default_device() -> str:
    """Return `DEVICE` from the environment, else `cpu`. The user chooses; nothing is guessed."""
    return os.environ.get("DEVICE") or "cpu"


def model_folder(name_or_path: str) -> Path | None:
    """Return the folder a model name stands for, or None where it is a model hub's id.

    Raises:
        UserError: it can only be a path, and no model is there.
    """
    folder = Path(name_or_path).expanduser()
    if (folder / "config.json").is_file():
        return folder
    if name_or_path == str(LOCAL_MODEL):
        raise UserError(f"no model at {name_or_path}: run `make models`, or set AWARENESS_MODEL")
    if folder.is_dir() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name_or_path):
        raise UserError(
            f"no model at {name_or_path!r} (no config.json there): "
            "set AWARENESS_MODEL to a model's folder or id, or run `make models`"
        )
    return None


def model_identity(name_or_path: str) -> str:
    """Return what names a model in fingerprints: a hub id as it is; for a folder the blake2b-128 of
    `config.json`, `record.json` and the names and sizes of the weight files, so that it is cheap
    and the folder's place does not matter. Raises UserError as `model_folder` does.
    """
    folder = model_folder(name_or_path)
    if folder is None:
        return name_or_path
    state = blake2b(digest_size=16)
    for name in ("config.json", "record.json"):
        content = (folder / name).read_bytes() if (folder / name).is_file() else b""
        state.update(len(content).to_bytes(8, "little") + content)
    for path in sorted((*folder.glob("*.safetensors"), *folder.glob("*.bin"))):
        state.update(f"{path.name}\0{path.stat().st_size}\0".encode())
    return state.hexdigest()


def placement_layers(placement: str, layers: int) -> tuple[int, ...]:
    """Return the indices of the layers of a placement preset in a decoder of `layers` layers.

    Raises:
        UserError: no such preset.
    """
    presets = {
        "upper_third": range(2 * layers // 3, layers),
        "every_third": range(layers // 3, layers, 3),
        "middle": range(layers // 3, 2 * layers // 3),
        "all": range(layers),
    }
    if placement not in presets:
        raise UserError(f"unknown placement {placement!r}: choose one of {', '.join(presets)}")
    return tuple(presets[placement])


@dataclass
class EncoderConfig:
    """The context encoder: which body turns documents into keys and values, and how."""

    model_name: str = field(default_factory=default_model)
    device: str = field(default_factory=default_device)
    max_chunk_tokens: int = 256
    """A chunk never holds more decoder tokens than this."""
    bidirectional: str = "echo"
    """`echo`: the document is read twice and the second reading's states are kept, so that every
    state has seen the whole chunk; `full`: no causal mask (`qwen3-embedding` only); `none`: plain
    causal states."""
    pooling: int = 1
    """Tokens per slot p; contiguous mean."""
    placement: str = "every_third"
    """Layers whose inputs the `latent` layout keeps; the reading decoder's must be the same."""
    backend: str = "self"
    """`self`: the decoder's own layers; `qwen3-embedding`: a Qwen3 body of its own (layout latent,
    trained heads); `minilm`: routing vectors only."""
    routing: str = ""
    """Folder or id of a MiniLM that gives the routing vectors instead; empty: the backend's own."""


@dataclass
class DecoderConfig:
    """The frozen reasoning decoder and the layers in which it reads memory."""

    model_name: str = field(default_factory=default_model)
    device: str = field(default_factory=default_device)
    layout: str = "latent"
    placement: str = ""
    """`upper_third`, `every_third`, `middle` or `all`; empty: the layout's default
    (`every_third` for latent, `all` for kv)."""
    activation_checkpointing: bool = False


@dataclass
class MemoryConfig:
    """The latent memory store."""

    path: str = "data/memory"
    dtype: str = "bfloat16"
    hot_bytes: int = 256 << 20
    """Bytes of decoded records kept in RAM, so that what is read again is not read from disk: for
    SmolLM2-135M in bfloat16 some 11,000 tokens of `kv` or 33,000 of `latent`. 0 keeps none."""
    exact_below: int = 50_000
    """Records up to which every routing vector is compared; from there on an index is kept."""


@dataclass
class TrainingConfig:
    """Optimisation of the gated cross-attention layers; the base model stays frozen."""

    learning_rate: float = 2e-3
    """The pilots that learned on 135M parameters used 2e-3 (reference/model.md, section 7.1)."""
    gate_lr_factor: float = 10.0
    weight_decay: float = 0.01
    batch_size: int = 8
    steps: int = 40
    warmup_fraction: float = 0.04
    grad_clip: float = 1.0
    visible_documents: tuple[int, ...] = (1, 2, 4)
    """Documents visible to the reader, gold first: the curriculum's stages, equal shares of steps
    unless `visible_switch` says otherwise."""
    visible_switch: tuple[float, ...] = (0.5, 0.8)
    """Fractions of the steps at which the next stage begins."""
    kl_weight: float = 1.0
    citation_weight: float = 0.3
    null_weight: float = 0.1
    gold_absent: float = 0.0
    """Share of samples whose gold document is hidden; the null slot must then take the mass."""
    max_prompt_tokens: int = 512
    """The prompt's last tokens that are kept; what stands before them is not read."""
    max_answer_tokens: int = 256
    """The answer's first tokens that are kept and scored."""
    zero_stage: int = 2
    precision: str = "fp32"
    checkpoint_every: int = 10
    seed: int = 0
    output_dir: str = "outputs"


@dataclass
class Config:
    """All settings of the model package."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def frozen(section: SectionT) -> SectionT:
    """Return a copy of a section that refuses changes."""
    kind = type(section)

    def refuse(self: object, name: str, value: object) -> None:
        raise AttributeError(f"{kind.__name__}.{name} is in use; change the config before use")

    copied = copy.copy(section)
    copied.__class__ = type(kind.__name__, (kind,), {"__setattr__": refuse})
    return copied


def deepspeed_config(training: TrainingConfig, world_size: int = 1) -> dict[str, Any]:
    """Return DeepSpeed's settings for `training`; `batch_size` is per rank, no accumulation."""
    return {
        "train_micro_batch_size_per_gpu": training.batch_size,
        "train_batch_size": training.batch_size * world_size,
        "gradient_clipping": training.grad_clip,
        "zero_optimization": {"stage": training.zero_stage},
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": training.precision == "bf16"},
        "fp16": {"enabled": training.precision == "fp16"},
        "wall_clock_breakdown": False,
        "steps_per_print": 10**9,
    }
