import json
from dataclasses import replace

import pytest

from awareness_model import encode as encoding
from awareness_model.config import EncoderConfig, MemoryConfig
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.memory import LatentMemoryStore
from awareness_model.memory.shelf import Shelf
from awareness_model.schema import EncodeDocument, EncodeReport, from_json
from awareness_model.tiny import save_tiny
from tests.model.reading_world import documents, encoded, snapshots, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"), "qwen3")


def store(folder):
    return LatentMemoryStore(MemoryConfig(path=str(folder / "memory"), dtype="float32"))


def run(folder, model, *more):
    argv = ["--model", str(model), "--documents", str(folder / "documents.jsonl")]
    argv += ["--snapshots", str(folder / "snapshots.jsonl"), "--store", str(folder / "memory")]
    return encoding.main([*argv, "--report", str(folder / "report.json"), *more])


def test_documents_of_every_tree_are_in_memory_in_both_layouts(tmp_path, model):
    report = encoded(tmp_path, model)
    assert report.encoded == report.records == {"kv": 12, "latent": 12}
    assert report.tokens["kv"] == report.tokens["latent"] == sum(len(d.text) for d in documents())
    assert report.bytes["kv"] == 2 * report.tokens["kv"] * 6 * 2 * 32 * 4
    assert report.bytes["latent"] == report.tokens["latent"] * 2 * 64 * 4
    for layout in ("kv", "latent"):
        mark = encoder_fingerprint(EncoderConfig(model_name=str(model)), layout)
        tree = Shelf(store(tmp_path), layout, mark).snapshot(2, "s")
        assert tree == {r.path: r.content_hash for r in snapshots() if r.repo_id == 2}


def test_a_second_run_encodes_nothing_and_loads_no_model(tmp_path, model, monkeypatch):
    first = encoded(tmp_path, model)
    before = store(tmp_path).digest()
    monkeypatch.setattr(encoding, "_encoder", None)
    second = encoded(tmp_path, model)
    assert second.encoded == {"kv": 0, "latent": 0}
    assert (second.records, second.digest) == (first.records, first.digest)
    assert store(tmp_path).digest() == before


def test_a_killed_run_goes_on_where_it_was_to_the_same_memory(tmp_path, model, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    encoded(whole, model)
    monkeypatch.setattr(encoding, "GROUP_CHARACTERS", 40)
    usual, asked = ContextEncoder.encode_layouts, []

    def encode(self, texts, layouts, paths):
        asked.append(list(texts))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return usual(self, texts, layouts, paths)

    monkeypatch.setattr(ContextEncoder, "encode_layouts", encode)
    with pytest.raises(KeyboardInterrupt):
        encoded(broken, model)
    assert not (broken / "encode.json").exists()
    assert store(broken).select(1, "s") == []
    finished = {text for texts in asked[:3] for text in texts}
    report = encoded(broken, model)
    again = [text for texts in asked[4:] for text in texts]
    assert finished
    assert report.encoded["kv"] == 12 - len(finished)
    assert not finished & set(again[: report.encoded["kv"]])
    assert store(broken).digest() == store(whole).digest()


def test_a_kill_between_two_layouts_of_a_group_ends_with_the_same_memory(
    tmp_path, model, monkeypatch
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    encoded(whole, model)
    usual, calls = LatentMemoryStore.upsert, []

    def upsert(self, documents, layout, *more):
        calls.append(layout)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return usual(self, documents, layout, *more)

    monkeypatch.setattr(LatentMemoryStore, "upsert", upsert)
    with pytest.raises(KeyboardInterrupt):
        encoded(broken, model)
    report = encoded(broken, model)
    assert sorted(report.encoded.values()) == [0, 12]
    assert store(broken).digest() == store(whole).digest()


def test_a_blob_in_several_trees_is_encoded_once(tmp_path, model):
    same = [*documents(1), *documents(1)]
    job = encoding.Job(same, snapshots(1), ("kv",), tmp_path / "r.json")
    memory = MemoryConfig(path=str(tmp_path / "memory"))
    report = encoding.encode(job, EncoderConfig(model_name=str(model)), memory)
    assert report.documents == report.encoded["kv"] == report.records["kv"] == 4


def test_a_document_is_cut_by_the_first_of_its_paths(tmp_path, model, monkeypatch):
    seen, usual = [], ContextEncoder.encode_layouts
    monkeypatch.setattr(
        ContextEncoder,
        "encode_layouts",
        lambda self, texts, layouts, paths: (
            seen.extend(paths) or usual(self, texts, layouts, paths)
        ),
    )
    (one, *_), row = documents(1), snapshots(1)[0]
    rows = [replace(row, content_hash=one.content_hash, path=path) for path in ("b.md", "a.py")]
    job = encoding.Job([one], rows, ("kv",), tmp_path / "r.json")
    memory = MemoryConfig(path=str(tmp_path / "memory"))
    encoding.encode(job, EncoderConfig(model_name=str(model)), memory)
    assert seen == ["a.py"]


def test_an_empty_document_has_no_memory_and_is_not_tried_again(tmp_path, model):
    job = encoding.Job(
        [*documents(1), EncodeDocument("empty", "")], snapshots(1), ("kv",), tmp_path / "r.json"
    )
    memory = MemoryConfig(path=str(tmp_path / "memory"))
    config = EncoderConfig(model_name=str(model))
    report = encoding.encode(job, config, memory)
    assert report.encoded == {"kv": 4}
    assert report.by_document == {**{one.content_hash: 1 for one in documents(1)}, "empty": 0}
    assert encoding.encode(job, config, memory).encoded == {"kv": 0}


def test_the_entry_point_reports_and_shows_progress(tmp_path, model, capsys):
    assert run(written(tmp_path), model, "--layouts", "kv") == 0
    report = from_json(EncodeReport, (tmp_path / "report.json").read_text())
    assert report.encoded == {"kv": 12}
    last = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert last == {"progress": {"label": "encode", "done": 12, "total": 12}}


def test_users_mistakes_are_one_line_and_status_2(tmp_path, model, capsys):
    written(tmp_path)
    assert run(tmp_path, tmp_path / "nowhere") == 2
    assert "no model" in capsys.readouterr().err
    (tmp_path / "documents.jsonl").unlink()
    assert run(tmp_path, model) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
