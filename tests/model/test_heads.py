"""Heads over the encoder's states: what they mix, and that gradients reach them."""

import pytest
import torch

from awareness_model import checkpoint
from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.decoder.heads import OFFSETS, EncoderHeads, around
from awareness_model.encoder import ContextEncoder
from awareness_model.engine import PlainEngine, optimizer, train_in_float32
from awareness_model.memory.batch import collate, laid
from awareness_model.tiny import save_tiny, tiny
from awareness_model.training import Run, fit
from tests.model.memory.test_batch import Chunk
from tests.model.small_world import settings, world

TEXTS = ["RATE = 4831\n", "\n".join(f"NAME_{n} = {n * 37}" for n in range(4)) + "\n"]
IDS = torch.arange(40, 60)[None]


def made(**changes):
    """A decoder whose gates are open."""
    config = DecoderConfig("tiny", "cpu", "latent", **changes)
    decoder = ReasoningDecoder.from_model(*tiny("llama"), config)
    for gate in decoder.trainable_parameters()["gates"].values():
        gate.data.fill_(0.5)
    return decoder


def trained(decoder):
    """Give the heads something to say."""
    draw = torch.Generator().manual_seed(1)
    for parameter in decoder.trainable_parameters()["encoder"].values():
        parameter.data.normal_(std=0.3, generator=draw)
    return decoder


def documents(decoder):
    config = EncoderConfig("tiny", "cpu", max_chunk_tokens=20)
    encoder = ContextEncoder.from_model(decoder.base, decoder.tokenizer, config)
    return encoder.encode(TEXTS, "latent")


@torch.no_grad()
def logits(decoder, memory=None):
    return decoder(input_ids=IDS, memory=memory).logits


def test_untrained_heads_leave_memory_as_it_is():
    plain, headed = made(), made(encoder_rank=3)
    memory = collate([documents(plain)])
    assert torch.equal(logits(headed, memory), logits(plain, memory))
    assert torch.equal(logits(trained(headed)), logits(plain))


def test_neighbours_are_those_of_the_same_chunk():
    draw = torch.Generator().manual_seed(0)
    rows = [[[4, 1], [3]], [[2]]]
    chunks = [
        [[Chunk(torch.randn(n, 2, 5, generator=draw)) for n in one] for one in row] for row in rows
    ]
    memory = collate(chunks)
    found = around(memory.keys, memory)
    for row, held in enumerate(chunks):
        slot = 0
        for chunk in (chunk for number in laid(held) for chunk in held[number]):
            for place in range(len(chunk.keys)):
                parts = [
                    chunk.keys[place + offset]
                    if 0 <= place + offset < len(chunk.keys)
                    else torch.zeros(2, 5)
                    for offset in OFFSETS
                ]
                assert torch.equal(found[row, slot], torch.cat(parts, dim=-1))
                slot += 1
        assert not found[row, slot:].any()


def test_trained_heads_read_a_document_alike_wherever_it_stands():
    plain, headed = made(), trained(made(encoder_rank=3))
    one, other = documents(plain)
    memory = collate([[one, other]])
    read = logits(headed, memory)
    assert (read - logits(plain, memory)).abs().max() > 1e-3
    torch.testing.assert_close(logits(headed, collate([[other, one]])), read, atol=1e-5, rtol=1e-5)
    padded = collate([[one], [one, other]])
    with torch.no_grad():
        both = headed(input_ids=IDS.expand(2, -1), memory=padded).logits
    torch.testing.assert_close(both[:1], logits(headed, collate([[one]])), atol=1e-5, rtol=1e-5)


def test_heads_have_a_rate_of_their_own_and_decay():
    decoder = made(encoder_rank=3)
    assert sorted(decoder.trainable_parameters()["encoder"]) == [
        f"heads.{name}_{part}" for name in ("key", "value") for part in ("down", "up")
    ]
    rates = settings(encoder_learning_rate=1e-5, weight_decay=0.02)
    *_, group = optimizer(decoder, rates).param_groups
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (1e-5, 0.02, 4)
    assert "encoder" not in made().trainable_parameters()


def test_gradients_reach_the_heads_from_stored_states_and_the_body_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "model_identity", lambda name: "tiny")
    training = settings(
        steps=3, encoder_rank=3, encoder_learning_rate=1e-2, pooling=(1, 2), tensorboard=False
    )
    decoder = made(encoder_rank=3)
    train_in_float32(decoder)
    before = {name: one.clone() for name, one in decoder.state_dict().items()}
    reader, feed, data = world(tmp_path, training, decoder=decoder)
    fit(reader, feed, training, Run(tmp_path, data), PlainEngine)
    after = decoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in changed if name.startswith("heads.")} == {
        f"heads.{name}_{part}" for name in ("key", "value") for part in ("down", "up")
    }
    assert all(".gca." in name or name.startswith("heads.") for name in changed)


def test_a_saved_reader_comes_back_with_its_heads(tmp_path):
    model = str(save_tiny(tmp_path / "model", "llama"))
    config = DecoderConfig(model, "cpu", "latent", encoder_rank=3, lora_rank=2)
    decoder = trained(ReasoningDecoder(config))
    for gate in decoder.trainable_parameters()["gates"].values():
        gate.data.fill_(0.5)
    decoder.save_pretrained(tmp_path / "reader")
    back = ReasoningDecoder.from_pretrained(tmp_path / "reader", device="cpu")
    assert (back.config.encoder_rank, back.config.lora_rank) == (3, 2)
    memory = collate([documents(decoder)])
    assert torch.equal(logits(back, memory), logits(decoder, memory))


def test_what_does_not_fit_is_refused():
    config = DecoderConfig("tiny", "cpu", "kv", encoder_rank=3)
    with pytest.raises(UserError, match="latent layout"):
        ReasoningDecoder.from_model(*tiny("llama"), config)
    memory = collate([[[Chunk(torch.ones(2, 1, 64))]]])
    with pytest.raises(ValueError, match="heads 2"):
        EncoderHeads(2, 64, 3)(memory)
