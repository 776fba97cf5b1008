"""Documents read word by word out of memory."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from awareness_model.base import plain_ids
from awareness_model.config import DecoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import Reader
from awareness_model.evaluation.needles import needles
from awareness_model.loss import Weights
from awareness_model.memory.batch import collate
from awareness_model.tiny import tiny
from awareness_model.training.transmission import SEEDS, Transmission
from tests.model.small_world import settings

TRAINING = settings(batch_size=4, max_prompt_tokens=20, max_answer_tokens=20, seed=3)


@pytest.fixture(scope="module")
def decoder():
    made = ReasoningDecoder.from_model(*tiny("llama"), DecoderConfig(layout="latent"))
    for gate in made.trainable_parameters()["gates"].values():
        gate.data.fill_(0.7)
    return made


def made(decoder, training=TRAINING, rank=0, ranks=1):
    return Transmission.of(decoder, training, rank, ranks)


def test_the_loss_is_that_of_every_token_of_the_document(decoder):
    batch = made(decoder).batch(5, 2)
    got = Reader(decoder, Weights(kl=1.0, citation=0.0, null=0.0))(batch)
    texts = [one.text for one in needles(4, TRAINING.seed * SEEDS + 5, "train")]
    encoder, tokenizer = made(decoder).encoder, decoder.tokenizer
    nats = []
    for row, text in enumerate(texts):
        seen = [text, *(other for other in texts if _shown(batch, row, encoder, other, text))]
        assert len(seen) == 2
        memory = collate([encoder.encode(seen, "latent")])
        ids = torch.tensor([[tokenizer.bos_token_id, *plain_ids(tokenizer, text)[:40]]])
        with torch.no_grad():
            logits = decoder(input_ids=ids, memory=memory).logits[0, :-1]
        nats += F.cross_entropy(logits, ids[0, 1:], reduction="none").tolist()
    assert len(nats) == batch.targets.numel() == 4 * 40
    assert got.ce.item() == pytest.approx(sum(nats) / len(nats), rel=1e-4)
    assert got.kl.item() == got.harm.item() == 0.0
    assert got.total.item() == pytest.approx(got.ce.item())


def _shown(batch, row, encoder, other, own):
    """Whether a document that is not the row's own is visible to it."""
    keys = torch.cat([chunk.keys for chunk in encoder.encode([other], "latent")[0]])
    here = batch.memory.keys[row][batch.memory.document[row] == 1]
    return other != own and here.shape == keys.shape and torch.allclose(here, keys, atol=1e-4)


def test_the_own_document_is_the_gold_one_and_all_others_are_of_the_step(decoder):
    batch = made(decoder).batch(0, 3)
    assert torch.equal(batch.gold, batch.memory.document == 0)
    assert batch.gold.any(1).all()
    for row in range(4):
        shown = set(batch.memory.document[row].tolist()) - {-1}
        assert shown == {0, 1, 2}
    more = made(decoder).batch(0, 6)
    assert int(more.memory.document.max()) == 5
    assert not torch.equal(batch.targets, made(decoder).batch(1, 3).targets)
    assert torch.equal(batch.memory.keys, made(decoder).batch(0, 3).memory.keys)
    held_out = made(decoder).batch(0, 3, side="held_out")
    assert not torch.equal(held_out.targets, batch.targets)


def test_ranks_and_pieces_share_a_step_and_see_each_others_documents(decoder):
    whole = made(decoder).batch(2, 3)
    for rank in (0, 1):
        part = made(decoder, rank=rank, ranks=2).batch(2, 3)
        piece = made(decoder, replace(TRAINING, accumulate=2)).batch(2, 3, rank)
        for found in (part, piece):
            assert torch.equal(found.input_ids, whole.input_ids[rank::2])
            slots = found.memory.mask.shape[1]
            assert torch.equal(found.memory.mask, whole.memory.mask[rank::2, :slots])
            assert torch.equal(found.memory.keys, whole.memory.keys[rank::2, :slots])
    own = made(decoder, rank=0, ranks=2).batch(2, 4)
    assert (own.memory.document.amax(1) == 3).all()


@pytest.mark.parametrize("whole", [False, True])
def test_encoding_leaves_what_is_in_training_so_and_its_cache_whole(decoder, whole):
    quiet = made(decoder).batch(7, 1).memory.keys
    config = DecoderConfig(layout="latent", activation_checkpointing=True)
    replaying = ReasoningDecoder.from_model(*tiny("llama"), config)
    if whole:
        replaying.train()
    before = [part.training for part in replaying.modules()]
    assert any(before)
    assert torch.equal(made(replaying).batch(7, 1).memory.keys, quiet)
    assert [part.training for part in replaying.modules()] == before


def test_a_base_that_ranks_share_out_is_refused(decoder):
    with pytest.raises(UserError, match="zero_stage 2"):
        made(decoder, replace(TRAINING, zero_stage=3))
