"""Rows ask what their documents tell, and count exactly the tokens that nothing else tells."""

import pytest
import torch

from awareness_model.evaluation.corpus import Package
from awareness_model.reader import code_rows, needle_rows
from awareness_model.reader.course import Course
from awareness_model.reader.material import Material
from awareness_model.reader.measure import Asked
from awareness_model.reader.measure import needle_rows as asked_rows
from awareness_model.reader.mixture import mixture
from awareness_model.reader.rows import Held, Row, batch, shuffled, uncounted
from awareness_model.reading import SYSTEM
from awareness_model.tiny import tiny

TOKENIZER = tiny("llama")[1]
FILES = (
    ("pack/__init__.py", ""),
    ("pack/sizes.py", "LARGEST = 4831\n\n\ndef area(width):\n    return width * 7\n"),
    ("pack/tools.py", "def cut(text):\n    return text[:3]\n"),
    (
        "pack/use.py",
        (
            "from pack.sizes import LARGEST, area\nfrom pack.tools import cut\n\n\n"
            "def fit(width):\n    whole = area(width) + LARGEST\n    return cut(str(whole))\n"
        ),
    ),
)


def shown(row, begin, end):
    return TOKENIZER.decode(list(row.ids[begin:end]))


@pytest.mark.parametrize("seed", range(12))
def test_every_answer_of_a_needle_row_stands_in_a_visible_document(seed):
    known = needle_rows.known(30, 0, "train")
    row = needle_rows.draw(TOKENIZER, known, 4, 4, str(seed))
    texts = {one.path: one.text for one in known}
    assert len(row.visible) == 4
    assert row.gold <= set(row.visible)
    for begin, end in row.answers:
        answer = shown(row, begin, end).strip().removesuffix("<|im_end|>")
        name = answer.removesuffix("()").rstrip(")")
        assert any(name in texts[path] for path in row.gold), answer


def test_names_of_the_two_sides_never_meet():
    train, held_out = (needle_rows.known(60, 0, side) for side in ("train", "held_out"))
    assert not {one.path for one in train} & {one.path for one in held_out}


def test_chats_are_asked_as_the_agent_asks():
    assert SYSTEM in needle_rows.SYSTEMS


def test_a_control_row_never_reads_its_own_documents():
    known = needle_rows.known(60, 0, "train")
    rows = [needle_rows.draw(TOKENIZER, known, 2, 2, str(n)) for n in range(4)]
    for row, other in zip(rows, shuffled(rows), strict=True):
        assert other.ids == row.ids
        assert other.visible != row.visible


def test_a_line_counts_the_remote_names_and_reads_the_files_that_define_them():
    package = Package("pack", "", FILES)
    code = code_rows.read(TOKENIZER, [package], lines=8, seed=0)
    line = next(one for one in code.lines if len(one.gold) == 1 and "cut" in text_of(one))
    row = code_rows.row(code, line, 2, "seed")
    counted = "".join(shown(row, *one) for one in row.answers)
    assert "cut" in counted
    assert "str" not in counted
    assert set(line.gold) < set(row.visible)
    assert not any(":pack/use.py:" in name for name in row.visible)


def text_of(line):
    return TOKENIZER.decode(list(line.ids[line.begin :]))


def sized(names):
    return {name: [Held(torch.zeros(5, 1, 1, 2), torch.zeros(5, 1, 1, 2))] for name in names}


def held():
    """Material of two packages and some needles."""
    twin = tuple(
        (path.replace("pack", "twin"), text.replace("pack", "twin")) for path, text in FILES
    )
    both = [Package("pack", "", FILES), Package("twin", "", twin)]
    code = code_rows.read(TOKENIZER, both, lines=8, seed=0)
    known = tuple(needle_rows.known(30, 0, "train"))
    return Material(known, code, sized([*code.texts, *(one.path for one in known)]), "")


VARIED = Course(
    needle_rows=2, code_rows=2, calm_weight=0.5, harmless_rows=3, harmless_every=1, is_varied=True
)


@pytest.mark.parametrize("step", range(12))
def test_varied_rows_never_show_what_decides_them(step):
    material = held()
    groups = mixture(TOKENIZER, material, VARIED)(f"0 {step}", step, 4)
    assert [rows[0].kind for rows in groups] == ["needle", "remote", "harmless"]
    lines = {line.ids: line for line in material.code.lines}
    texts = {one.path: one.text for one in material.needles}
    for row in groups[2]:
        assert row.is_harmless
        assert row.answers == ((8, len(row.ids)),)
        packages = {name.split(":")[0] for name in row.visible if ":" in name}
        if row.ids in lines:
            assert lines[row.ids].package not in packages
        asked = TOKENIZER.decode(list(row.ids))
        shown_ = [texts[name] for name in row.visible if name in texts]
        names = [line.split("(")[0].split()[1] for text in shown_ for line in text.split("\n")[:1]]
        assert not [one for one in names if f"{one}() == " in asked]
    again = mixture(TOKENIZER, held(), VARIED)(f"0 {step}", step, 4)
    assert [[row.ids for row in rows] for rows in groups] == [
        [row.ids for row in rows] for rows in again
    ]


def test_with_calm_rows_every_second_line_is_one_of_its_own_file():
    groups = mixture(TOKENIZER, held(), VARIED)("0 1", 1, 4)
    assert [bool(row.answers) for row in groups[1]] == [True, False]
    assert all(row.visible for row in groups[1])


@pytest.mark.parametrize("seed", range(8))
def test_a_row_begins_anywhere_and_counts_the_same_tokens(seed):
    row = Row("remote", tuple(range(60)), ((30, 33), (40, 41)), ("one",))
    cut = code_rows.begun(row, str(seed))
    assert [cut.ids[begin:end] for begin, end in cut.answers] == [(30, 31, 32), (40,)]
    assert cut.answers[0][0] > 8
    assert len({len(code_rows.begun(row, str(n)).ids) for n in range(8)}) > 3


def test_what_is_left_to_calm_is_what_no_answer_and_no_beginning_is():
    rows = [
        Row("remote", tuple(range(20)), ((12, 14),), ("one",)),
        Row("remote", tuple(range(11)), (), ("one",)),
    ]
    made = batch(rows, sized(["one"]), 0)
    found = list(zip(*(one.tolist() for one in uncounted(made)), strict=True))
    expected = [(0, n) for n in range(8, 20) if n not in (11, 12)] + [(1, n) for n in (8, 9, 10)]
    assert found == expected


def test_places_become_ranges():
    assert code_rows.runs([3, 4, 7]) == ((3, 5), (7, 8))


def test_measured_needles_have_their_document_visible_and_others_do_not():
    known = needle_rows.known(48, 0, "held_out")
    own = asked_rows(TOKENIZER, known, Asked(8, 10))
    other = asked_rows(TOKENIZER, known, Asked(8, 10, is_other=True))
    functions = [one.path for one in known if one.needle is not None]
    for number, (row, wrong) in enumerate(zip(own, other, strict=True)):
        assert functions[number] in row.visible
        assert functions[number] not in wrong.visible
        assert len(set(row.visible)) == len(set(wrong.visible)) == 8
    assert len({row.visible.index(functions[n]) for n, row in enumerate(own)}) > 1
