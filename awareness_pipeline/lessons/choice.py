"""Which tasks of a repository are answered first: different commits, then further styles of them.

Commits begin with one style after the other, and repositories at different ones, so that a small
cap sees all of them. Limits: by place alone; what a task asks for does not count.
"""

from collections.abc import Sequence

from awareness_pipeline.records import TaskPrompt

__all__ = ["in_turn"]


def in_turn(tasks: Sequence[TaskPrompt], styles: Sequence[str], first: int = 0) -> list[TaskPrompt]:
    """Return the tasks of the given styles in the order in which they are taken.

    Args:
        first: which style the first commit begins with, counted round and round.
    """
    by_commit: dict[str, dict[str, TaskPrompt]] = {}
    for task in tasks:
        if task.style in styles:
            by_commit.setdefault(task.sha, {})[task.style] = task
    rounds: list[list[TaskPrompt]] = [[] for _ in styles]
    for number, found in enumerate(by_commit.values(), start=first):
        start = number % len(styles)
        turned = [found[style] for style in (*styles[start:], *styles[:start]) if style in found]
        for place, task in enumerate(turned):
            rounds[place].append(task)
    return [task for one in rounds for task in one]
