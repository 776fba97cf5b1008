"""The arithmetic of a step, against a count by hand."""

import pytest
import torch

from awareness_model.config import DecoderConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.tiny import tiny
from awareness_model.training.speed import arithmetic, memory_mib, peak


def test_frozen_layers_below_the_first_reader_go_forward_alone():
    decoder = ReasoningDecoder.from_model(*tiny("llama"), DecoderConfig(layout="latent"))
    assert decoder.reading_layers == (2, 5)
    # hidden 64, intermediate 128, 4 heads and 2 key/value heads of 16
    attention, mlp = 64 * 64 + 2 * 64 * 32 + 64 * 64, 3 * 64 * 128
    reading, slots = 2 * 64 * 64, 2 * 64 * 32
    layer = attention + mlp
    found = arithmetic(decoder)
    assert found.per_token == 2 * 2 * layer + 4 * 4 * layer + 2 * 6 * reading
    assert found.per_slot == 2 * 4 * slots
    assert found.per_answer == 4 * 64 * len(decoder.tokenizer)
    expected = 10 * found.per_token + 4 * found.per_answer + 7 * found.per_slot
    assert found.step(10, 4, 7) == expected


def test_speed_and_memory_of_this_machine_are_numbers():
    assert peak("cpu") > 1e8
    assert peak("cpu") == peak("cpu")
    before = memory_mib("cpu")
    held = torch.ones(64 << 18)
    assert memory_mib("cpu") - before == pytest.approx(64, abs=16)
    assert held.sum() > 0
