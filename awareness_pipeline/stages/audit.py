"""audit: evidence that task prompts and teacher traces say something of their commits.

For accepted prompts, how likely the true change is behind its own prompt and behind others'; for
traces, how likely the response is behind files of its own repository and of another one
(`awareness_pipeline/evidence/`). A process scores them with the model on this machine. Leaves
`evidence.json` and `evidence.items.jsonl` (one row per text, numbers alone); the report is the
record's `extra`: `measures`, as `evidence.verdicts.judged` returns them, and `unclear`, a line for
each that should be clear of 0 and is not. Where there is nothing to compare, the report says why.

Rows in: accepted prompts, and traces of kind `instruction`; out: texts scored.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from awareness_model.config import model_identity
from awareness_model.schema import digest, write_atomic, write_rows
from awareness_pipeline.artifacts import (
    Counts,
    Place,
    Record,
    place,
    unit_records,
    upstream_records,
)
from awareness_pipeline.config import Settings, identity
from awareness_pipeline.evidence.contexts import plan_contexts, read_traces, trees_of
from awareness_pipeline.evidence.plan import Plan
from awareness_pipeline.evidence.prompts import plan_prompts, read_prompts
from awareness_pipeline.evidence.verdicts import judged, label
from awareness_pipeline.gitio.commits import commit_file
from awareness_pipeline.launch import run_model
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, pending

ARTIFACT: Final = "data_evidence"
UNIT: Final = "evidence"
REPORT, ROWS = "evidence.json", "evidence.items.jsonl"
READ: Final = ("task_prompts", "teacher_traces", "commits")
"""What decides the numbers. A commit's tree is decided by its sha, so clones are not among them."""


def run(settings: Settings, partition: str) -> Record:
    """Audit unless that is done; return the record, whose `extra` is the report.

    Raises:
        UserError: the model is not there or cannot be loaded, or another version's settings.
    """
    model = model_identity(settings.model)
    here = place(settings, ARTIFACT, partition, {**identity(settings.audit), "model": model})
    unit = Unit(UNIT, {artifact: _held(settings, artifact) for artifact in READ})
    started, fresh = time.monotonic(), pending(here, [unit])
    if fresh:
        plans = (_prompts(settings, model), _contexts(settings, model))
        outcome = _outcome(plans, _score(settings, here, plans))
        finish_unit(here, unit, outcome, time.monotonic() - started)
    (record,) = unit_records(here)
    spent = time.monotonic() - started if fresh else 0.0
    return close(here, [unit], fresh=len(fresh), extra=record.extra, seconds=spent)


def _held(settings: Settings, artifact: str) -> str:
    found = upstream_records(settings, artifact, settings.shard_keys)
    return digest(*sorted(f"{record.key} {record.digest}" for _, record in found))


def _prompts(settings: Settings, model: str) -> Plan:
    styles, commits = read_prompts(upstream_records(settings, "task_prompts", settings.shard_keys))
    rows = {
        int(record.key): commit_file(folder, record.key)
        for folder, record in upstream_records(settings, "commits", settings.shard_keys)
    }
    return plan_prompts(styles, commits, rows, settings.audit, model)


def _contexts(settings: Settings, model: str) -> Plan:
    tasks = read_traces(upstream_records(settings, "teacher_traces", settings.shard_keys))
    clones = {
        int(record.key): folder / f"{record.key}.git"
        for folder, record in upstream_records(settings, "clones", settings.shard_keys)
    }
    trees = trees_of(clones, settings.distil.max_file_bytes)
    return plan_contexts(tasks, trees, settings.audit, model)


def _score(settings: Settings, here: Place, plans: Sequence[Plan]) -> dict[str, Any]:
    """Have the model score what is asked; return its report. Nothing asked: an empty one."""
    asked = [request for plan in plans for request in plan.requests]
    here.scratch.mkdir(parents=True, exist_ok=True)
    if asked:
        requests = here.scratch / "requests.jsonl"
        write_rows(requests, asked)
        args = ["--model", settings.model, "--device", settings.device]
        args += ["--requests", str(requests), "--answers", str(here.scratch / "answers.jsonl")]
        args += ["--seed", str(settings.audit.seed), "--report", str(here.scratch / REPORT)]
        run_model("audit", args, "audit", here.scratch / "audit.log")
    else:
        write_rows(here.scratch / ROWS, ())
        write_atomic(here.scratch / REPORT, b'{"measures": [], "dropped": {}}\n')
    for name in (ROWS, REPORT):
        write_atomic(here.folder / name, (here.scratch / name).read_bytes())
    return dict(json.loads((here.folder / REPORT).read_bytes()))


def _outcome(plans: Sequence[Plan], report: dict[str, Any]) -> Outcome:
    dropped: Counter[str] = Counter(report["dropped"])
    for plan in plans:
        for (_, reason), number in plan.dropped.items():
            dropped[reason] += number
    offered = sum(sum(plan.offered.values()) for plan in plans)
    counts = Counts(offered, offered - sum(dropped.values()), dict(sorted(dropped.items())))
    measures = judged(report["measures"], plans)
    unclear = [f"{label(one)}: {one['why']}" for one in measures if one["headline"] and one["why"]]
    return Outcome(counts, (REPORT, ROWS), {"measures": measures, "unclear": unclear})
