"""train: a reader learns from traces and memory: `python -m awareness_model.train --job JOB.json`.

The job (`schema.TrainJob`) names model, store, trace files and training settings; its `output_dir`
receives `checkpoints/` (to resume from), `final/` (the trained reader), what `training.journal`
writes, `deepspeed.log` and, last, `report.json` (`schema.TrainReport`). A finished training is
reported and left alone. `--debug FOLDER` makes a small world there and takes three steps in it;
`--ranks` and `--hostfile` train on several processes (`hosts`); `--prepare` builds DeepSpeed's
small CPU operation ahead of time.

The process ends with its parent and locks the output folder, so that two trainings never write
there at once. Limits: the latent layout alone trains; all ranks share the folder.
"""

import argparse
import json
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model import hosts, ranks
from awareness_model.config import (
    PLACES,
    DecoderConfig,
    EncoderConfig,
    MemoryConfig,
    TrainingConfig,
    UserError,
    compute_type,
    model_identity,
    piece_size,
)
from awareness_model.schema import TrainJob, TrainReport, digest, to_json, write_atomic

if TYPE_CHECKING:
    from awareness_model.decoder import ReasoningDecoder
    from awareness_model.engine import Engine, Reader
    from awareness_model.feed import Batch

LABEL = "train"
LAYOUT = "latent"
REPORT = "report.json"
NOISE = "deepspeed.log"
DEBUG_STEPS = 3


def train(job: TrainJob) -> None:
    """Train to the last step and write the report; at once where that is done.

    Raises:
        UserError: bad settings, missing inputs, a folder in use or one that holds another training.
    """
    folder, inputs = Path(job.training.output_dir), _inputs(job)
    if ranks.rank() > 0:
        if not _finished(folder, inputs):
            _fit(job, folder)
        return
    with ranks.locked(folder / ".lock"):
        if done := _finished(folder, inputs):
            _say(done.steps, done.steps, {})
            return
        report = replace(_fit(job, folder), inputs=inputs)
        text = json.dumps(asdict(report), indent=1, sort_keys=True) + "\n"
        write_atomic(folder / REPORT, text.encode())


def read_job(path: Path) -> TrainJob:
    """Read a job file.

    Raises:
        UserError: there is none, or it names settings that do not exist.
    """
    try:
        found = json.loads(path.read_bytes())
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in found.pop("training").items()
        }
        traces = tuple(str(one) for one in found.pop("traces"))
        return TrainJob(**found, traces=traces, training=TrainingConfig(**settings))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no training job: {error}") from None


