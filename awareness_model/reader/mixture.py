"""What a step of the course reads: needles, lines of real packages, and lines memory cannot help.

Groups are batches of one kind, since real chunks are several times as long as needles. Everything
is a function of the seed and the step. Limits: needles are drawn anew from one set of documents.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from awareness_model.reader import code_rows, needle_rows
from awareness_model.reader.course import Course
from awareness_model.reader.material import Material
from awareness_model.reader.rows import Row

AT_LEVEL = 0.7
"""Share of needle rows with as many documents as the level says; the others have fewer."""
NEEDLES_FOR_CODE = 0.5
"""Share of harmless rows that read needles; the others read another package."""


def mixture(
    tokenizer: Any, held: Material, course: Course
) -> Callable[[str, int, int], Sequence[Sequence[Row]]]:
    """Return a function of (seed, step, documents visible) to groups of rows."""
    remote = [line for line in held.code.lines if line.remote and held.code.others(line)]
    local = [line for line in held.code.lines if not line.remote]
    paths = [one.path for one in held.needles]

    def needles(seed: str, visible: int) -> list[Row]:
        drawn = random.Random(seed)
        fewer = [1, *(level for level in course.levels if level < visible)]
        made = []
        for number in range(course.needle_rows):
            shown = visible if drawn.random() < AT_LEVEL else drawn.choice(fewer)
            one = f"{seed} {number}"
            asked = course.questions
            made.append(needle_rows.draw(tokenizer, held.needles, shown, asked, one))
        return made

    def code(seed: str) -> list[Row]:
        drawn = random.Random(f"{seed} code")
        lines = drawn.sample(remote, course.code_rows)
        return [code_rows.row(held.code, one, course.code_visible, seed) for one in lines]

    def harmless(seed: str) -> list[Row]:
        drawn = random.Random(f"{seed} harmless")
        made = []
        for line in drawn.sample(local, course.harmless_rows):
            chunks = [one for one in held.code.texts if not one.startswith(f"{line.package}:")]
            names = paths if drawn.random() < NEEDLES_FOR_CODE else chunks
            made.append(code_rows.harmless(line, names, course.code_visible, seed))
        return made

    def draw(seed: str, step: int, visible: int) -> Sequence[Sequence[Row]]:
        groups = [needles(seed, visible), code(seed)]
        return [*groups, harmless(seed)] if step % course.harmless_every == 0 else groups

    return draw
