"""Slots of several tokens: pooled when they are read as when they were stored."""

import pytest
import torch

from awareness_model.config import EncoderConfig
from awareness_model.encoder import ContextEncoder
from awareness_model.memory.batch import collate
from awareness_model.pooling import pooled
from awareness_model.tiny import tiny

TEXTS = ["RATE = 4831\nLIMIT = 12\n", "\n".join(f"NAME_{n} = {n * 37}" for n in range(9)) + "\n"]


def test_a_slot_is_the_mean_of_contiguous_states_and_the_last_of_what_is_left():
    states = torch.arange(10.0).reshape(5, 2)
    found = pooled(states, 2)
    assert found.tolist() == [[1.0, 2.0], [5.0, 6.0], [8.0, 9.0]]
    assert pooled(states, 1) is states
    assert pooled(states, 9).tolist() == [states.mean(0).tolist()]
    with pytest.raises(ValueError, match="one token or more"):
        pooled(states, 0)


@pytest.mark.parametrize("p", [2, 3, 8])
def test_stored_tokens_are_pooled_as_the_encoder_pools_them(p):
    """Chunks of three lengths, none a multiple of all pooling rates; a row of two documents."""
    model, tokenizer = tiny("llama")

    def rows(pooling):
        config = EncoderConfig("tiny", "cpu", max_chunk_tokens=50, pooling=pooling)
        one, other = ContextEncoder.from_model(model, tokenizer, config).encode(TEXTS, "latent")
        assert len(other) > 1
        return [[one, other], [other]]

    stored, read = collate(rows(p)), collate(rows(1), pooling=p)
    assert stored.keys.shape[1] < collate(rows(1)).keys.shape[1]
    for name in ("keys", "mask", "document", "position"):
        assert torch.equal(getattr(stored, name), getattr(read, name))
    assert read.values is read.keys
