"""train: a reader learns from all traces and memory of the version, in a process of DeepSpeed's.

Leaves `checkpoint/` (what trains, with its own record), `metrics.jsonl` (losses by step),
`probe.jsonl` (S by step), `timing.jsonl` and `tensorboard/`. A killed training goes on from its
newest checkpoint in the scratch folder, or in `output_dir`. One that is finished stays as it is:
traces or memory that grew since make it stale, which its record names under `stale`, and only
`forget` (`awareness train --retrain`) trains anew.

Counts: traces in, one checkpoint out, traces that could not be used by reason.
"""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from awareness_model.config import TrainingConfig, model_identity
from awareness_model.schema import TrainJob, TrainReport, digest, to_json, write_atomic
from awareness_pipeline.artifacts import Counts, Place, Record, place, read_record, upstream_records
from awareness_pipeline.config import Settings, UserError, identity
from awareness_pipeline.launch import run_model
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, pending

ARTIFACT: Final = "gca_checkpoint"
UNIT: Final = "checkpoint"
CHECKPOINT_FILES: Final = ("gca.safetensors", "record.json")
CURVE, PROBE, TIMING, BOARD = "metrics.jsonl", "probe.jsonl", "timing.jsonl", "tensorboard"


def run(settings: Settings, partition: str) -> Record:
    """Train unless there is a checkpoint; return its record.

    Raises:
        UserError: no traces, nothing to train on, another version's settings, or no compiler.
    """
    shape = {**identity(settings.train), "model": model_identity(settings.model)}
    here = place(settings, ARTIFACT, partition, shape)
    inputs, traces = _inputs(settings)
    done = read_record(here.folder / f"{UNIT}.record.json")
    unit = Unit(UNIT, inputs)
    if done and not pending(here, [kept := Unit(UNIT, done.inputs)]):
        return close(here, [kept], fresh=0, extra={"stale": _changed(done.inputs, inputs)})
    if not traces:
        raise UserError("there are no teacher traces to train on: run `awareness traces` first")
    started = time.monotonic()
    report = _train(settings, here, unit, traces)
    outcome = _outcome(here, _folder(settings, here), report)
    spent = time.monotonic() - started
    finish_unit(here, unit, outcome, spent)
    return close(here, [unit], fresh=1, extra={"stale": []}, seconds=spent)


def _inputs(settings: Settings) -> tuple[dict[str, str], list[Path]]:
    """Return digests of what training reads, by artifact, and the trace files."""
    inputs, traces = {}, []
    for artifact in ("teacher_traces", "memory_shards"):
        found = list(upstream_records(settings, artifact, settings.shard_keys))
        inputs[artifact] = digest(*sorted(f"{record.key} {record.digest}" for _, record in found))
        if artifact == "teacher_traces":
            traces = [
                folder / name
                for folder, record in found
                for name in sorted(record.files)
                if name.endswith(".parquet")
            ]
    return inputs, traces


def _changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the artifacts that are not those a checkpoint was trained on."""
    return sorted(name for name in now if then.get(name) != now[name])


def _train(settings: Settings, here: Place, unit: Unit, traces: list[Path]) -> TrainReport:
    """Train in the scratch folder; what a killed run left is used if its inputs were the same."""
    marks, folder = here.scratch / "inputs.json", _folder(settings, here)
    found = json.loads(marks.read_bytes()) if marks.is_file() else None
    if found != (wanted := [here.fingerprint, dict(unit.inputs)]):
        shutil.rmtree(here.scratch, ignore_errors=True)
        write_atomic(marks, json.dumps(wanted).encode())
    job = TrainJob(
        model=settings.model,
        device=settings.device,
        store=settings.paths.memory(settings.version),
        traces=tuple(str(path) for path in traces),
        training=TrainingConfig(**_settings(settings), output_dir=str(folder)),
    )
    write_atomic(here.scratch / "job.json", to_json(job).encode())
    args = ["--job", str(here.scratch / "job.json"), "--ranks", str(settings.train.ranks)]
    if settings.train.hostfile:
        args += ["--hostfile", settings.train.hostfile]
    run_model("train", args, "train", here.scratch / "train.log")
    return TrainReport(**json.loads((folder / "report.json").read_bytes()))


def _folder(settings: Settings, here: Place) -> Path:
    """Return where the training runs."""
    chosen = settings.train.output_dir
    return Path(chosen).absolute() if chosen else here.scratch / "training"


def _settings(settings: Settings) -> dict[str, Any]:
    """Return the stage's settings that TrainingConfig has too, tuples as they are."""
    known = {one.name for one in fields(TrainingConfig)} - {"output_dir"}
    return {
        one.name: getattr(settings.train, one.name)
        for one in fields(settings.train)
        if one.name in known
    }


def _outcome(here: Place, training: Path, report: TrainReport) -> Outcome:
    """Copy what is kept out of where it was trained; return what the record says of it."""
    moves = {f"final/{name}": f"{UNIT}/{name}" for name in CHECKPOINT_FILES}
    moves |= {name: name for name in (CURVE, TIMING, PROBE) if (training / name).is_file()}
    for source, target in moves.items():
        write_atomic(here.folder / target, (training / source).read_bytes())
    if (training / BOARD).is_dir():
        shutil.copytree(training / BOARD, here.folder / BOARD, dirs_exist_ok=True)
    lines = (here.folder / CURVE).read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    said = {
        "steps": report.steps,
        "samples": report.samples,
        "weights": report.digest,
        "loss_first": first["loss"],
        "loss_last": last["loss"],
    }
    counts = Counts(report.samples + sum(report.dropped.values()), 1, report.dropped)
    kept = (*(f"{UNIT}/{name}" for name in CHECKPOINT_FILES), CURVE)
    if PROBE in moves:
        kept = (*kept, PROBE)
        said["S_last"] = json.loads((here.folder / PROBE).read_text().splitlines()[-1])["S"]
    return Outcome(counts, kept, said)
