"""distil: the teacher answers with the repository in its context, and its answers are kept.

A unit leaves `<repo_id>.parquet` (columns: `awareness_model.schema.TRACE_COLUMNS`): traces of
accepted tasks over the tree at `parent_sha` (kind `instruction`), of spans that another file
decides (`reconstruction`, from HEAD's tree), and of questions over successive trees (`state`).
Training repositories alone; caps are dealt evenly to shards and their repositories.

Rows in: accepted tasks times targets, and spans found; out: traces. Asked are the model on this
machine, whose batches are formed over the whole shard, or an endpoint, whose answers are put into
the student's tokens or kept as text (`teacher/files.py`). A repository some of whose answers did
not come (a budget, an endpoint that went away) is counted by the reason and done by the next run.

`Record.extra` of a unit: traces by kind, `cut` (answers that the limit ended: every token has its
teacher, so they are kept), `text_only` (without alternatives), `multi_hop` (two hops and more).

Limits: only what is reachable from the tree in question is read, never later history; the lessons
of a shard are held in memory.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from awareness_model.config import model_identity
from awareness_model.schema import DistilAnswer, digest
from awareness_pipeline.artifacts import Counts, Place, Record, place, upstream_records, writing
from awareness_pipeline.config import Settings, UserError, identity
from awareness_pipeline.gitio.commits import commit_file
from awareness_pipeline.gitio.repository import RepositoryError
from awareness_pipeline.gitio.trees import TreeReader
from awareness_pipeline.lessons.ground import Ground
from awareness_pipeline.lessons.instructions import LEAST_HOPS, targets_of
from awareness_pipeline.lessons.plan import Plan, Shares, plan
from awareness_pipeline.symbols.index import SymbolIndex
from awareness_pipeline.teacher.backend import teacher_identity, teacher_shape
from awareness_pipeline.teacher.budget import deal, shard_share
from awareness_pipeline.teacher.files import ask_files
from awareness_pipeline.teacher.local import Given
from awareness_pipeline.teacher.traces import (
    COMMIT,
    INSTRUCTION,
    RECONSTRUCTION,
    STATE,
    row_of,
    why_unusable,
    write_traces,
)
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, pending

ARTIFACT: Final = "teacher_traces"
KINDS: Final = (INSTRUCTION, RECONSTRUCTION, STATE)


@dataclass(frozen=True, slots=True)
class _Source:
    """A training repository with tasks, and how many traces it may bring."""

    clone: Path
    head: str
    commits: Path
    tasks: Path
    record: Record
    shares: Shares

    def unit(self, key: str) -> Unit:
        """Return what makes this repository's traces what they are."""
        inputs = {"task_prompts": self.record.digest, "clones": digest(self.head)}
        return Unit(key, {**inputs, "quota": str(self.shares)})


def run(settings: Settings, partition: str) -> Record:
    """Make the traces of a shard that are not made yet; return the shard's record.

    Raises:
        UserError: the teacher is not there, cannot do what is asked of it, or does not answer any
            more; what is done is written.
    """
    began = time.monotonic()
    here = place(settings, ARTIFACT, partition, shape_of(settings))
    sources = _sources(settings, partition)
    units = {key: source.unit(key) for key, source in sources.items()}
    todo = {unit.key for unit in pending(here, units.values())}
    failed: Counter[str] = Counter()
    given: Given[DistilAnswer] = Given()
    done = 0
    if todo:
        plans, failed = _plans(settings, sources, todo)
        given = _ask(settings, here, plans, todo)
        for key in sorted(todo & plans.keys()):
            waiting = [given.unanswered.get(one.request.id) for one in plans[key].lessons]
            if reason := next(filter(None, waiting), ""):
                failed[reason] += 1
            else:
                _write(here, units[key], plans[key], given.answers)
                done += 1
    seconds = time.monotonic() - began
    record = close(here, units.values(), fresh=done, failed=failed, seconds=seconds)
    given.require_up()
    return record


def shape_of(settings: Settings) -> dict[str, Any]:
    """Return all that makes traces what they are, beside their inputs.

    Raises:
        UserError: the model is not there, or an endpoint cannot be forced along the true diff.
    """
    teacher, shape = settings.teacher, {**identity(settings.distil), **teacher_shape(settings)}
    if not teacher.url:
        return shape
    if COMMIT in targets_of(settings.distil.target) and not teacher.prompt_logprobs:
        raise UserError(
            "this endpoint cannot be forced along the true diff: set "
            "AWARENESS_TEACHER_PROMPT_LOGPROBS to the alternatives it gives for the tokens of a "
            "prompt (vLLM: its --max-logprobs, usually 20), or use --target teacher"
        )
    alternatives = {"top": teacher.top_logprobs, "prompt": teacher.prompt_logprobs}
    limits = {f"{name}_logprobs": most for name, most in alternatives.items()}
    return {**shape, **limits, "student": model_identity(settings.model)}


