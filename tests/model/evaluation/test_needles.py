import ast

import pytest

from awareness_model.evaluation.needles import TASKS, ask, needles, new_value, questions


def test_names_values_and_sentences_are_drawn_once():
    drawn = needles(400, 0, "held_out")
    for part in ("name", "value", "sentence", "path"):
        assert len({getattr(one, part) for one in drawn}) == 400
    assert needles(400, 0, "held_out") == drawn
    assert needles(400, 1, "held_out") != drawn


def test_the_sides_never_share_a_name_whatever_the_seed():
    sides = [
        {one.name for seed in range(3) for one in needles(1_200, seed, s)}
        for s in ("train", "held_out")
    ]
    assert not sides[0] & sides[1]


def test_every_needle_is_python_and_answers_as_asked():
    for needle in needles(20, 3, "train"):
        scope = {}
        exec(compile(ast.parse(needle.text), "needle", "exec"), scope)  # a text of our own
        assert scope[needle.name]() == needle.value
        assert scope[needle.name].__doc__ == needle.sentence
        assert needle.text.startswith(ask(needle, "signature").prompt + needle.signature)


def test_a_question_holds_no_answer_of_its_own_and_names_its_document():
    drawn = needles(10, 0, "held_out")
    asked = questions(drawn)
    assert [one.task for one in asked[:3]] == list(TASKS)
    for one in asked:
        assert one.answer not in one.prompt
        assert sum(one.gold == needle.path for needle in drawn) == 1
        if one.task == "description":
            assert all(word not in one.prompt for word in one.answer.split("_"))


def test_an_edit_changes_the_value_alone():
    (needle,) = needles(1, 0, "held_out")
    value = new_value(needle, 0)
    assert value != needle.value
    assert len(str(value)) == 4
    assert needle.edited(value).text == needle.text.replace(str(needle.value), str(value))


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="side"):
        needles(1, 0, "test")
    with pytest.raises(ValueError, match="needles of"):
        needles(5_000, 0, "train")
