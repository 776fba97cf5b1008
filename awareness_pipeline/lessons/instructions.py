"""Lessons of tasks: what a commit's author was asked, over the tree that the author saw.

Gold are the files that the true diff touches and those that define names it uses. The teacher is
offered the touched files, what they import, their folders, the rest. Its answer is its own, or the
true diff as an edit, or both; a diff that cannot be an edit is counted as `diff_<reason>`.

A task that names a file which the diff touches gives that file to the student, from its beginning
up to a limit; one that holds a secret or an address is not given, since tokens cannot be redacted.
Limits: a task names a file by its path or its whole name, nothing less.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from awareness_model.schema import SourceFile
from awareness_pipeline.curation.sensitive import find
from awareness_pipeline.lessons.choice import in_turn
from awareness_pipeline.lessons.ground import Ground, Tree
from awareness_pipeline.records import Commit, TaskPrompt
from awareness_pipeline.symbols.gold import Gold, gold_files, imports_of
from awareness_pipeline.teacher.edits import Inexpressible, refusal, search_replace, unified
from awareness_pipeline.teacher.packing import by_relevance, offered
from awareness_pipeline.teacher.room import most_tokens
from awareness_pipeline.teacher.traces import (
    COMMIT,
    INSTRUCTION,
    TEACHER,
    Lesson,
    Trace,
    lesson_of,
)

__all__ = ["instructions", "named_file", "targets_of", "true_edit"]

SHARD_BITS: Final = 16
"""Of a repository's number: a shard's repositories have its lowest ones in common."""
LEAST_HOPS: Final = 2
"""Files beyond the touched ones that make a task a multi-hop one."""
MOST_CHARACTERS: Final = 32
"""Per token: a text of more is too long without counting."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all tasks of a commit have in common."""

    gold: Gold
    files: tuple[tuple[SourceFile, str], ...]
    """What the teacher is offered, each with the reason."""
    touched: tuple[SourceFile, ...]
    edit: str
    refused: str
    """Why there is no edit."""
    language: str
    bytes: int


def targets_of(target: str) -> tuple[str, ...]:
    """Return what a task is answered with: `teacher`, `commit`, or both."""
    return (TEACHER, COMMIT) if target == "both" else (target,)


def instructions(
    ground: Ground, tasks: Sequence[TaskPrompt], commits: Mapping[str, Commit], quota: int
) -> tuple[list[Lesson], Counter[str]]:
    """Return the lessons of up to `quota` tasks, and why others have none; together they are all
    tasks times the targets. Each commit's lessons stand together.

    Args:
        tasks: accepted ones, in order.
        commits: those of the tasks, by sha.

    Raises:
        RepositoryError: a tree cannot be read.
    """
    targets = targets_of(ground.settings.target)
    order = in_turn(tasks, ground.settings.styles, ground.repo_id >> SHARD_BITS)
    dropped = Counter({"style": (len(tasks) - len(order)) * len(targets)})
    scenes: dict[str, _Scene] = {}
    lessons: list[Lesson] = []
    taken = 0
    for task in order:
        if taken == quota:
            dropped["over_cap"] += len(targets)
            continue
        if task.sha not in scenes:
            scenes[task.sha] = _scene(ground, commits[task.sha], str(task.parent_sha))
        scene = scenes[task.sha]
        if reason := _unfit(scene, ground):
            dropped[reason] += len(targets)
            continue
        made = [
            _lesson(ground, task, scene, one) for one in targets if one == TEACHER or scene.edit
        ]
        dropped[scene.refused] += len(targets) - len(made)
        taken += bool(made)
        lessons += made
    place = {sha: number for number, sha in enumerate(dict.fromkeys(one.sha for one in tasks))}
    lessons.sort(key=lambda one: place[one.trace.sha])
    return lessons, +dropped


def named_file(prompt: str, touched: Sequence[SourceFile], max_bytes: int) -> SourceFile | None:
    """Return the touched file that a prompt names first, by path or name, cut behind the last whole
    line within `max_bytes`; None where it names none, not even a line fits, or what fits must not
    be given out."""
    found = []
    for file in touched:
        for name in (file.path, PurePosixPath(file.path).name):
            if place := re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)", prompt):
                found.append((place.start(), -len(name), file.path, file))
    if not found:
        return None
    file = min(found, key=lambda one: one[:3])[3]
    text = _first_lines(file.text, max_bytes)
    return replace(file, text=text) if text and not find(text) else None


def true_edit(commit: Commit, tree: Tree, form: str, max_tokens: int) -> tuple[str, str]:
    """Return (a commit's diff as an edit, why there is none)."""
    if reason := refusal(commit):
        return "", f"diff_{reason}"
    try:
        if form == "unified":
            text = unified(commit.diff)
        else:
            text = search_replace(commit.diff, tree.texts)
    except Inexpressible as error:
        return "", f"diff_{error.reason}"
    if not text.strip():
        return "", "diff_empty"
    if len(text) > MOST_CHARACTERS * max_tokens or most_tokens(text) > max_tokens:
        return "", "diff_too_long"
    return text, ""


def _scene(ground: Ground, commit: Commit, parent_sha: str) -> _Scene:
    settings, tree = ground.settings, ground.tree(parent_sha)
    gold = gold_files(tree.named, commit.diff, index=ground.index)
    touched = {change.old_path or change.path for change in commit.files}
    imported = imports_of(tree.named, gold.touched, index=ground.index)
    sources = [tree.source(path) for path in tree.texts]
    edit, refused = "", ""
    if COMMIT in targets_of(settings.target):
        edit, refused = true_edit(commit, tree, settings.edit_form, settings.max_response_tokens)
    return _Scene(
        gold=gold,
        files=offered(by_relevance(sources, touched, imported), settings.max_context_tokens),
        touched=tuple(tree.source(path) for path in gold.touched),
        edit=edit,
        refused=refused,
        language=tree.language,
        bytes=tree.bytes,
    )


def _unfit(scene: _Scene, ground: Ground) -> str:
    """Return why no task of a commit is asked: nothing of the tree decides it, or too little."""
    if not scene.gold.paths:
        return "no_gold"
    few = ground.settings.multi_hop_only and scene.gold.hops < LEAST_HOPS
    return "few_hops" if few else ""


def _lesson(ground: Ground, task: TaskPrompt, scene: _Scene, target: str) -> Lesson:
    settings = ground.settings
    trace = Trace(
        repo_id=task.repo_id,
        sha=task.sha,
        parent_sha=str(task.parent_sha),
        kind=INSTRUCTION,
        style=task.style,
        target=target,
        prompt=task.prompt,
        response=scene.edit if target == COMMIT else None,
        gold_paths=scene.gold.paths,
        hops=scene.gold.hops,
        language=scene.language,
        repository_bytes=scene.bytes,
        student=named_file(task.prompt, scene.touched, settings.max_student_bytes),
    )
    return lesson_of(trace, scene.files, settings, ground.teacher)


def _first_lines(text: str, max_bytes: int) -> str:
    kept = []
    for line in text.splitlines(keepends=True):
        max_bytes -= len(line.encode())
        if max_bytes < 0:
            break
        kept.append(line)
    return "".join(kept)