def read_report(folder: Path) -> TrainReport | None:
    """Return the report of a finished training, or None.

    Raises:
        UserError: it is of another form than this version writes.
    """
    path = folder / REPORT
    try:
        return TrainReport(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise UserError(
            f"{path} is the report of another version: choose another output_dir, or remove "
            f"{folder} to train anew"
        ) from None


def _finished(folder: Path, inputs: str) -> TrainReport | None:
    report = read_report(folder)
    return report if report is not None and report.inputs == inputs else None


def _fit(job: TrainJob, folder: Path) -> TrainReport:
    import torch

    from awareness_model import checkpoint
    from awareness_model.base import tokenizer_fingerprint
    from awareness_model.data import load_samples
    from awareness_model.encoder import encoder_fingerprint
    from awareness_model.engine import Reader
    from awareness_model.feed import Feed
    from awareness_model.loss import Weights
    from awareness_model.memory.shelf import Shelf
    from awareness_model.memory.store import LatentMemoryStore
    from awareness_model.training import Run, fit, planned

    training = job.training
    torch.manual_seed(training.seed)
    decoder = _decoder(job)
    encoding = encoder_fingerprint(EncoderConfig(job.model, job.device), LAYOUT)
    store = Shelf(LatentMemoryStore(MemoryConfig(job.store)), LAYOUT, encoding)
    fingerprint = tokenizer_fingerprint(decoder.tokenizer)
    samples = load_samples([Path(one) for one in job.traces], store, training, fingerprint)
    ranks.set_environment(job.device)
    rank, count = ranks.rank(), ranks.count()
    feed = Feed(samples, store, training, decoder.tokenizer.pad_token_id, rank, count)
    training = planned(training, feed.steps_per_epoch)
    piece_size(training, count)
    weights = Weights.of(training)
    run = Run(folder, samples.digest, rank, count, _say)
    fit(Reader(decoder, weights), feed, training, run, partial(_engine, folder / NOISE))
    found = checkpoint.read_record(run.final).digest if rank == 0 else ""
    return TrainReport(training.steps, len(samples.usable), dict(samples.dropped), found, "")


def _decoder(job: TrainJob) -> "ReasoningDecoder":
    """Return the decoder on this rank's device, its base in the type that is computed in."""
    import torch

    from awareness_model.base import load_model
    from awareness_model.decoder import ReasoningDecoder

    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if job.device == "cuda" else job.device
    config = DecoderConfig(job.model, device, LAYOUT)
    config.activation_checkpointing = job.training.activation_checkpointing
    config.lora_rank = job.training.lora_rank
    config.encoder_rank = job.training.encoder_rank
    kind = getattr(torch, compute_type(job.training.precision))
    return ReasoningDecoder(config, load_model(job.model, device, kind))


def _engine(log: Path, reader: "Reader", training: TrainingConfig) -> "Engine[Batch]":
    """Return plain AdamW for one rank without ZeRO, else DeepSpeed's engine, whose words go to
    `log`."""
    from awareness_model.engine import PlainEngine
    from awareness_model.sharded import DeepSpeedEngine

    if training.zero_stage == 0 and ranks.count() == 1:
        return PlainEngine(reader, training)
    # DeepSpeed 0.19 calls them by names that torch 2.13 is about to drop.
    dropped = ".*(all_gather_into|reduce_scatter)_tensor"
    warnings.filterwarnings("ignore", dropped, FutureWarning)
    with ranks.noise_to(log):
        if reader.decoder.base.device.type == "cpu":
            ranks.build_operation()
        return DeepSpeedEngine(reader, training)


def _inputs(job: TrainJob) -> str:
    """Return a digest of what the job trains on: settings, base model, bytes of the traces."""
    settings = {name: value for name, value in asdict(job.training).items() if name not in PLACES}
    parts = [json.dumps(settings, sort_keys=True), model_identity(job.model)]
    for path in sorted(job.traces):
        try:
            with Path(path).open("rb") as file:
                parts.append(file_digest(file, lambda: blake2b(digest_size=16)).hexdigest())
        except OSError as error:
            raise UserError(f"cannot read the traces in {path}: {error}") from None
    return digest(*parts)


def _say(done: int, total: int, values: Mapping[str, float]) -> None:
    step = {"label": LABEL, "done": done, "total": total, "values": dict(values)}
    print(json.dumps({"progress": step}), flush=True)


def _prepare() -> None:
    """Build DeepSpeed's operation; its compiler's words are shown only when it fails."""
    import tempfile

    ranks.set_environment("cpu")
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / NOISE
        try:
            with ranks.noise_to(log):
                ranks.build_operation()
        except UserError:
            sys.stderr.write(log.read_text(errors="replace"))
            raise


def _debug(folder: Path) -> Path:
    """Make a small world in `debug/` below a folder, afresh, and a job of three steps in it; return
    the job's file."""
    from awareness_model.trial import make_job

    folder = folder / "debug"
    shutil.rmtree(folder, ignore_errors=True)
    training = TrainingConfig(
        batch_size=2,
        steps=DEBUG_STEPS,
        max_prompt_tokens=64,
        max_answer_tokens=16,
        checkpoint_every=1,
        probe_every=1,
        output_dir=str(folder / "training"),
    )
    world, file = folder / "world", folder / "job.json"
    world.mkdir(parents=True)
    write_atomic(file, to_json(make_job(world, training)).encode())
    return file


def _start(args: argparse.Namespace) -> None:
    """Do what was asked for; with several ranks this process becomes DeepSpeed's launcher."""
    if args.prepare:
        _prepare()
        return
    file = args.job or _debug(args.debug)
    alone = args.ranks == 1 and args.hostfile is None
    if alone:
        train(read_job(file))
        return
    job = read_job(file)
    piece_size(job.training, hosts.ranks_of(args.ranks, args.hostfile))
    command = hosts.command(["--job", str(file)], args.ranks, args.hostfile)
    if job.device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    sys.stdout.flush()
    os.execv(command[0], command)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, or prepare. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.train", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--job", type=Path, help="JSON file that says what to train")
    what.add_argument("--debug", type=Path, metavar="FOLDER", help="three steps in a small world")
    what.add_argument("--prepare", action="store_true", help="build DeepSpeed's CPU operation")
    parser.add_argument("--ranks", type=int, default=1, help="processes on this machine")
    parser.add_argument("--hostfile", type=Path, help="machines, a line `HOST slots=N` for each")
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    ranks.end_with_parent()
    try:
        _start(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
