from dataclasses import dataclass

import pytest
import torch

from awareness_model.memory.batch import collate, from_slots


@dataclass
class Chunk:
    keys: torch.Tensor
    values: torch.Tensor | None = None


def chunk(slots, fill, values=None, shape=(2, 4)):
    made = None if values is None else torch.full((slots, *shape), float(values))
    return Chunk(torch.full((slots, *shape), float(fill)), made)


def test_rows_of_documents_of_chunks_become_one_padded_batch():
    memory = collate([[[chunk(2, 1), chunk(1, 2)], [chunk(1, 3)]], [[chunk(1, 4)]], []])
    assert memory.layout == "latent"
    assert memory.keys[0, :, 0, 0].tolist() == [1, 1, 2, 3]
    assert memory.mask.tolist() == [[True] * 4, [True, False, False, False], [False] * 4]
    assert memory.document.tolist() == [[0, 0, 0, 1], [0, -1, -1, -1], [-1] * 4]
    assert memory.position.tolist() == [[1, 2, 1, 1], [1, 0, 0, 0], [0] * 4]


def test_values_are_the_keys_where_none_are_stored():
    shared = collate([[[chunk(2, 1)]]])
    assert shared.values is shared.keys
    apart = collate([[[chunk(2, 1, values=5)]]])
    assert apart.values.eq(5).all()
    assert apart.keys.eq(1).all()


def test_log_bias_is_given_per_document_and_lands_on_its_slots():
    memory = collate([[[chunk(2, 1)], [chunk(1, 2)]]], log_bias=[[0.5, -1.0]])
    assert memory.log_bias.tolist() == [[0.5, 0.5, -1.0]]


def test_documents_lie_alike_however_they_are_given_and_keep_their_numbers():
    one, two, three = [chunk(2, 1), chunk(1, 2)], [chunk(1, 3)], [chunk(1, 2)]
    memory = collate([[one, two, three], [two, one, three]], log_bias=[[1, 2, 3], [2, 1, 3]])
    assert torch.equal(memory.keys[0], memory.keys[1])
    assert torch.equal(memory.position[0], memory.position[1])
    assert torch.equal(memory.log_bias[0], memory.log_bias[1])
    assert memory.keys[0, :, 0, 0].tolist() == [1, 1, 2, 2, 3]
    assert memory.document.tolist() == [[0, 0, 0, 2, 1], [1, 1, 1, 2, 0]]


def test_nothing_to_read_and_mixed_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        collate([[], []])
    with pytest.raises(ValueError, match="one shape"):
        collate([[[chunk(1, 1)], [chunk(1, 1, shape=(3, 4))]]])


def test_rows_are_repeated_for_samples_of_a_prompt():
    memory = collate([[[chunk(1, 1)]], [[chunk(1, 2)]]], log_bias=[[1.0], [2.0]])
    assert memory.for_batch(2) is memory
    assert memory.for_batch(4).keys[:, 0, 0, 0].tolist() == [1, 1, 2, 2]
    assert memory.for_batch(4).log_bias[:, 0].tolist() == [1, 1, 2, 2]
    with pytest.raises(ValueError, match="2 rows"):
        memory.for_batch(3)


def test_the_users_tensors_become_a_batch_of_one_document():
    memory = from_slots(torch.ones(3, 2, 4), torch.zeros(3, 2, 4), "latent")
    assert memory.position.tolist() == [[1, 2, 3]]
    assert from_slots(torch.ones(2, 3, 2, 4), torch.ones(2, 3, 2, 4), "latent").mask.shape == (2, 3)
    with pytest.raises(ValueError, match="kv memory has 4"):
        from_slots(torch.ones(3, 2, 4), torch.ones(3, 2, 4), "kv")
