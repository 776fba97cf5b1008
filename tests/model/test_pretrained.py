"""A reader as a folder: what is in it, that it comes back bit for bit, and whom it refuses."""

import json

import pytest
import torch
from safetensors.torch import load_file

from awareness_model import checkpoint
from awareness_model.config import DecoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.families import FAMILIES
from awareness_model.memory.batch import from_slots
from awareness_model.tiny import save_tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {family: str(save_tiny(folder / family, family)) for family in FAMILIES}


def trained(model, **settings):
    decoder = ReasoningDecoder(DecoderConfig(model, "cpu", **settings))
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for group in decoder.trainable_parameters().values():
            for parameter in group.values():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return decoder


def parameters(decoder):
    groups = decoder.trainable_parameters().values()
    return {name: value for group in groups for name, value in group.items()}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_reader_comes_back_bit_for_bit(tmp_path, models, family):
    decoder = trained(models[family], placement="middle")
    decoder.save_pretrained(tmp_path / "reader")
    again = ReasoningDecoder.from_pretrained(tmp_path / "reader")
    assert (again.placement, again.reading_layers) == ("middle", (2, 3))
    was, now = parameters(decoder), parameters(again)
    assert was.keys() == now.keys()
    assert all(torch.equal(was[name], now[name]) for name in was)
    ids, states = torch.arange(3, 12)[None], torch.randn(5, 2, 64)
    memory = from_slots(states, states, "latent")
    assert torch.equal(again(ids, memory=memory).logits, decoder(ids, memory=memory).logits)


def test_the_base_models_weights_are_never_copied(tmp_path, models):
    decoder = trained(models["llama"])
    decoder.save_pretrained(tmp_path / "reader")
    names = sorted(path.name for path in (tmp_path / "reader").iterdir())
    assert names == ["gca.safetensors", "record.json"]
    held = load_file(tmp_path / "reader" / "gca.safetensors")
    assert held.keys() == parameters(decoder).keys()
    record = json.loads((tmp_path / "reader" / "record.json").read_bytes())
    told = {name: record[name] for name in ("name", "family", "layout", "placement")}
    assert told == {
        "name": models["llama"],
        "family": "llama",
        "layout": "latent",
        "placement": "every_third",
    }


@torch.no_grad()
def test_an_untrained_kv_reader_is_its_settings(tmp_path, models):
    decoder = ReasoningDecoder(DecoderConfig(models["qwen2"], "cpu", layout="kv"))
    decoder.save_pretrained(tmp_path / "reader")
    again = ReasoningDecoder.from_pretrained(str(tmp_path / "reader"))
    assert (again.config.layout, again.placement) == ("kv", "all")
    ids, shape = torch.arange(3, 12)[None], (5, 6, 2, 24)
    memory = from_slots(torch.randn(shape), torch.randn(shape), "kv")
    assert torch.equal(again(ids, memory=memory).logits, decoder(ids, memory=memory).logits)


def test_a_trainings_folder_loads_and_keeps_its_record(tmp_path, models):
    decoder = trained(models["llama"])
    checkpoint.save(tmp_path / "one", decoder, step=7, settings={"steps": 9}, data="d")
    loaded = ReasoningDecoder.from_pretrained(tmp_path / "one")
    loaded.save_pretrained(tmp_path / "two")
    for name in (checkpoint.WEIGHTS, checkpoint.RECORD):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert checkpoint.load_gca(trained(models["llama"]), tmp_path / "two").step == 7


def test_another_base_model_is_refused_before_it_is_loaded(tmp_path, models):
    trained(models["llama"]).save_pretrained(tmp_path / "reader")
    with pytest.raises(UserError, match=r"another base model than .*qwen3.*base="):
        ReasoningDecoder.from_pretrained(tmp_path / "reader", base=models["qwen3"])
    with pytest.raises(UserError, match="another base model"):
        ReasoningDecoder.from_pretrained(tmp_path / "reader", base="nobody/nothing")


def test_a_base_model_that_moved_can_be_named(tmp_path, models):
    base = save_tiny(tmp_path / "here", "llama")
    trained(str(base)).save_pretrained(tmp_path / "reader")
    base.rename(tmp_path / "there")
    with pytest.raises(UserError, match=r"needs its base model .*here.*base="):
        ReasoningDecoder.from_pretrained(tmp_path / "reader")
    moved = ReasoningDecoder.from_pretrained(tmp_path / "reader", base=str(tmp_path / "there"))
    assert moved.config.model_name == str(tmp_path / "there")


def test_a_folder_that_holds_no_reader_is_named(tmp_path, models):
    with pytest.raises(UserError, match="no checkpoint"):
        ReasoningDecoder.from_pretrained(tmp_path)
    trained(models["llama"]).save_pretrained(tmp_path / "reader")
    (tmp_path / "reader" / "gca.safetensors").unlink()
    with pytest.raises(UserError, match="has lost"):
        ReasoningDecoder.from_pretrained(tmp_path / "reader")
    (tmp_path / "reader" / "record.json").write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        ReasoningDecoder.from_pretrained(tmp_path / "reader")


def test_a_reader_of_another_layout_is_refused(tmp_path, models):
    trained(models["llama"]).save_pretrained(tmp_path / "reader")
    other = ReasoningDecoder(DecoderConfig(models["llama"], "cpu", layout="kv"))
    with pytest.raises(UserError, match="latent memory, not kv"):
        checkpoint.load_gca(other, tmp_path / "reader")
