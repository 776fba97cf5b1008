"""Lessons of spans: code of HEAD's tree that another file of it decides, no language model asked.

The teacher reads the deciding file alone and is forced along the true text. Limits: HEAD only, so
`sha` and `parent_sha` are the same.
"""

from typing import Final

from awareness_pipeline.lessons.ground import Ground
from awareness_pipeline.symbols.items import build_items
from awareness_pipeline.teacher.traces import GOLD, RECONSTRUCTION, SPAN, Lesson, Trace, lesson_of

__all__ = ["reconstructions"]

SEED: Final = 0


def reconstructions(ground: Ground, head: str, quota: int) -> list[Lesson]:
    """Return up to `quota` lessons of a tree.

    Raises:
        RepositoryError: it cannot be read.
    """
    if not head or not quota:
        return []
    tree = ground.tree(head)
    lessons = []
    for item in build_items(tree.named, seed=SEED, limit=quota):
        trace = Trace(
            repo_id=ground.repo_id,
            sha=head,
            parent_sha=head,
            kind=RECONSTRUCTION,
            style="",
            target=SPAN,
            prompt=item.prompt,
            response=item.answer,
            gold_paths=item.gold,
            language=item.language,
            repository_bytes=tree.bytes,
        )
        files = [(tree.source(path), GOLD) for path in item.gold]
        lessons.append(lesson_of(trace, files, ground.settings, ground.teacher))
    return lessons
