"""What the stages found, as files for `results/`, and where they stand, as lines for a terminal.

    gpu_reader.json   trainings (settings, curve), remote lines, needles, and what is missing
    gpu_prove.json    what `awareness_model.prove` wrote
    <readers>/NAME    the trained readers, as `ReasoningDecoder.from_pretrained` loads them

Limits: numbers are copied, not judged.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from awareness_model.config import UserError
from awareness_model.gpu_proof import state
from awareness_model.gpu_proof.plan import MEASURE, SCALES, STAGES, TRAIN
from awareness_model.schema import write_atomic

READER, PROOF = "gpu_reader.json", "gpu_prove.json"


def collect(
    source: Path, results: Path, readers: Path, manifest: Mapping[str, Any], command: str
) -> list[Path]:
    """Write what a state holds; return the files and folders written.

    Raises:
        UserError: no state, or a damaged one.
    """
    if not state.standing(source):
        raise UserError(f"no state at {source}: run a stage, or `keep` what came back")
    with tempfile.TemporaryDirectory(prefix="awareness-gpu-") as scratch:
        work = Path(scratch) / "work"
        state.restore(source, work)
        made = [_reader(work, results / READER, state.standing(source), manifest, command)]
        if (proof := work / "prove" / "prove.json").is_file():
            write_atomic(results / PROOF, proof.read_bytes())
            made.append(results / PROOF)
        for one in STAGES:
            if (folder := work / one.name / "adapter").is_dir():
                shutil.copytree(folder, readers / one.name, dirs_exist_ok=True)
                made.append(readers / one.name)
    return made


def _reader(
    work: Path,
    path: Path,
    standing: Mapping[str, Any],
    manifest: Mapping[str, Any],
    command: str,
) -> Path:
    reports = [_told(work / one.name / "report.json") for one in STAGES if one.kind == MEASURE]
    report: dict[str, Any] = next((one for one in reversed(reports) if one), {})
    told = {
        "command": command,
        "machine": sorted(_machines(work)),
        "engine": "plain AdamW, no DeepSpeed",
        "precision": {"reader": "float32", "base": _precision(manifest)},
        "scale": manifest.get("scale"),
        "model": manifest.get("model"),
        "corpus": manifest.get("corpus"),
        "missing": [*_unfinished(standing), *report.get("missing", ["all measurements"])],
        "stages": standing,
        "trainings": {one.name: _training(work / one.name) for one in STAGES if one.kind == TRAIN},
        "perplexity": report.get("perplexity", []),
        "needle": report.get("needle", []),
    }
    write_atomic(path, (json.dumps(told, indent=1) + "\n").encode())
    return path


def _precision(manifest: Mapping[str, Any]) -> str | None:
    return SCALES[manifest["scale"]].precision if "scale" in manifest else None


def _unfinished(standing: Mapping[str, Any]) -> list[str]:
    return [f"stage {name}" for name, one in standing.items() if not one["finished"]]


def _machines(work: Path) -> Iterator[str]:
    for one in STAGES:
        if found := _told(work / one.name / "finished.json").get("machine"):
            yield str(found)


def _training(work: Path) -> dict[str, Any]:
    """Return a training's settings, and its log where the probe looked and at its end."""
    steps: dict[int, dict[str, Any]] = {}
    path = work / "log.jsonl"
    for line in path.read_text().splitlines() if path.is_file() else ():
        row = json.loads(line)
        steps[row["step"]] = row
    curve = [row for step, row in sorted(steps.items()) if _probed(row) or step == max(steps)]
    record = _told(work / "adapter" / "record.json")
    return {"settings": record.get("settings", {}), "digest": record.get("digest"), "curve": curve}


def _probed(row: Mapping[str, Any]) -> bool:
    return any(name.startswith("exact_") for name in row)


def _told(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def lines(standing: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each stage, and one that says what is next."""
    for name, one in standing.items():
        yield f"{name:13} {_done(one):24} {one['seconds'] / 60:6.1f} min{_left(one)}"
    waiting = [name for name, one in standing.items() if not one["finished"]]
    yield f"next: {waiting[0]}" if waiting else "all stages are finished"


def _done(one: Mapping[str, Any]) -> str:
    if one["finished"]:
        return "finished"
    if one.get("failed"):
        return f"failed ({one['failed']})"
    return f"{one.get('done', 0)} of {one['total']} {one['unit']}" if "total" in one else "-"


def _left(one: Mapping[str, Any]) -> str:
    """Return how long a stage will still take, by what it took so far."""
    done, total = one.get("done", 0), one.get("total", 0)
    mine = done - one.get("before", 0)
    if one["finished"] or mine <= 0 or not one["seconds"]:
        return ""
    return f", about {one['seconds'] * (total - done) / mine / 60:.0f} more"
