"""All lessons of a repository, in the order of its trace file: tasks, spans, chains.

Limits: lessons hold the texts that the teacher is offered, at most two windows' worth each
(`packing`); trees are let go as soon as their lessons are made.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from awareness_model.schema import read_rows
from awareness_pipeline.gitio.commits import read_commits
from awareness_pipeline.lessons.ground import Ground
from awareness_pipeline.lessons.instructions import instructions
from awareness_pipeline.lessons.reconstructions import reconstructions
from awareness_pipeline.lessons.states import states
from awareness_pipeline.records import Commit, TaskPrompt
from awareness_pipeline.teacher.traces import Lesson

__all__ = ["Plan", "Shares", "plan"]


@dataclass(frozen=True, slots=True)
class Shares:
    """How much a repository may bring: tasks answered, and traces of spans and of chains."""

    tasks: int
    reconstructions: int
    states: int

    def __str__(self) -> str:
        """Return the numbers, as they stand in a unit's inputs."""
        return f"{self.tasks}+{self.reconstructions}+{self.states}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked about a repository, and why the rest is not."""

    lessons: tuple[Lesson, ...]
    dropped: Counter[str]


def plan(ground: Ground, tasks: Path, commits: Path, head: str, shares: Shares) -> Plan:
    """Return a repository's lessons.

    Args:
        tasks: the file of its task prompts.
        commits: the file of its commits.
        head: the newest commit; empty for a repository without one.

    Raises:
        RepositoryError: its clone cannot be read.
    """
    accepted = [row for row in read_rows(TaskPrompt, tasks) if row.accepted and row.parent_sha]
    wanted = {row.sha for row in accepted} if shares.tasks else set()
    found: dict[str, Commit] = {}
    parents: dict[str, str | None] = {}
    for commit in read_commits(commits) if wanted or shares.states else ():
        parents[commit.sha] = commit.parent_sha
        if commit.sha in wanted:
            found[commit.sha] = commit
    asked, dropped = instructions(ground, accepted, found, shares.tasks)
    spans = reconstructions(ground, head, shares.reconstructions)
    chained = states(ground, parents, head, shares.states)
    return Plan((*asked, *spans, *chained), dropped)