def _sources(settings: Settings, partition: str) -> dict[str, _Source]:
    """Return the shard's training repositories with their shares of its part of the caps."""
    found = {
        artifact: {
            record.key: (folder, record)
            for folder, record in upstream_records(settings, artifact, (partition,))
        }
        for artifact in ("clones", "commits", "task_prompts")
    }
    clones, commits, tasks = found["clones"], found["commits"], found["task_prompts"]
    train = {
        key: record
        for key, (_, record) in tasks.items()
        if record.extra["split"] == "train" and key in clones and key in commits
    }
    shares = _shares(settings, partition, train)
    return {
        key: _Source(
            clone=clones[key][0] / f"{key}.git",
            head=str(clones[key][1].extra["head"]),
            commits=commit_file(commits[key][0], key),
            tasks=tasks[key][0] / f"{key}.jsonl",
            record=record,
            shares=shares[key],
        )
        for key, record in train.items()
    }


def _shares(settings: Settings, partition: str, train: Mapping[str, Record]) -> dict[str, Shares]:
    """Return what each repository may bring of the shard's part of the caps."""
    limits = settings.distil
    caps = (
        limits.max_traces // len(targets_of(limits.target)),
        limits.max_reconstruction,
        limits.max_state,
    )
    tasks, spans, states = (shard_share(cap, partition, settings.shards) for cap in caps)
    sizes = {
        key: sum(record.extra["by_style"].get(style, 0) for style in limits.styles)
        for key, record in train.items()
    }
    dealt = (
        deal(tasks, sizes),
        deal(spans, dict.fromkeys(train, spans)),
        # A chain has two steps at least.
        deal(states, dict.fromkeys(train, states), at_a_time=2),
    )
    return {key: Shares(*(one[key] for one in dealt)) for key in train}


def _plans(
    settings: Settings, sources: Mapping[str, _Source], todo: Iterable[str]
) -> tuple[dict[str, Plan], Counter[str]]:
    """Return what is asked about every repository that can be read, and why others cannot be.

    An endpoint is asked about what is to do alone: nothing else decides its answers.
    """
    teacher, wanted = teacher_identity(settings), set(todo)
    plans: dict[str, Plan] = {}
    failed: Counter[str] = Counter()
    for key, source in sources.items():
        if key not in wanted and settings.teacher.url:
            continue
        reader = TreeReader(source.clone, settings.distil.max_file_bytes)
        ground = Ground(int(key), reader, SymbolIndex(), settings.distil, teacher)
        try:
            plans[key] = plan(ground, source.tasks, source.commits, source.head, source.shares)
        except RepositoryError as error:
            if key in wanted:
                failed[f"failed: {error.reason}"] += 1
    return plans, failed


def _ask(
    settings: Settings, here: Place, plans: Mapping[str, Plan], todo: Iterable[str]
) -> "Given[DistilAnswer]":
    """Return the answers to what is to do; requests are formed over all plans."""
    requests = {one.request.id: one.request for each in plans.values() for one in each.lessons}
    chosen = (plans[key] for key in todo if key in plans)
    return ask_files(
        settings,
        "distil",
        requests.values(),
        here.scratch,
        wanted={one.request.id for each in chosen for one in each.lessons},
        label=f"distil {here.partition}",
    )


def _write(here: Place, unit: Unit, plan: Plan, answers: Mapping[str, DistilAnswer]) -> None:
    pairs = [(lesson, answers[lesson.request.id]) for lesson in plan.lessons]
    usable = [(lesson, answer) for lesson, answer in pairs if not why_unusable(answer)]
    name = f"{unit.key}.parquet"
    with writing(here.folder / name) as aside:
        write_traces(aside, (row_of(lesson, answer) for lesson, answer in usable))
    dropped = Counter(reason for _, answer in pairs if (reason := why_unusable(answer)))
    dropped += plan.dropped
    kinds = Counter(lesson.trace.kind for lesson, _ in usable)
    extra = {
        **{kind: kinds[kind] for kind in KINDS},
        "cut": sum(answer.finish_reason == "length" for _, answer in usable),
        "text_only": sum(not answer.topk_ids for _, answer in usable),
        "multi_hop": sum(lesson.trace.hops >= LEAST_HOPS for lesson, _ in usable),
    }
    counts = Counts(len(pairs) + plan.dropped.total(), len(usable), dict(sorted(dropped.items())))
    finish_unit(here, unit, Outcome(counts, files=(name,), extra=extra))
