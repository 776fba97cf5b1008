"""Corrections of self-attention: there while memory is read, and nowhere else."""

import pytest
import torch

from awareness_model import checkpoint
from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.decoder.prepared import bound
from awareness_model.encoder import ContextEncoder
from awareness_model.engine import PlainEngine, optimizer, train_in_float32
from awareness_model.memory.batch import collate
from awareness_model.tiny import save_tiny, tiny
from awareness_model.training import Run, fit
from tests.model.small_world import settings, world

TEXT = "RATE = 4831\nLIMIT = 12\n"
IDS = torch.arange(40, 60)[None]
FAMILIES = ["llama", "qwen3"]


def made(family, **changes):
    """A decoder whose gates are open."""
    config = DecoderConfig("tiny", "cpu", "latent", **changes)
    decoder = ReasoningDecoder.from_model(*tiny(family), config)
    for gate in decoder.trainable_parameters()["gates"].values():
        gate.data.fill_(0.5)
    return decoder


def trained(decoder):
    """Give every correction something to say."""
    draw = torch.Generator().manual_seed(1)
    for parameter in decoder.trainable_parameters()["lora"].values():
        parameter.data.normal_(std=0.2, generator=draw)
    return decoder


def memory_of(decoder):
    config = EncoderConfig("tiny", "cpu")
    encoder = ContextEncoder.from_model(decoder.base, decoder.tokenizer, config)
    return collate([encoder.encode([TEXT], "latent")])


@torch.no_grad()
def logits(decoder, memory=None):
    return decoder(input_ids=IDS, memory=memory).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_untrained_corrections_change_nothing(family):
    plain, corrected = made(family), made(family, lora_rank=4)
    memory = memory_of(plain)
    assert torch.equal(logits(corrected), logits(plain))
    assert torch.equal(logits(corrected, memory), logits(plain, memory))


@pytest.mark.parametrize("family", FAMILIES)
def test_trained_corrections_act_while_memory_is_read_and_never_without(family):
    plain, corrected = made(family), trained(made(family, lora_rank=4))
    memory = memory_of(plain)
    assert (logits(corrected, memory) - logits(plain, memory)).abs().max() > 1e-3
    assert torch.equal(logits(corrected), logits(plain))
    assert torch.equal(memory_of(corrected).keys, memory.keys)
    with torch.no_grad(), bound(corrected.prepare(memory)):
        spoken = corrected.base(IDS).logits
    assert torch.equal(spoken, logits(corrected, memory))
    assert torch.equal(logits(corrected), logits(plain))


def test_they_are_in_the_upper_half_and_have_a_rate_of_their_own():
    decoder = made("llama", lora_rank=4)
    names = sorted(decoder.trainable_parameters()["lora"])
    assert len(names) == 3 * 4 * 2
    assert {name.split("layers.")[1].split(".")[0] for name in names} == {"3", "4", "5"}
    others = [
        name
        for group, members in decoder.trainable_parameters().items()
        if group != "lora"
        for name in members
    ]
    assert all(".gca." in name for name in others)
    rates = settings(learning_rate=1e-3, lora_learning_rate=1e-4)
    *_, group = optimizer(decoder, rates).param_groups
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (1e-4, 0.0, 24)
    assert "lora" not in made("llama").trainable_parameters()


def test_gradients_are_the_same_when_activations_are_computed_again():
    found = []
    for again in (False, True):
        decoder = trained(made("llama", lora_rank=4, activation_checkpointing=again))
        memory = memory_of(made("llama"))
        decoder.train()
        decoder(input_ids=IDS, memory=memory, use_cache=False).logits.square().mean().backward()
        lora = decoder.trainable_parameters()["lora"]
        found.append({name: one.grad for name, one in lora.items()})
    assert all(one.abs().max() > 0 for one in found[0].values())
    for name, one in found[0].items():
        torch.testing.assert_close(found[1][name], one)


def test_a_saved_reader_comes_back_with_its_corrections(tmp_path):
    model = str(save_tiny(tmp_path / "model", "llama"))
    decoder = trained(ReasoningDecoder(DecoderConfig(model, "cpu", "latent", lora_rank=4)))
    decoder.save_pretrained(tmp_path / "reader")
    back = ReasoningDecoder.from_pretrained(tmp_path / "reader", device="cpu")
    memory = memory_of(decoder)
    assert back.config.lora_rank == 4
    assert torch.equal(logits(back, memory), logits(decoder, memory))
    plain = ReasoningDecoder(DecoderConfig(model, "cpu", "latent"))
    with pytest.raises(UserError, match="other parameters"):
        checkpoint.load_gca(plain, tmp_path / "reader")


def test_they_train_with_the_reader_and_the_base_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "model_identity", lambda name: "tiny")
    training = settings(steps=3, lora_rank=4, lora_learning_rate=1e-2, tensorboard=False)
    decoder = made("llama", lora_rank=4)
    train_in_float32(decoder)
    before = {name: one.clone() for name, one in decoder.state_dict().items()}
    reader, feed, data = world(tmp_path, training, decoder=decoder)
    fit(reader, feed, training, Run(tmp_path, data), PlainEngine)
    after = decoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(".low_rank.up" in name for name in changed)
    assert all(".gca." in name or ".low_rank." in name for name in changed)
    assert torch.equal(logits(decoder), logits(made("llama")))
    assert checkpoint.read_record(tmp_path / "final").settings["lora_rank"] == 4


def test_kv_memory_takes_none():
    with pytest.raises(UserError, match="latent layout"):
        ReasoningDecoder.from_model(*tiny("llama"), DecoderConfig("tiny", "cpu", "kv", lora_rank=4))
