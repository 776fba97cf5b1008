import json

import pytest
import torch

from awareness_model import evaluate as evaluation
from awareness_model.config import DecoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.schema import CONDITIONS, READINGS
from awareness_model.tiny import save_tiny
from tests.model.reading_world import documents, encoded, items, read_json, untrained, written


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    model = save_tiny(folder / "model", request.param)
    encoded(written(folder), model)
    untrained(folder, model)
    return folder


def job(folder, **changes):
    usual = {
        "items": items(),
        "texts": {row.content_hash: row.text for row in documents()},
        "store": str(folder / "memory"),
        "checkpoint": folder / "reader",
        "layouts": ("kv", "latent"),
        "model": str(folder / "model"),
        "visible": 3,
    }
    return evaluation.Job(**{**usual, **changes})


@pytest.fixture(scope="module")
def found(world):
    return evaluation.evaluate(job(world))


def test_the_report_holds_every_condition_of_both_layouts(found):
    report, rows = found
    assert (report["n_repos"], report["n_items"]) == (3, 6)
    for layout in ("kv", "latent"):
        one = report[layout]
        assert set(one["nll"]) == set(CONDITIONS)
        assert one["S"] == pytest.approx(one["nll"]["other"] - one["nll"]["own"])
        assert one["S_ci"][0] <= one["S_ci"][1]
        assert set(one["S_by_repo"]) == {"1", "2", "3"}
        assert one["by_kind"]["needle"]["S"] == one["S"]
        assert 0 <= one["router"]["recall_at_4"] <= 1
        assert len(set(one["nll"].values())) == 4
    assert report["kv"]["nll"]["none"] == report["latent"]["nll"]["none"]
    assert report["kv"]["nll"]["text"] == report["latent"]["nll"]["text"]
    assert json.loads(json.dumps(report)) == report
    assert len(rows) == 6


def test_the_reader_of_the_package_is_measured_beside_untrained_kv(world, tmp_path, monkeypatch):
    decoder = ReasoningDecoder(DecoderConfig(str(world / "model"), "cpu", "kv", reader_rank=2))
    with torch.no_grad():
        for parameter in decoder.reader.parameters():
            parameter.add_(0.1)
    decoder.save_pretrained(tmp_path / "tiny-kv")
    monkeypatch.setattr("awareness_model.pretrained.SHIPPED", tmp_path)
    report, rows = evaluation.evaluate(job(world))
    assert [name for name in READINGS if name in report] == ["kv", "kv_trained", "latent"]
    assert report["kv_trained"]["nll"]["own"] != report["kv"]["nll"]["own"]
    assert report["kv_trained"]["nll"]["text"] == report["kv"]["nll"]["text"]
    assert report["kv_trained"]["router"] == report["kv"]["router"]
    assert rows[0]["kv_trained"]["nats"].keys() == set(CONDITIONS)


def test_rows_say_what_was_read_and_sum_to_the_report(found):
    report, rows = found
    for layout in ("kv", "latent"):
        nats = sum(row[layout]["nats"]["own"] for row in rows)
        tokens = sum(row["answer_tokens"] for row in rows)
        assert report[layout]["nll"]["own"] == pytest.approx(nats / tokens)
    texts = {row.content_hash: row.text for row in documents()}
    for row in rows:
        assert len(row["own"]) == len(row["other"]) == 3
        assert any(row["answer"] in texts[name] for name in row["own"])
        assert row["other_repo_id"] != row["repo_id"]


def test_kv_memory_of_one_visible_document_is_its_text_in_context(world):
    report, _ = evaluation.evaluate(job(world, visible=1, layouts=("kv",), checkpoint=None))
    assert report["kv"]["nll"]["own"] == pytest.approx(report["kv"]["nll"]["text"], abs=1e-4)
    assert abs(report["kv"]["nll"]["own"] - report["kv"]["nll"]["none"]) > 1e-3
    assert "latent" not in report


def test_the_router_finds_by_words_and_its_vectors_stand_beside_it(world, monkeypatch):
    monkeypatch.setattr("awareness_model.evaluation.routed.ROUTED", 1)
    report, rows = evaluation.evaluate(job(world, layouts=("kv",)))
    router = report["kv"]["router"]
    assert router["recall_at_1"] == 1.0
    assert router["chance"] == pytest.approx(0.25)
    assert set(router) == {"recall_at_1", "by_vectors", "chance"}
    assert 0 <= router["by_vectors"] <= 1
    assert all(row["kv"]["routed"] for row in rows)


def test_documents_without_a_text_are_found_by_vectors_alone(world):
    from awareness_model.evaluation.routed import routed

    asking = job(world, layouts=("kv",))
    shelves = evaluation._shelves(asking)
    from awareness_model.base import load_model

    loaded = load_model(asking.model)
    asked, _ = evaluation._ask(asking, shelves["kv"], loaded[1])
    found = routed(shelves, loaded, asking.model, asked, {})["kv"]
    assert found.hits == found.by_vectors


def test_numbers_do_not_depend_on_how_questions_are_batched(world, found, monkeypatch):
    monkeypatch.setattr("awareness_model.conditions.BATCH", 1)
    report, _ = evaluation.evaluate(job(world))
    for layout in ("kv", "latent"):
        assert report[layout]["nll"] == pytest.approx(found[0][layout]["nll"], abs=1e-4)


def test_a_reader_with_closed_gates_gains_nothing(world):
    from awareness_model import checkpoint
    from awareness_model.config import DecoderConfig
    from awareness_model.decoder import ReasoningDecoder

    decoder = ReasoningDecoder(DecoderConfig(str(world / "model"), "cpu", "latent"))
    checkpoint.save(world / "closed", decoder, step=0, settings={}, data="")
    report, _ = evaluation.evaluate(job(world, layouts=("latent",), checkpoint=world / "closed"))
    nll = report["latent"]["nll"]
    assert nll["own"] == nll["other"] == nll["none"]
    assert report["latent"]["S"] == 0


def test_text_that_does_not_fit_the_window_is_cut(world):
    texts = {row.content_hash: row.text * 400 for row in documents()}
    report, _ = evaluation.evaluate(job(world, texts=texts, layouts=("kv",)))
    assert report["kv"]["nll"]["text"] > 0


def test_what_cannot_be_evaluated_is_the_users_error(world):
    with pytest.raises(UserError, match="--checkpoint"):
        evaluation.evaluate(job(world, checkpoint=None))
    with pytest.raises(UserError, match="no question"):
        evaluation.evaluate(job(world, items=items()[:1]))
    with pytest.raises(UserError, match="--documents"):
        evaluation.evaluate(job(world, texts={}))
    with pytest.raises(UserError, match="encode first"):
        evaluation.evaluate(job(world, store=str(world / "elsewhere")))


def test_the_entry_point_writes_report_and_rows(world, tmp_path, capsys):
    argv = ["--model", str(world / "model"), "--items", str(world / "items.jsonl")]
    argv += ["--documents", str(world / "documents.jsonl"), "--store", str(world / "memory")]
    argv += ["--layouts", "kv", "--visible", "2", "--report", str(tmp_path / "report.json")]
    assert evaluation.main(argv) == 0
    assert read_json(tmp_path / "report.json")["n_items"] == 6
    lines = (tmp_path / "report.items.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["needle"] * 6
    last = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert last["progress"] == {"label": "evaluate", "done": 24, "total": 24}
    argv[1] = str(tmp_path / "nowhere")
    assert evaluation.main(argv) == 2
    assert capsys.readouterr().err.startswith("error: no model")
