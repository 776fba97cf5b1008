"""Lessons of state: one question asked of successive trees, whose answer an edit changes.

The trees are the newest ones of the first-parent line that ends in HEAD, oldest first. A chain is
kept whole or not at all; at every step the teacher reads the file that decides, as it was then.
Limits: changes older than those trees are not seen; a tree whose commit was not extracted ends the
line.
"""

from collections.abc import Mapping
from typing import Final

from awareness_pipeline.lessons.ground import Ground, Tree
from awareness_pipeline.symbols.changes import Chain, chains
from awareness_pipeline.teacher.traces import GOLD, SPAN, STATE, Lesson, Trace, lesson_of

__all__ = ["newest_line", "states"]

SEED: Final = 0


def newest_line(parents: Mapping[str, str | None], head: str, count: int) -> list[str]:
    """Return the last `count` shas of a first-parent line, oldest first.

    Args:
        parents: first parent by sha; None for a root.
    """
    line: list[str] = []
    sha: str | None = head
    while sha and sha in parents and len(line) < count:
        line.append(sha)
        sha = parents[sha]
    return line[::-1]


def states(
    ground: Ground, parents: Mapping[str, str | None], head: str, quota: int
) -> list[Lesson]:
    """Return up to `quota` lessons of chains, each chain's in order.

    Raises:
        RepositoryError: a tree cannot be read.
    """
    line = newest_line(parents, head, ground.settings.state_trees)
    if not quota or len(line) < 2:
        return []
    trees = {sha: ground.tree(sha) for sha in line}
    named = {sha: set(tree.named) for sha, tree in trees.items()}
    found = chains(
        named.items(),
        seed=SEED,
        limit=quota // 2,
        index=ground.index,
        unchanged=set.intersection(*named.values()),
    )
    lessons: list[Lesson] = []
    for chain in found:
        if len(lessons) + len(chain.steps) <= quota:
            lessons += _of_chain(ground, chain, trees)
    return lessons


def _of_chain(ground: Ground, chain: Chain, trees: Mapping[str, Tree]) -> list[Lesson]:
    lessons = []
    for number, step in enumerate(chain.steps):
        tree = trees[step.sha]
        trace = Trace(
            repo_id=ground.repo_id,
            sha=step.sha,
            parent_sha=step.sha,
            kind=STATE,
            style="",
            target=SPAN,
            prompt=chain.prompt,
            response=step.answer,
            gold_paths=(step.path,),
            chain=chain.chain_id,
            step=number,
            language=chain.language,
            repository_bytes=tree.bytes,
        )
        files = [(tree.source(step.path), GOLD)]
        lessons.append(lesson_of(trace, files, ground.settings, ground.teacher))
    return lessons
