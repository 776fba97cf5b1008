"""Settings of the stages that learn and measure: audit, encode, train and evaluate.

Limits: sizes of files are told in estimated tokens, since the pipeline loads no tokenizer.
"""

from dataclasses import dataclass, field

from awareness_pipeline.config.fingerprint import RUN_ONLY

BYTES_PER_TOKEN = 3.5
"""Estimate for source code, where no tokenizer is at hand."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What is scored as evidence that prompts and traces say something of their commits."""

    max_commits: int = 200
    """Commits whose prompts are compared, each in all its styles; over the whole version."""
    max_tasks: int = 100
    """Tasks whose traces are compared, each with all its targets."""
    max_text_tokens: int = 128
    """The first tokens of a diff or response that are scored."""
    max_prompt_tokens: int = 256
    """A longer prompt is cut in its middle."""
    max_context_tokens: int = 1_024
    """Of files, read before a response."""
    seed: int = 0
    """Of the pairing and of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Encode:
    """Which documents become memory."""

    layouts: tuple[str, ...] = ("kv", "latent")
    max_file_tokens: int = 8_000
    """Longer files are left out, with a reason. Tokens are estimated as bytes / 3.5."""
    max_repository_tokens: int = 100_000
    """Per repository and shard run; files beyond it are left out, with a reason."""

    @property
    def max_file_bytes(self) -> int:
        """Return the size up to which a file is read at all."""
        return int(self.max_file_tokens * BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Train:
    """How the reader is trained. Names as in awareness_model.config.TrainingConfig."""

    steps: int = 2_000
    """0: as many as `num_epochs` take."""
    num_epochs: int = 1
    batch_size: int = 16
    """Samples of a step, over all ranks."""
    learning_rate: float = 2e-3
    encoder_rank: int = 0
    """Rank of the encoder's heads, which train with the reader; 0: frozen."""
    lora_rank: int = 0
    """Rank of corrections of the decoder while it reads memory (phase B); 0: none."""
    precision: str = "fp32"
    curriculum: tuple[str, ...] = ("transmission", "reconstruction", "instruction", "state")
    """Stages that follow one another as they are measured to be learned; empty: all traces at once
    over `visible_documents`."""
    distractors: tuple[int, ...] = (8, 16, 32, 64)
    """Documents visible in the stage reconstruction."""
    most_slots: int = 8_192
    """Slots of memory that a row may see."""
    pooling: tuple[int, ...] = (1,)
    """Tokens of a slot, one of them drawn for each step."""
    visible_documents: tuple[int, ...] = (1, 2, 4)
    visible_switch: tuple[float, ...] = (0.5, 0.8)
    max_prompt_tokens: int = 512
    """The prompt's last tokens that are read."""
    max_answer_tokens: int = 256
    """The answer's first tokens that are scored."""
    checkpoint_every: int = 50
    seed: int = 0
    zero_stage: int = field(default=2, metadata=RUN_ONLY)
    accumulate: int = field(default=1, metadata=RUN_ONLY)
    offload_optimizer: bool = field(default=False, metadata=RUN_ONLY)
    activation_checkpointing: bool = field(default=False, metadata=RUN_ONLY)
    probe_every: int = field(default=10, metadata=RUN_ONLY)
    ranks: int = field(default=1, metadata=RUN_ONLY)
    """Processes on this machine."""
    hostfile: str = field(default="", metadata=RUN_ONLY)
    """File that names several machines; the output folder must be the same on all."""
    output_dir: str = field(default="", metadata=RUN_ONLY)
    """Where the training runs and stays; empty: in scratch space, of which the result is kept."""


@dataclass(frozen=True, slots=True)
class Evaluate:
    """What the memory is measured on."""

    max_items: int = 480
    visible_documents: int = 4
    seed: int = 0
