"""train: a reader learns from traces and memory: `python -m awareness_model.train --job JOB.json`.

The job (`schema.TrainJob`) names model, store, trace files and training settings; its `output_dir`
receives `checkpoints/` (to resume from), `final/` (the trained reader), `metrics.jsonl`,
`timing.jsonl`, `deepspeed.log` and, last, `report.json` (`schema.TrainReport`). A finished training
is reported and left alone. `--prepare` builds DeepSpeed's small CPU operation ahead of time.

The process ends with its parent and locks the output folder, so that two trainings never write
there at once. Limits: the latent layout alone trains; one machine's ranks share the folder.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model import ranks
from awareness_model.config import (
    DecoderConfig,
    EncoderConfig,
    MemoryConfig,
    TrainingConfig,
    UserError,
    model_identity,
)
from awareness_model.schema import TrainJob, TrainReport, digest, write_atomic

if TYPE_CHECKING:
    from awareness_model.engine import Engine, Reader
    from awareness_model.feed import Batch

LABEL = "train"
LAYOUT = "latent"
REPORT = "report.json"
NOISE = "deepspeed.log"


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
        if _finished(folder, inputs):
            _say(job.training.steps, job.training.steps)
            return
        report = _fit(job, folder)
        content = {**asdict(report), "inputs": inputs}
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
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
    """Return the report of a finished training, or None."""
    path = folder / REPORT
    return TrainReport(**json.loads(path.read_bytes())) if path.is_file() else None


def _fit(job: TrainJob, folder: Path) -> TrainReport:
    import torch

    from awareness_model import checkpoint
    from awareness_model.base import tokenizer_fingerprint
    from awareness_model.data import load_samples
    from awareness_model.decoder import ReasoningDecoder
    from awareness_model.encoder import encoder_fingerprint
    from awareness_model.engine import Reader
    from awareness_model.feed import Feed
    from awareness_model.loss import Weights
    from awareness_model.memory.shelf import Shelf
    from awareness_model.memory.store import LatentMemoryStore
    from awareness_model.training import Run, fit

    training = job.training
    torch.manual_seed(training.seed)
    decoder = ReasoningDecoder(DecoderConfig(job.model, job.device, LAYOUT))
    encoding = encoder_fingerprint(EncoderConfig(job.model, job.device), LAYOUT)
    store = Shelf(LatentMemoryStore(MemoryConfig(job.store)), LAYOUT, encoding)
    fingerprint = tokenizer_fingerprint(decoder.tokenizer)
    samples = load_samples([Path(one) for one in job.traces], store, training, fingerprint)
    ranks.set_environment(job.device)
    filler, world = decoder.tokenizer.pad_token_id, int(os.environ["WORLD_SIZE"])
    feed = Feed(samples, store, training, filler, ranks.rank(), world)
    weights = Weights(training.kl_weight, training.citation_weight, training.null_weight)
    reader = Reader(decoder, weights)
    run = Run(folder, samples.digest, ranks.rank(), _say)
    fit(reader, feed, training, run, _engine(reader, training, folder / NOISE))
    found = checkpoint.read_record(run.final).digest if ranks.rank() == 0 else ""
    return TrainReport(training.steps, len(samples.usable), dict(samples.dropped), found, "")


def _engine(reader: "Reader", training: TrainingConfig, log: Path) -> "Engine[Batch]":
    """Return DeepSpeed's engine, or plain AdamW where ZeRO is off; what they say goes to `log`."""
    from awareness_model.engine import DeepSpeedEngine, PlainEngine

    if training.zero_stage == 0:
        return PlainEngine(reader, training)
    with ranks.noise_to(log):
        ranks.build_operation()
        return DeepSpeedEngine(reader, training)


def _inputs(job: TrainJob) -> str:
    """Return a digest of what the job trains on: settings, base model, bytes of the traces."""
    settings = {name: value for name, value in asdict(job.training).items() if name != "output_dir"}
    parts = [json.dumps(settings, sort_keys=True), model_identity(job.model)]
    for path in sorted(job.traces):
        try:
            with Path(path).open("rb") as file:
                parts.append(file_digest(file, lambda: blake2b(digest_size=16)).hexdigest())
        except OSError as error:
            raise UserError(f"cannot read the traces in {path}: {error}") from None
    return digest(*parts)


def _finished(folder: Path, inputs: str) -> bool:
    report = read_report(folder)
    return report is not None and report.inputs == inputs


def _say(done: int, total: int) -> None:
    step = {"label": LABEL, "done": done, "total": total}
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


def main(argv: Sequence[str] | None = None) -> int:
    """Train, or prepare. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.train", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--job", type=Path, help="JSON file that says what to train")
    what.add_argument("--prepare", action="store_true", help="build DeepSpeed's CPU operation")
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    ranks.end_with_parent()
    try:
        if args.prepare:
            _prepare()
        else:
            train(read_job(args.job))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
