"""What a step of the course reads: needles, lines of real packages, and rows memory cannot help.

Groups are batches of one kind, since real chunks are several times as long as needles. Everything
is a function of the seed and the step. Limits: needles are drawn anew from one set of documents.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from awareness_model.base import plain_ids
from awareness_model.reader import code_rows, needle_rows
from awareness_model.reader.code_rows import PROMPT, Line
from awareness_model.reader.course import Course
from awareness_model.reader.material import Material
from awareness_model.reader.rows import Row

AT_LEVEL = 0.7
"""Share of needle rows with as many documents as the level says; the others have fewer."""
NEEDLES_FOR_CODE = 0.5
"""Share of harmless rows that read needles; the others read another package."""
USELESS_VISIBLE = (2, 4, 4, 6)
"""Documents of varied harmless rows, drawn for all rows of a step."""


def mixture(
    tokenizer: Any, held: Material, course: Course
) -> Callable[[str, int, int], Sequence[Sequence[Row]]]:
    """Return a function of (seed, step, documents visible) to groups of rows."""
    rich = tuple(line for line in held.code.lines if held.code.others(line))
    return _Mixture(tokenizer, held, course, rich).draw


@dataclass(frozen=True, slots=True)
class _Mixture:
    tokenizer: Any
    held: Material
    course: Course
    rich: tuple[Line, ...]
    """Lines of packages that have documents beside those that decide the line."""

    def draw(self, seed: str, step: int, visible: int) -> Sequence[Sequence[Row]]:
        """Return a step's groups."""
        groups = [self._needles(seed, visible), self._code(seed)]
        if step % self.course.harmless_every:
            return groups
        return [*groups, self._varied(seed) if self.course.is_varied else self._harmless(seed)]

    def _needles(self, seed: str, visible: int) -> list[Row]:
        drawn = random.Random(seed)
        course = self.course
        fewer = [1, *(level for level in course.levels if level < visible)]
        made = []
        for number in range(course.needle_rows):
            shown = visible if drawn.random() < AT_LEVEL else drawn.choice(fewer)
            one = f"{seed} {number}"
            known = self.held.needles
            made.append(needle_rows.draw(self.tokenizer, known, shown, course.questions, one))
        return made

    def _code(self, seed: str) -> list[Row]:
        drawn, code = random.Random(f"{seed} code"), self.held.code
        lines = drawn.sample([line for line in self.rich if line.remote], self.course.code_rows)
        if self.course.calm_weight:
            inside = [line for line in self.rich if not line.remote]
            lines[1::2] = drawn.sample(inside, len(lines[1::2]))
        rows = [code_rows.row(code, one, self.course.code_visible, seed) for one in lines]
        return [code_rows.begun(row, seed) for row in rows] if self.course.is_varied else rows

    def _harmless(self, seed: str) -> list[Row]:
        drawn = random.Random(f"{seed} harmless")
        made = []
        local = [line for line in self.held.code.lines if not line.remote]
        for line in drawn.sample(local, self.course.harmless_rows):
            names = self._paths if drawn.random() < NEEDLES_FOR_CODE else self._foreign(line)
            made.append(code_rows.harmless(line, names, self.course.code_visible, seed))
        return made

    def _varied(self, seed: str) -> list[Row]:
        """Return lines, pieces of files and questions, none with a document that decides it."""
        drawn = random.Random(f"{seed} varied")
        visible, made = drawn.choice(USELESS_VISIBLE), []
        for number in range(self.course.harmless_rows):
            kinds = (self._line, self._piece, self._question)
            ids, names = drawn.choice(kinds)(drawn, f"{seed} {number}")
            made.append(code_rows.useless(ids, names, visible, f"{seed} {number}"))
        return made

    def _line(self, drawn: random.Random, seed: str) -> tuple[Sequence[int], list[str]]:
        line = drawn.choice(self.held.code.lines)
        is_needle = drawn.random() < NEEDLES_FOR_CODE / 2
        return line.ids, self._paths if is_needle else self._foreign(line)

    def _piece(self, drawn: random.Random, seed: str) -> tuple[Sequence[int], list[str]]:
        name = drawn.choice(sorted(self.held.code.texts))
        ids = plain_ids(self.tokenizer, self.held.code.texts[name])
        begin = drawn.randrange(max(len(ids) - PROMPT, 1))
        return ids[begin : begin + PROMPT], self._not_of(name.split(":")[0])

    def _question(self, drawn: random.Random, seed: str) -> tuple[Sequence[int], list[str]]:
        asked = needle_rows.draw(self.tokenizer, self.held.needles, 4, self.course.questions, seed)
        if drawn.random() < NEEDLES_FOR_CODE:
            return asked.ids, sorted(self.held.code.texts)
        return asked.ids, [path for path in self._paths if path not in asked.gold]

    @property
    def _paths(self) -> list[str]:
        return [one.path for one in self.held.needles]

    def _foreign(self, line: Line) -> list[str]:
        return self._not_of(line.package)

    def _not_of(self, package: str) -> list[str]:
        return [name for name in self.held.code.texts if not name.startswith(f"{package}:")]
