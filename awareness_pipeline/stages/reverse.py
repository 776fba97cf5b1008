"""reverse: a language model writes the tasks that a commit answers, in several styles.

A unit leaves `<repo_id>.jsonl`: per chosen commit a `TaskPrompt` row of each style, in the order of
`Reverse.styles`, and the cleaned commit message as the style `message`; accepted, or rejected with
the reason (`teacher/tasks.py`). Chosen are commits of training repositories alone, dealt evenly to
shards and repositories, small changes of source files first. Requests are formed over the whole
shard. Names are looked up in the tree at `parent_sha`, once per repository.

Rows in are prompts: kept commits times styles, the message among them. In, out and dropped add up.

A repository some of whose answers did not come (a budget, an endpoint that failed) is counted by
the reason and tried again by the next run, which asks only for what is not in the teacher's cache.

`Record.extra` of a unit: `accepted` (rows that go on), `by_style` (of them, by style), `funnel` (by
style, what is left after each step; `teacher/funnel.py`), `split`.

Limits: what a task asks for is compared with the change by words only, unless a judge is asked. A
commit whose objects are missing is asked about without signatures, and nothing is known of its
tree. Where a budget left answers open, the judge's batches are formed without them.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from awareness_model.schema import digest, read_rows, write_rows
from awareness_pipeline.artifacts import Counts, Place, Record, place, upstream_records
from awareness_pipeline.config import Settings, identity
from awareness_pipeline.gitio.commits import commit_file
from awareness_pipeline.gitio.repository import RepositoryError
from awareness_pipeline.lessons.subjects import known_names, subjects_of
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.teacher.backend import Batch, ask, teacher_identity, teacher_shape
from awareness_pipeline.teacher.budget import deal, shard_share
from awareness_pipeline.teacher.chat import ChatAnswer, ChatRequest
from awareness_pipeline.teacher.funnel import funnel
from awareness_pipeline.teacher.judging import JUDGED, judge_template, judged, rating_of
from awareness_pipeline.teacher.tasks import (
    Subject,
    Writer,
    drafts_of,
    question,
    rows_of,
    writer_of,
)
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, pending

ARTIFACT: Final = "task_prompts"

Rows = dict[str, list[TaskPrompt]]
"""By unit key."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A curated repository, its commits and clone, and how many commits it may bring."""

    clone: Path
    head: str
    commits: Path
    decisions: Path
    curated: Record
    extracted: Record
    quota: int

    @property
    def split(self) -> str:
        return str(self.curated.extra["split"])

    def unit(self, key: str) -> Unit:
        """Return what makes this repository's rows what they are."""
        inputs = {"commits": self.extracted.digest, "curated_commits": self.curated.digest}
        return Unit(key, {**inputs, "clones": digest(self.head), "quota": str(self.quota)})

    def subjects(self) -> list[Subject]:
        """Return the commits that are asked about, best first."""
        return subjects_of(self.commits, self.decisions, self.clone, self.quota)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A request, and the row that it is about."""

    key: str
    sha: str
    style: str
    request: ChatRequest


@dataclass(slots=True)
class _Shard:
    """A shard's units while they are worked on."""

    settings: Settings
    here: Place
    writer: Writer
    subjects: Mapping[str, Sequence[Subject]]
    """Of every unit, to do or done: batches are formed over them all."""
    todo: list[str]
    waiting: dict[str, str] = field(default_factory=dict)
    """Units that cannot be finished now, each with the reason."""
    batches: list[Batch] = field(default_factory=list)

    @property
    def going(self) -> list[str]:
        """Return the keys to do that nothing holds up."""
        return [key for key in self.todo if key not in self.waiting]

    @property
    def down(self) -> bool:
        """Whether the endpoint has stopped answering."""
        return any(batch.down for batch in self.batches)


def run(settings: Settings, partition: str) -> Record:
    """Write the tasks of a shard that are not written yet; return the shard's record.

    Raises:
        UserError: the settings cannot be used, or the teacher is not there, or does not answer any
            more; what is done is written.
    """
    began = time.monotonic()
    writer = writer_of(teacher_identity(settings), settings.reverse)
    here = place(settings, ARTIFACT, partition, _shape(settings, writer))
    sources = _sources(settings, partition)
    units = {key: source.unit(key) for key, source in sources.items()}
    todo = [unit.key for unit in pending(here, units.values())]
    subjects = {key: source.subjects() for key, source in sources.items()} if todo else {}
    shard = _Shard(settings, here, writer, subjects, todo)
    rows = _judge(shard, _write_tasks(shard, sources))
    for key in shard.going:
        _finish(here, units[key], sources[key], rows[key], styles=len(writer.templates) + 1)
    seconds, done = time.monotonic() - began, len(shard.going)
    failed = Counter(shard.waiting.values())
    record = close(here, units.values(), fresh=done, failed=failed, seconds=seconds)
    for batch in shard.batches:
        batch.require_up()
    return record


