import json
from dataclasses import replace

import pytest
import torch

from awareness_model.config import UserError
from awareness_model.evaluation import latency, perplexity, run
from awareness_model.evaluation.cells import Cells
from awareness_model.evaluation.lines import Sizes, choose, prepare
from awareness_model.evaluation.readers import load_reader
from awareness_model.tiny import save_tiny
from tests.model.evaluation.packages_world import packages

SIZES = Sizes(
    lines=9, in_file=0.34, packages=3, visible=2, chunk_tokens=160, prompt_tokens=60, seed=0
)
EVERY = (*perplexity.TEXTS, *perplexity.MEMORIES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("model") / "llama", "llama"))


@pytest.fixture(scope="module")
def reader(model):
    return load_reader(model, "cpu", chunk_tokens=SIZES.chunk_tokens)


@pytest.fixture(scope="module")
def lines(reader):
    return prepare(choose(packages(), SIZES), reader.tokenizer, SIZES)


@pytest.fixture(scope="module")
def measured(reader, lines, tmp_path_factory):
    cells = Cells(tmp_path_factory.mktemp("cells"), "perplexity", {})
    return perplexity.measure(reader, EVERY, lines, cells, 1)


def test_tokens_of_the_answer_are_classed_by_what_they_spell(lines, reader):
    for of in lines:
        assert len(of.lines) == 3
        for line in of.lines:
            spelled = reader.tokenizer.convert_ids_to_tokens(line.answer)
            remote = "".join(
                one for one, kind in zip(spelled, line.classes, strict=True) if kind == "remote"
            )
            assert ("in_file" in line.classes) == (not remote)
            if remote:
                assert any(name in remote for name in ("rule_", "Table", "count_of"))
            assert "value" not in remote


def test_each_condition_reads_what_it_says(lines):
    for of in lines:
        for line in of.lines:
            mine, file = line.key.split(":")[0], line.key.split(":")[1]
            own = line.reads["own"]
            assert {piece.path.split("/")[0] for piece in own} == {mine}
            assert all(piece.path != file for piece in own)
            assert {piece.path.split("/")[0] for piece in line.reads["other"]} != {mine}
            assert len(line.reads["other"]) == len(own) == 2
            if "oracle" in line.reads:
                assert set(line.reads["oracle"]) <= set(own)
                gold_files = {piece.path for piece in line.reads["oracle"]}
                assert not gold_files & {piece.path for piece in line.reads["own_minus"]}


def test_nats_by_class_sum_to_the_whole_line(measured, reader, lines):
    from awareness_model.conditions import alone, answers
    from awareness_model.evaluation.lines import Row

    rows = [
        Row(line.key, reader.prompt(line.prompt), line.answer) for of in lines for line in of.lines
    ]
    scored = answers(alone(reader.decoder.base), rows, "cpu", lambda count: None)
    for of in measured.values():
        for line in of["lines"]:
            nats = scored[line["key"]].nats
            assert sum(line["nats"]["none"].values()) == pytest.approx(sum(nats), rel=1e-4)
            assert sum(line["tokens"].values()) == len(nats)


def test_one_piece_in_kv_memory_is_the_same_text_in_context(reader, lines, tmp_path):
    sizes = replace(SIZES, visible=1)
    alone = prepare(choose(packages(), sizes), reader.tokenizer, sizes)
    found = perplexity.measure(reader, ("own", "text"), alone, Cells(tmp_path, "one", {}), 1)
    for of in found.values():
        for line in of["lines"]:
            for kind, nats in line["nats"]["own"].items():
                assert nats == pytest.approx(line["nats"]["text"][kind], rel=0.02, abs=0.05)


def test_the_summary_is_made_of_the_lines(measured):
    found = perplexity.summary(measured, 0)
    assert (found["packages"], found["families"], found["lines"]) == (3, 3, 9)
    remote = found["classes"]["remote"]
    lines = [line for of in measured.values() for line in of["lines"] if "remote" in line["tokens"]]
    tokens = sum(line["tokens"]["remote"] for line in lines)
    own = sum(line["nats"]["own"]["remote"] for line in lines) / tokens
    assert remote["nll"]["own"] == pytest.approx(own)
    assert remote["S"]["value"] == pytest.approx(remote["nll"]["other"] - own)
    assert remote["S"]["ci"][0] <= remote["S"]["value"] <= remote["S"]["ci"][1]
    assert set(found["by_package"]) == set(measured)
    for name, one in found["by_package"].items():
        remote_lines = [line for line in measured[name]["lines"] if "remote" in line["tokens"]]
        assert one["lines"] == len(remote_lines)
        assert one["S"]["ci"][0] <= one["S"]["value"] <= one["S"]["ci"][1]
    specific = remote["oracle_specificity"]["value"]
    assert specific == pytest.approx(remote["nll"]["own_minus"] - remote["nll"]["oracle"])
    assert set(found["classes"]["in_file"]["nll"]) == {"none", "text", "own", "other"}
    assert "harm_other" in found["classes"]["in_file"]
    assert json.loads(json.dumps(found)) == found


