"""Teacher traces and the files that their teacher saw, as questions to the audit.

How likely is a trace's response behind the files of its own repository, and behind files of another
one? Own files are those of the trace's manifest, in its order, from the tree at `parent_sha`; the
other ones are what the teacher saw for a trace of another repository, of the same language where
there is one. The audit gives both the same number of tokens.

Only traces of kind `instruction` are asked about. The two targets stand apart, because the teacher
wrote its own answer with its own files in view: that these make it likelier is all but given. The
true diff (`commit`) was written without the teacher.

Limits: files are read through the limits of `distil` on their size; no other path of a tree is
looked at; the audit may read less of a manifest than the teacher did (`Audit.max_context_tokens`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from awareness_model.schema import AuditRequest, Reading, SourceFile, digest
from awareness_pipeline.artifacts import Record
from awareness_pipeline.config import Audit
from awareness_pipeline.evidence.partners import chosen, ranked
from awareness_pipeline.evidence.plan import Plan
from awareness_pipeline.gitio.repository import RepositoryError
from awareness_pipeline.gitio.snapshot import TreeFile, read_files

__all__ = ["TARGETS", "Answered", "plan_contexts", "read_traces", "trees_of"]

TARGETS: Final = ("teacher", "commit")
COLUMNS: Final = (
    "repo_id",
    "sha",
    "parent_sha",
    "kind",
    "style",
    "target",
    "prompt",
    "response_text",
    "manifest_paths",
    "language",
)
CHARACTERS_PER_TOKEN: Final = 16
"""More text than this per token is never sent: it would not be read."""
KEPT_TREES: Final = 8

Trees = Callable[[int, str, tuple[str, ...]], Mapping[str, str]]
"""Texts by path of a repository's tree, as far as they are there; RepositoryError where it cannot
be read."""
Files = tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for one target, and the response."""

    prompt: str
    response: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A task over one tree, with its answers by target."""

    repo_id: int
    sha: str
    parent_sha: str
    style: str
    language: str
    manifest: tuple[str, ...]
    """Paths that the teacher saw, most relevant first."""
    answers: Mapping[str, Answer]

    @property
    def key(self) -> str:
        """Return its name."""
        return f"{self.repo_id}:{self.sha}:{self.style}"


def read_traces(traces: Iterable[tuple[Path, Record]]) -> list[Answered]:
    """Return the tasks of all traces of kind `instruction` whose teacher saw files."""
    found: dict[tuple[int, str, str], Answered] = {}
    for row in _rows(traces):
        if row["kind"] == "instruction" and row["target"] in TARGETS and row["manifest_paths"]:
            key = (row["repo_id"], row["sha"], row["style"])
            before = found[key].answers if key in found else {}
            answer = Answer(row["prompt"], row["response_text"])
            found[key] = Answered(
                repo_id=row["repo_id"],
                sha=row["sha"],
                parent_sha=row["parent_sha"],
                style=row["style"],
                language=row["language"],
                manifest=tuple(row["manifest_paths"]),
                answers={**before, row["target"]: answer},
            )
    return list(found.values())


def trees_of(clones: Mapping[int, Path], max_file_bytes: int) -> Trees:
    """Return a reader of trees that keeps the last few it read."""

    @lru_cache(maxsize=KEPT_TREES)
    def tree(repo_id: int, sha: str, paths: tuple[str, ...]) -> Mapping[str, str]:
        if repo_id not in clones:
            raise RepositoryError("there is no clone")
        found = read_files(clones[repo_id], sha, paths, max_file_bytes=max_file_bytes)
        return {path: file.text for path, file in found.items() if isinstance(file, TreeFile)}

    return tree


def plan_contexts(tasks: Sequence[Answered], trees: Trees, settings: Audit, model: str) -> Plan:
    """Return what is asked about contexts."""
    plan = Plan("context", TARGETS)
    for task in tasks:
        plan.offered.update(task.answers.keys())
    firsts = _firsts(tasks, settings.seed)
    most = max((len(one.answers) for one in tasks), default=0)
    taken = chosen(
        tasks,
        settings.max_tasks,
        settings.seed,
        lambda one: (len(one.answers) < most) if one.key in firsts else 2,
    )
    asked = {one.key for one in taken}
    for task in sorted(tasks, key=lambda one: one.key):
        files, reason = {}, "over_cap"
        if task.key in asked:
            files = _files_of(task, tasks, trees, settings)
            reason = _lack(files)
        for target, answer in sorted(task.answers.items()):
            why = reason or ("" if answer.response.strip() else "no_response")
            if why:
                plan.dropped[target, why] += 1
            else:
                plan.requests.append(_request(task, target, files, settings, model))
    return plan


def _firsts(tasks: Iterable[Answered], seed: int) -> set[str]:
    """Return one task of each commit, with both targets where there is one: its styles have the
    true diff in common."""
    firsts: dict[tuple[int, str], str] = {}
    for one in sorted(tasks, key=lambda one: (-len(one.answers), digest(str(seed), one.key))):
        firsts.setdefault((one.repo_id, one.sha), one.key)
    return set(firsts.values())


def _rows(traces: Iterable[tuple[Path, Record]]) -> Iterator[dict[str, Any]]:
    for folder, record in traces:
        for name in sorted(record.files):
            if name.endswith(".parquet"):
                yield from pq.read_table(folder / name, columns=list(COLUMNS)).to_pylist()


def _files_of(
    own: Answered, tasks: Sequence[Answered], trees: Trees, settings: Audit
) -> dict[str, Files]:
    """Return the files by reading; without those of trees that cannot be read."""
    room = settings.max_context_tokens * CHARACTERS_PER_TOKEN
    mine = _seen(trees, own, room)
    if not mine:
        return {}
    far = [one for one in tasks if one.repo_id != own.repo_id]
    for other in ranked(own, far, settings.seed, lambda one: one.language != own.language):
        if theirs := _seen(trees, other, room):
            return {"own": mine, "other": theirs}
    return {"own": mine}


def _lack(files: Mapping[str, Files]) -> str:
    """Return why files do not make a comparison; empty if they do."""
    return ("no_tree", "no_other_repository", "")[len(files)]


def _seen(trees: Trees, task: Answered, room: int) -> Files:
    """Return the files that the teacher saw, up to `room` characters, the last one cut."""
    try:
        texts = trees(task.repo_id, task.parent_sha, task.manifest)
    except RepositoryError:
        return ()
    seen = []
    for path in task.manifest:
        if path in texts and room > 0:
            seen.append(SourceFile(path, texts[path][:room]))
            room -= len(texts[path])
    return tuple(seen)


def _request(
    task: Answered, target: str, files: Mapping[str, Files], settings: Audit, model: str
) -> AuditRequest:
    limits = (settings.max_text_tokens, settings.max_prompt_tokens, settings.max_context_tokens)
    answer = task.answers[target]
    text = answer.response[: settings.max_text_tokens * CHARACTERS_PER_TOKEN]
    parts = (answer.prompt, text, *map(str, limits))
    read = (part for name, held in files.items() for one in held for part in (name, *astuple(one)))
    return AuditRequest(
        id=digest(model, task.key, "context", target, *parts, *read),
        kind="context",
        group=target,
        repo_id=task.repo_id,
        sha=task.sha,
        text=text,
        readings=tuple(Reading(name, answer.prompt, held) for name, held in files.items()),
        max_text_tokens=settings.max_text_tokens,
        max_prompt_tokens=settings.max_prompt_tokens,
        max_context_tokens=settings.max_context_tokens,
    )
