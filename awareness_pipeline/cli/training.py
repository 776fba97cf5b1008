"""Commands that train a reader and keep what was trained."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from awareness_pipeline.cli.options import Json, Local, Recipe, Root, Version, settings_of
from awareness_pipeline.config import Settings, UserError

ENCODER_RANK = 32
"""Of the heads that `--train-encoder` trains."""

OutputDir = Annotated[
    Path | None,
    typer.Option(help="Where the training runs and stays, checkpoints, metrics and all."),
]
Epochs = Annotated[
    int | None, typer.Option("--num-epochs", help="Times through all samples, for --steps.", min=1)
]
Steps = Annotated[int | None, typer.Option(help="Optimizer steps.", min=1)]
BatchSize = Annotated[int | None, typer.Option(help="Samples of a step, over all ranks.", min=1)]
SeqLength = Annotated[
    int | None,
    typer.Option(
        help="Tokens of prompt and answer that are read; the answer takes a third.", min=3
    ),
]
Precision = Annotated[
    Literal["fp32", "bf16", "fp16"] | None, typer.Option(help="What matrices are multiplied in.")
]
Zero = Annotated[
    int | None, typer.Option("--zero-stage", help="What ranks share, 0 to 3 (2).", min=0, max=3)
]
Pieces = Annotated[
    int | None, typer.Option("--accumulate", help="Pieces of a rank's share of a batch.", min=1)
]
Ranks = Annotated[int | None, typer.Option(help="Processes on this machine (1).", min=1)]
Hosts = Annotated[
    Path | None, typer.Option(help="Train on the machines of a file: `HOST slots=N` a line.")
]
Offload = Annotated[
    bool, typer.Option("--offload-optimizer", help="Keep optimizer state in the host's memory.")
]
TrainEncoder = Annotated[
    bool, typer.Option("--train-encoder", help="Train heads over the encoder's frozen states.")
]
Lora = Annotated[
    int | None,
    typer.Option("--lora-rank", help="Correct the decoder too while it reads (16).", min=1),
]
Replay = Annotated[
    bool, typer.Option("--activation-checkpointing", help="Compute activations twice, not keep.")
]


def train(
    output_dir: OutputDir = None,
    num_epochs: Epochs = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    seq_length: SeqLength = None,
    train_encoder: TrainEncoder = False,
    lora_rank: Lora = None,
    precision: Precision = None,
    zero_stage: Zero = None,
    accumulate: Pieces = None,
    ranks: Ranks = None,
    hostfile: Hosts = None,
    offload_optimizer: Offload = False,
    activation_checkpointing: Replay = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Three steps of a tiny model in a world made for it.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train anew although there is a checkpoint.")
    ] = False,
    recipe: Recipe = None,
    version: Version = None,
    root: Root = None,
    local: Local = None,
    as_json: Json = False,
) -> None:
    """Train the gated cross-attention; a grown memory alone does not retrain a checkpoint."""
    from awareness_pipeline.cli import again, work

    if debug:
        _debug(output_dir or Path("outputs"), ranks or 1)
        return
    if num_epochs and steps:
        raise UserError("choose one: --num-epochs or --steps")
    settings = _with(
        settings_of(recipe, version, root, local),
        output_dir=output_dir and str(output_dir),
        num_epochs=num_epochs,
        steps=0 if num_epochs else steps,
        batch_size=batch_size,
        encoder_rank=ENCODER_RANK if train_encoder else None,
        lora_rank=lora_rank,
        precision=precision,
        zero_stage=zero_stage,
        accumulate=accumulate,
        ranks=ranks,
        hostfile=hostfile and str(hostfile),
        offload_optimizer=offload_optimizer or None,
        activation_checkpointing=activation_checkpointing or None,
        **_lengths(seq_length),
    )
    if retrain:
        again.forget(settings, "train")
    work.tell(settings, work.run_stages(settings, ["train"]), as_machine=as_json)


def checkpoint(
    what: Annotated[Literal["ls", "prune", "export"], typer.Argument(help="What to do.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where to look (default: all trainings of the root).")
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(help="export: a folder that is not there yet.")
    ] = None,
    keep: Annotated[int, typer.Option(help="prune: how many stay of each training.")] = 1,
    bf16: Annotated[bool, typer.Option("--bf16", help="export: at half the size.")] = False,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """List or prune checkpoints, or export a reader that ReasoningDecoder.from_pretrained loads."""
    from awareness_pipeline.launch import PACKAGE, SECRETS

    place = folder or settings_of(root=root).paths.artifact("gca_checkpoint")
    given = [what, str(place), *([str(out)] if out else []), "--keep", str(keep)]
    given += [name for name, on in (("--bf16", bf16), ("--json", as_json)) if on]
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", f"{PACKAGE}.checkpoints", *given], kept)


def _debug(folder: Path, ranks: int) -> None:
    """Train three steps in a world made below a folder."""
    from awareness_pipeline.launch import run_model

    place = folder / "debug"
    arguments = ["--debug", str(folder), "--ranks", str(ranks)]
    run_model("train", arguments, "train", folder / "debug.log")
    print(f"three steps taken: the reader is in {place / 'training' / 'final'}")


def _with(settings: Settings, **options: Any) -> Settings:
    """Return the settings with the options that were given: those that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    return replace(settings, train=replace(settings.train, **given))


def _lengths(together: int | None) -> dict[str, int]:
    """Return the tokens of prompt and answer that make up a length."""
    if together is None:
        return {}
    answer = together // 3
    return {"max_prompt_tokens": together - answer, "max_answer_tokens": answer}