def _shape(settings: Settings, writer: Writer) -> dict[str, object]:
    """Return what makes the rows what they are: the stage's part of the fingerprint."""
    templates = {style: one.fingerprint for style, one in writer.templates.items()}
    if settings.reverse.judge:
        templates["judge"] = judge_template().fingerprint
    return {**identity(settings.reverse), **teacher_shape(settings), "templates": templates}


def _sources(settings: Settings, partition: str) -> dict[str, _Source]:
    """Return the shard's curated repositories with their shares of its part of the cap."""
    clones, extracted, curated = (
        {
            record.key: (folder, record)
            for folder, record in upstream_records(settings, artifact, (partition,))
        }
        for artifact in ("clones", "commits", "curated_commits")
    )
    known = [key for key in curated if key in extracted and key in clones]
    share = shard_share(settings.reverse.max_commits, partition, settings.shards)
    sizes = {
        key: curated[key][1].counts.rows_out
        for key in known
        if curated[key][1].extra["split"] == "train"
    }
    quotas = deal(share, sizes, settings.reverse.at_a_time)
    return {
        key: _Source(
            clone=clones[key][0] / f"{key}.git",
            head=str(clones[key][1].extra["head"]),
            commits=commit_file(extracted[key][0], key),
            decisions=curated[key][0] / f"{key}.jsonl",
            curated=curated[key][1],
            extracted=extracted[key][1],
            quota=quotas.get(key, 0),
        )
        for key in known
    }


def _write_tasks(shard: _Shard, sources: Mapping[str, _Source]) -> Rows:
    """Ask about every commit in every style; return the rows of the units whose answers came."""
    writer, rows = shard.writer, Rows()
    askings = [
        _Asking(key, subject.commit.sha, style, question(writer, subject, style))
        for key, subjects in shard.subjects.items()
        for subject in subjects
        if subject.lines
        for style in writer.templates
    ]
    answers = _ask(shard, askings, "reverse")
    for key in shard.going:
        drafts = [
            draft
            for one in shard.subjects[key]
            for draft in drafts_of(writer, one, answers.get((key, one.commit.sha), {}))
        ]
        try:
            rows[key] = rows_of(writer, drafts, known_names(sources[key].clone, drafts))
        except RepositoryError as error:
            shard.waiting[key] = f"failed: {error.reason}"
    return rows


def _judge(shard: _Shard, rows: Rows) -> Rows:
    """Have accepted rows rated if that is wanted. Units done before take their part in batches."""
    if not shard.settings.reverse.judge or not shard.going:
        return rows
    if shard.down:
        shard.waiting |= dict.fromkeys(shard.going, "pending")
        return rows
    stored = {
        key: list(read_rows(TaskPrompt, shard.here.folder / f"{key}.jsonl"))
        for key in shard.subjects
        if key not in shard.todo
    }
    template, reverse = judge_template(), shard.settings.reverse
    askings = []
    for key, several in sorted({**stored, **rows}.items()):
        known = {one.commit.sha: one for one in shard.subjects[key]}
        for row in several:
            if row.reject_reason in JUDGED:
                rating = rating_of(template, known[row.sha], row, reverse.max_prompt_tokens)
                askings.append(_Asking(key, row.sha, row.style, rating))
    answers = _ask(shard, askings, "judge")
    return {
        key: [judged(row, answers.get((key, row.sha), {}), reverse.min_judge) for row in rows[key]]
        for key in shard.going
    }


def _ask(
    shard: _Shard, askings: Sequence[_Asking], label: str
) -> dict[tuple[str, str], dict[str, ChatAnswer]]:
    """Return answers by style, for each unit and commit. Units with an open request wait, each for
    the reason of its first."""
    if not askings:
        return {}
    going = set(shard.going)
    batch = ask(
        shard.settings,
        "reverse",
        [one.request for one in askings],
        shard.here.scratch,
        wanted=[number for number, one in enumerate(askings) if one.key in going],
        label=f"{label} {shard.here.partition}",
    )
    shard.batches.append(batch)
    for number, reason in sorted(batch.unanswered.items()):
        shard.waiting.setdefault(askings[number].key, reason)
    answers: dict[tuple[str, str], dict[str, ChatAnswer]] = {}
    for one, answer in zip(askings, batch.answers, strict=True):
        if answer:
            answers.setdefault((one.key, one.sha), {})[one.style] = answer
    return answers


def _finish(
    here: Place, unit: Unit, source: _Source, rows: Sequence[TaskPrompt], *, styles: int
) -> None:
    """Write a unit's rows, then its record."""
    name = f"{unit.key}.jsonl"
    write_rows(here.folder / name, rows)
    by_style = Counter(row.style for row in rows if row.accepted)
    wanted = source.curated.counts.rows_out * styles
    dropped = Counter(row.reject_reason for row in rows if not row.accepted)
    if beyond := wanted - len(rows):
        dropped["over_cap" if source.split == "train" else source.split] = beyond
    counts = Counts(wanted, by_style.total(), dict(sorted(dropped.items())))
    extra = {
        "accepted": by_style.total(),
        "by_style": dict(by_style),
        "funnel": funnel(rows),
        "split": source.split,
    }
    finish_unit(here, unit, Outcome(counts, files=(name,), extra=extra))
