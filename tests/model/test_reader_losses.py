"""The losses of a whole forward pass: what a reader is held to where gold is hidden."""

import pytest
import torch

from awareness_model.loss import whole_kl
from tests.model.small_world import settings, world


@pytest.fixture
def small(tmp_path):
    training = settings(gold_absent=1.0, null_weight=0.0, citation_weight=0.0, harm_weight=0.5)
    reader, feed, _ = world(tmp_path, training)
    return reader, feed.batch(0, 2)


def opened(reader):
    for gate in reader.decoder.trainable_parameters()["gates"].values():
        gate.data.fill_(0.7)
    return reader


def test_a_closed_reader_does_no_harm_and_learns_nothing_from_hidden_gold(small):
    reader, batch = small
    found = reader(batch).values()
    assert found["loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["ce"] == found["kl"] == 0.0


def test_without_gold_the_loss_is_the_divergence_from_the_base_without_memory(small):
    reader, batch = small
    decoder = opened(reader).decoder
    got = reader(batch)
    with torch.no_grad():
        at = batch.rows, batch.positions
        read = decoder(input_ids=batch.input_ids, memory=batch.memory).logits[at]
        base = decoder(input_ids=batch.input_ids).logits[at]
    naive = whole_kl(read, base).mean().item()
    assert naive > 1e-4
    assert got.harm.item() == pytest.approx(naive, rel=1e-4)
    assert got.total.item() == pytest.approx(0.5 * naive, rel=1e-4)
    got.total.backward()
    gates = decoder.trainable_parameters()["gates"].values()
    assert any(gate.grad.abs().max() > 0 for gate in gates)


def test_attention_is_only_measured_for_its_spread_when_that_weighs(tmp_path):
    plain, feed, _ = world(tmp_path, settings())
    sparse, _, _ = world(tmp_path, settings(sparsity_weight=0.1))
    batch = feed.batch(0, 2)
    assert opened(plain)(batch).sparsity.item() == 0.0
    found = opened(sparse)(batch)
    slots = batch.memory.mask.shape[1] + 1
    assert 0 < found.sparsity.item() < torch.tensor(float(slots)).log()
