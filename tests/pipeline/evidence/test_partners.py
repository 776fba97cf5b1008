"""Partners and choices are pure functions of ids and a seed."""

import random
from dataclasses import dataclass

from awareness_pipeline.evidence.partners import chosen, ranked


@dataclass(frozen=True)
class One:
    repo_id: int
    name: str

    @property
    def key(self) -> str:
        return f"{self.repo_id}:{self.name}"


ROWS = [One(repo, f"c{number}") for repo in (1, 2, 3) for number in range(4)]


def no(row: One) -> bool:
    return False


def test_the_order_of_rows_plays_no_part() -> None:
    mixed = random.Random(5).sample(ROWS, len(ROWS))
    assert ranked(ROWS[0], ROWS[1:], 0, no) == ranked(ROWS[0], sorted(ROWS[1:], key=str), 0, no)
    assert chosen(mixed, 7, 0, no) == chosen(ROWS, 7, 0, no)
    assert ranked(ROWS[0], ROWS, 0, no) != ranked(ROWS[0], ROWS, 1, no)
    assert chosen(ROWS, 7, 0, no) != chosen(ROWS, 7, 1, no)


def test_another_row_leaves_the_others_in_their_order() -> None:
    more = ranked(ROWS[0], [*ROWS, One(9, "new")], 0, no)
    assert [row for row in more if row.repo_id != 9] == ranked(ROWS[0], ROWS, 0, no)


def test_not_all_have_the_same_partner() -> None:
    firsts = {ranked(row, [one for one in ROWS if one != row], 0, no)[0] for row in ROWS}
    assert len(firsts) > 3


def test_worse_ones_come_last() -> None:
    def third(row: One) -> bool:
        return row.repo_id != 3

    assert {row.repo_id for row in ranked(ROWS[0], ROWS, 0, third)[:4]} == {3}
    assert [row.repo_id for row in chosen(ROWS, 6, 0, third)][:4] == [3] * 4


def test_a_cap_is_dealt_evenly_to_repositories() -> None:
    many = [*ROWS, *(One(1, f"d{number}") for number in range(50))]
    taken = [row.repo_id for row in chosen(many, 6, 0, no)]
    assert sorted(taken) == [1, 1, 2, 2, 3, 3]
    assert len(chosen(many, 99, 0, no)) == len(many)
