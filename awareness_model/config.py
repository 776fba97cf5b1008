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

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}

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
    reader_rank: int = 0
    """kv: rank of the trained corrections (`decoder.kv_reader`); 0: memory is read untrained."""
    lora_rank: int = 0
    """latent: rank of corrections of self-attention while memory is read (`decoder.low_rank`);
    0: none."""
    encoder_rank: int = 0
    """latent: rank of the trained heads over encoder states (`decoder.heads`); 0: none, states are
    read as they are stored."""


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
    """Optimisation of what reads memory; the base model stays frozen."""

    learning_rate: float = 2e-3
    """Of the memory-reading layers. The pilots that learned on 135M parameters used 2e-3
    (reference/model.md, section 7.1)."""
    gate_lr_factor: float = 10.0
    encoder_rank: int = 0
    """Rank of heads over the encoder's states that train with the reader; 0: frozen, states are
    read as they are stored."""
    encoder_learning_rate: float = 2e-5
    """Of the encoder's heads, where they train (reference/model.md, section 3.5)."""
    lora_rank: int = 0
    """Rank of corrections of the decoder's upper half, trained with the reader (phase B; 16 is
    usual); 0: none. They act only while memory is read."""
    lora_learning_rate: float = 1e-4
    """Of low-rank adapters, where there are any (section 3.5)."""
    weight_decay: float = 0.01
    batch_size: int = 8
    """Samples of an optimizer step, over all ranks and pieces: which samples a step sees does not
    depend on how many machines share it."""
    accumulate: int = 1
    """Pieces in which a rank computes its share of a batch, for less memory."""
    num_epochs: int = 1
    """Times that all samples are gone through, unless `steps` says how many steps."""
    steps: int = 0
    """Optimizer steps; 0: as many as `num_epochs` take. With `AwarenessTrainer` a number other
    than 0 is the most that are taken, whatever the epochs."""
    warmup_fraction: float = 0.04
    grad_clip: float = 1.0
    visible_documents: tuple[int, ...] = (1, 2, 4)
    """Documents visible to the reader, gold first: the curriculum's stages, equal shares of steps
    unless `visible_switch` says otherwise."""
    visible_switch: tuple[float, ...] = (0.5, 0.8)
    """Fractions of the steps at which the next stage begins."""
    curriculum: tuple[str, ...] = ()
    """Stages to go through in their order (`training.curriculum`): `transmission`,
    `reconstruction`, `instruction`, `state`. Empty: all traces at once, over
    `visible_documents`."""
    distractors: tuple[int, ...] = (8, 16, 32, 64)
    """Documents visible in the stage `reconstruction`, one number after the other; the stages after
    it show the first of them."""
    rehearsal: float = 0.2
    """Share of the steps after the stage `transmission` that are of it (ARC: 20 %)."""
    switch_every: int = 20
    """Steps between two measurements of whether a curriculum goes on; 0: it goes on by its latest
    steps alone."""
    switch_above: float = 0.1
    """Nats per token that the lower end of S must reach in each of `switch_looks` measurements."""
    switch_looks: int = 2
    held_out: float = 0.05
    """Share of the gold files of each kind of trace whose samples are measured on only."""
    pooling: tuple[int, ...] = (1,)
    """Tokens of a slot, one of them drawn for each step: stored slots are pooled as they are
    read."""
    most_slots: int = 8_192
    """Slots that a row may see: documents beyond them are left out, gold never."""
    kl_weight: float = 1.0
    citation_weight: float = 0.3
    null_weight: float = 0.1
    harm_weight: float = 1.0
    """Of staying with the base model's words where gold is hidden."""
    sparsity_weight: float = 0.0
    """Of the entropy of attention over memory."""
    gold_absent: float = 0.0
    """Share of samples whose gold document is hidden: the null slot must take the mass, and the
    answer stays the base model's. At least 0.2 in the stage `reconstruction`."""
    max_prompt_tokens: int = 512
    """The prompt's last tokens that are kept; what stands before them is not read."""
    max_answer_tokens: int = 256
    """The answer's first tokens that are kept and scored."""
    precision: str = "fp32"
    """`fp32`, or `bf16` or `fp16`: the base model's type and that of matrix products. What trains
    stays fp32."""
    zero_stage: int = 2
    """What ranks share: 0 nothing, 1 optimizer state, 2 gradients too, 3 weights too. 0 on one
    rank is plain AdamW without DeepSpeed."""
    offload_optimizer: bool = False
    """Keep optimizer state in the host's memory (ZeRO 1 to 3)."""
    activation_checkpointing: bool = False
    """Compute activations anew in backward, for less memory."""
    checkpoint_every: int = 10
    keep_checkpoints: int = 2
    probe_every: int = 10
    """Steps between two looks at S on a small probe; 0: none."""
    tensorboard: bool = True
    """Write event files beside the JSON lines, where the package is installed."""
    seed: int = 0
    output_dir: str = "outputs"


PLACES = (
    "output_dir",
    "checkpoint_every",
    "keep_checkpoints",
    "probe_every",
    "tensorboard",
    "accumulate",
    "zero_stage",
    "offload_optimizer",
    "activation_checkpointing",
)
"""Settings that say where, how often and on what machines, not what comes out."""


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


def piece_size(training: TrainingConfig, ranks: int = 1) -> int:
    """Return the samples that a rank computes at a time.

    Raises:
        UserError: the batch cannot be shared evenly.
    """
    pieces = ranks * training.accumulate
    if training.accumulate < 1 or training.batch_size < 1 or training.batch_size % pieces:
        raise UserError(
            f"batch_size {training.batch_size} cannot be shared by {ranks} ranks in "
            f"{training.accumulate} pieces each: choose a multiple of {max(pieces, 1)}"
        )
    return training.batch_size // pieces


def deepspeed_config(training: TrainingConfig, world_size: int = 1) -> dict[str, Any]:
    """Return DeepSpeed's settings for `training` on `world_size` ranks.

    Half precision is autocast's, never DeepSpeed's own: that would round gates and norm gains,
    whose steps of 1e-4 vanish in bfloat16. Gradients are summed in fp32.

    Raises:
        UserError: settings that do not exist or do not go together.
    """
    if training.zero_stage not in range(4):
        raise UserError(f"zero_stage is 0, 1, 2 or 3, not {training.zero_stage}")
    if training.offload_optimizer and not training.zero_stage:
        raise UserError("offload_optimizer needs zero_stage 1, 2 or 3")
    zero: dict[str, Any] = {"stage": training.zero_stage}
    if training.zero_stage == 3:
        zero["overlap_comm"] = False  # DeepSpeed asserts it where `step` ends the accumulation
    if training.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    kind = compute_type(training.precision)
    return {
        "train_micro_batch_size_per_gpu": piece_size(training, world_size),
        "gradient_accumulation_steps": training.accumulate,
        "managed_gradient_accumulation": False,
        "train_batch_size": training.batch_size,
        "gradient_clipping": training.grad_clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "torch_autocast": {
            "enabled": kind != "float32",
            "dtype": kind,
            "lower_precision_safe_modules": [],
        },
        "wall_clock_breakdown": False,
        "steps_per_print": 10**9,
    }


def compute_type(precision: str) -> str:
    """Return the name of torch's type for a precision. Raises UserError for an unknown one."""
    if precision not in PRECISIONS:
        raise UserError(f"precision is {', '.join(PRECISIONS)}, not {precision!r}")
    return PRECISIONS[precision]
