import json
from pathlib import Path

import pytest

from awareness_model.config import UserError
from awareness_model.evaluation import harness, needle
from awareness_model.evaluation.haystack import AT_LARGEST, NeedleSizes, build
from awareness_model.evaluation.needles import needles
from awareness_model.evaluation.readers import load_reader
from awareness_model.tiny import save_tiny
from tests.model.evaluation.packages_world import packages

SIZES = NeedleSizes(haystack_lines=30, needles=6, asked=2, visible=(1, 3), chunk_tokens=256)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("model") / "llama", "llama"))


@pytest.fixture(scope="module")
def haystack(model):
    return build(packages(4), model, SIZES)


@pytest.fixture(scope="module")
def found(model, haystack, tmp_path_factory):
    reader = load_reader(model, "cpu")
    return needle.measure(reader, haystack, SIZES, tmp_path_factory.mktemp("cells"), 2)


def test_every_needle_is_found_by_its_name_among_the_functions(haystack):
    assert haystack.lines >= 30
    assert haystack.documents > 12
    for task in ("value", "signature", "description"):
        assert haystack.recall[task][1] == 1.0
        assert haystack.recall[task][16] == 1.0


def test_each_condition_reads_what_it_says(haystack):
    drawn = {one.path for one in needles(6, 0, "held_out")}
    for one in haystack.questions:
        for size in (1, 3):
            given = one.reads["given", size]
            assert len(given) == size
            assert one.gold in {piece.name for piece in given}
            assert {piece.path for piece in given} <= drawn
        removed = {piece.name for piece in one.reads["removed", 3]}
        assert len(removed) == 3
        assert one.gold not in removed
        assert set(one.reads["permuted", 3]) == set(one.reads["given", 3])
        assert one.reads["permuted", 3] != one.reads["given", 3]
        assert not {piece.path for piece in one.reads["other", 3]} & drawn
        edited = {piece.path: piece.text for piece in one.reads["edited", 3]}
        before = {piece.path: piece.text for piece in one.reads["given", 3]}
        assert [path for path in before if before[path] != edited[path]] == [one.gold.split(":")[0]]


def test_the_table_has_every_condition_of_every_task(found):
    rows = {(one["condition"], one["visible"], one["task"]) for one in found["table"]}
    for task in ("value", "signature", "description"):
        assert ("given", 1, task) in rows
        assert ("routed", 3, task) in rows
        for name in AT_LARGEST:
            assert ((name, 3, task) in rows) == (name != "edited" or task == "value")
    for one in found["table"]:
        assert one["questions"] == 2
        assert 0 <= one["em"]["value"] <= 1
        if one["condition"] in ("given", "removed"):
            assert 0 <= one["null_mass"] <= 1
    assert all(
        one["cited_first"] == (one["condition"] == "given")
        for one in found["table"]
        if one["visible"] == 1 and "cited_first" in one
    )
    assert json.loads(json.dumps(found))["controls"] == found["controls"]


def test_an_edit_encodes_one_document_and_order_does_not_matter(found):
    assert found["controls"]["documents_encoded_per_edit"] == 1.0
    assert found["controls"]["largest_difference_permuted"] < 1e-3
    assert found["controls"]["exact_changed_permuted"] == 0


def test_a_needle_is_worth_more_than_real_functions_in_its_place(found):
    by_name = {(one["condition"], one["task"]): one["nll"] for one in found["table"]}
    assert by_name["given", "value"] != by_name["other", "value"]
    assert by_name["edited", "value"] != by_name["given", "value"]


def test_sizes_that_cannot_be_are_the_users_error(model):
    with pytest.raises(UserError, match="lines of functions"):
        build(packages(2), model, NeedleSizes(haystack_lines=9_999))
    with pytest.raises(UserError, match="--needles"):
        build(packages(2), model, NeedleSizes(needles=4, asked=2))


def test_harness_tasks_hold_a_document_a_question_each(haystack, tmp_path):
    files = harness.export(tmp_path / "tasks", haystack, 3)
    names = {path.name for path in files}
    assert {"awareness_needle.yaml", "awareness_needle_value_text.jsonl"} <= names
    group = json.loads((tmp_path / "tasks" / "awareness_needle.yaml").read_text())
    for task in group["task"]:
        settings = json.loads((tmp_path / "tasks" / f"{task}.yaml").read_text())
        assert settings["task"] == task
        data = settings["dataset_kwargs"]["data_files"]["test"]
        rows = [json.loads(line) for line in Path(data).read_text().splitlines()]
        assert len(rows) == 2
        for row in rows:
            assert row["answer"]
            assert (row["answer"] in row["context"]) == task.endswith("_text")
            assert not row["question"].endswith(" ")


def test_harness_yaml_is_yaml(haystack, tmp_path):
    yaml = pytest.importorskip("yaml")
    for path in harness.export(tmp_path / "tasks", haystack, 3):
        if path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text()) == json.loads(path.read_text())