def test_batches_change_nothing(reader, lines, measured, tmp_path):
    again = perplexity.measure(reader, ("own",), lines, Cells(tmp_path, "more", {}), 4)
    for package, of in again.items():
        for line, before in zip(of["lines"], measured[package]["lines"], strict=True):
            for kind, nats in line["nats"]["own"].items():
                assert nats == pytest.approx(before["nats"]["own"][kind], abs=1e-3)


def test_finished_cells_are_not_measured_again_and_a_torn_one_is(reader, lines, tmp_path):
    names = ("none", "own")
    first = perplexity.measure(reader, names, lines, Cells(tmp_path, "p", {"a": 1}), 1)
    (path,) = tmp_path.glob("p-*.cells.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    encoded = reader.encodes
    perplexity.measure(reader, names, lines[:2], Cells(tmp_path, "p", {"a": 1}), 1)
    assert reader.encodes == encoded
    assert path.read_bytes() == whole[: whole[:-20].rfind(b"\n") + 1]
    assert perplexity.measure(reader, names, lines, Cells(tmp_path, "p", {"a": 1}), 1) == first
    assert reader.encodes > encoded
    assert path.read_bytes() == whole
    Cells(tmp_path, "p", {"a": 2}).run("p", {"cell": dict})
    assert len(list(tmp_path.glob("p-*.cells.jsonl"))) == 2


def test_text_at_equal_latency_is_the_most_that_costs_no_more(reader):
    config = reader.decoder.base.config
    cost = latency.memory_cost(config, 6, 500, 100, latent=False)
    tokens = latency.tokens_at(config, cost, 100)
    assert (
        latency.text_cost(config, tokens, 100) <= cost < latency.text_cost(config, tokens + 1, 100)
    )
    named = reader.decoder.base.model.layers.named_parameters()
    matrices = sum(one.numel() for name, one in named if one.dim() == 2)
    assert latency.weights(config) == matrices


def test_a_report_has_a_row_for_each_reader_and_says_what_is_missing(model, tmp_path, monkeypatch):
    from tests.model.reading_world import untrained

    trained = untrained(tmp_path, model)
    monkeypatch.setattr(run, "packages", lambda most: packages())
    job = run.Job(
        tmp_path / "out",
        model,
        readers=("none", str(trained)),
        control=str(trained),
        conditions=("none", "own", "other", "text"),
        sizes=SIZES,
    )
    kv, latent = run.evaluate(job, ["perplexity"])["perplexity"]
    assert (kv["layout"], latent["layout"]) == ("kv", "latent")
    assert latent["trained_steps"] == 1
    assert kv["classes"]["remote"]["nll"]["text"] == latent["classes"]["remote"]["nll"]["text"]
    assert latent["classes"]["remote"]["over_control"]["value"] == 0
    assert kv["classes"]["remote"]["over_control"]["value"] != 0
    assert "condition oracle" in kv["missing"]
    assert "6 of 2,000 remote lines" in kv["missing"]
    assert "torch" in kv["machine"]


def test_cost_points_vary_one_thing_at_a_time(model, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "packages", lambda most: packages())
    compared = {"dtypes": ("float32", "int8"), "placements": ("all", "middle"), "poolings": (1, 2)}
    job = run.Job(tmp_path, model, sizes=SIZES, **compared)
    text, *points = run.evaluate(job, ["pareto"])["pareto"]
    assert text["bytes_per_token"] == pytest.approx(1.0)
    assert set(text["nll"]) == {"none", "text"}
    cost = {
        (one["placement"], one["dtype"], one["pooling"]): one["bytes_per_token"] for one in points
    }
    kv = 6 * 2 * 16 * 2
    assert set(cost) == {
        ("all", "float32", 1),
        ("all", "int8", 1),
        ("middle", "float32", 1),
        ("all", "float32", 2),
    }
    assert cost["all", "float32", 1] == kv * 4
    assert cost["all", "int8", 1] == kv + 6 * 2 * 2 * 4
    assert cost["middle", "float32", 1] == kv * 4 / 3
    assert cost["all", "float32", 2] == pytest.approx(kv * 2, rel=0.01)
    assert len({one["nll"]["own"] for one in points}) == 4
    assert [one["layers"] for one in points] == [6, 6, 2, 6]
    assert all(one["tokens"] and one["packages"] == 3 for one in points)


def test_readers_that_share_what_is_encoded_read_the_same(model, lines):
    pieces = list(lines[0].lines[0].reads["own"])
    one, other = (load_reader(model, "cpu", dtype="int8") for _ in range(2))
    one.encoded = other.encoded = {}
    first, second = one.memory([pieces]), other.memory([pieces])
    assert (one.encodes, other.encodes) == (len(pieces), 0)
    assert torch.equal(first.keys, second.keys)
    assert torch.equal(first.keys, load_reader(model, "cpu", dtype="int8").memory([pieces]).keys)


def test_what_cannot_be_measured_is_the_users_error():
    with pytest.raises(UserError, match="held-out packages have"):
        choose(packages(), replace(SIZES, lines=900))
