"""kv memory is text in context, and attention mass says where a reader looked."""

import copy
import random
from dataclasses import replace

import pytest
import torch

from awareness_model.base import plain_ids
from awareness_model.config import EncoderConfig
from awareness_model.decoder.prepared import focus
from awareness_model.encoder import ContextEncoder, sink_token
from awareness_model.memory.batch import collate, from_slots
from tests.bench.kv_gap import THINGS, WORDS
from tests.model.decoder_world import (
    CASES,
    DOCUMENTS,
    KV_WORLDS,
    PROMPTS,
    REAL,
    largest,
    made,
    near,
)

LONG = "".join(f"def step_{n}(value):\n    return value * {n * 37} + {n}\n\n" for n in range(30))


@pytest.fixture(params=CASES, ids=str)
def case(request):
    family, layout = request.param
    return made(family), layout


@pytest.fixture(params=KV_WORLDS)
def world(request):
    return made(request.param)


def in_context(world, document, prompt):
    first = sink_token(world.tokenizer, world.base.config)
    text = torch.tensor([[first, *plain_ids(world.tokenizer, document)]])
    return torch.cat([text, world.ids(prompt)], dim=1)


@torch.no_grad()
@pytest.mark.parametrize("document", [DOCUMENTS[1], LONG], ids=["short", "long"])
def test_kv_memory_of_one_document_is_that_document_in_context(world, document):
    """Exact for [BOS, document, prompt] when the document is one chunk and the prompt has no BOS
    of its own."""
    encoder = ContextEncoder.from_model(
        copy.deepcopy(world.base), world.tokenizer, EncoderConfig("tiny", max_chunk_tokens=4096)
    )
    held = encoder.encode([document], "kv")
    assert len(held[0]) == 1
    prompt, whole = world.ids(PROMPTS[1]), in_context(world, document, PROMPTS[1])
    expected = world.base(whole).logits[:, -prompt.shape[1] :]
    read = world.readers["kv"](prompt, memory=collate([held])).logits
    assert largest(read, expected) <= 1e-3
    assert largest(world.base(prompt).logits, expected) > 1e-1


@torch.no_grad()
def test_the_mass_of_kv_memory_is_the_attention_of_the_text_in_context(world):
    whole, prompt = in_context(world, DOCUMENTS[1], PROMPTS[1]), world.ids(PROMPTS[1])
    base = copy.deepcopy(world.base)
    base.set_attn_implementation("eager")
    attention = base(whole, output_attentions=True).attentions
    slots = whole.shape[1] - prompt.shape[1]
    expected = torch.stack([one[:, :, slots:, :slots].mean(1) for one in attention], dim=1)
    memory, reader = world.memory("kv", [[1]]), world.readers["kv"]
    plain = reader(prompt, memory=memory)
    out = reader(prompt, memory=memory, want_mass=True)
    assert plain.memory_mass is None
    assert near(out.logits, plain.logits)
    torch.testing.assert_close(out.memory_mass, expected, atol=1e-4, rtol=1e-3)
    some = reader(prompt, memory=memory, want_mass=(2, 4)).memory_mass
    torch.testing.assert_close(some, expected[:, [2, 4]], atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_asking_for_mass_changes_no_logit_of_a_padded_batch(world):
    """Mass is taken where memory lies, the rest goes through SDPA: two ways to one result."""
    ids, mask, columns = world.padded(PROMPTS, left=True)
    reader, memory = world.readers["kv"], world.memory("kv", [[0], [1, 2]])
    plain = reader(ids, mask, memory).logits
    asked = reader(ids, mask, memory, want_mass=True).logits
    for n, place in enumerate(columns):
        assert near(asked[n, place], plain[n, place])


@torch.no_grad()
def test_masked_slots_get_no_mass_in_a_batch(case):
    world, layout = case
    reader, rows = world.readers[layout], [[0], [1, 2]]
    memory = world.memory(layout, rows)
    ids = world.ids(PROMPTS[0]).expand(2, -1)
    mass = reader(ids, memory=memory, want_mass=True).memory_mass
    slots = memory.mask.shape[1]
    assert mass.shape == (2, len(reader.reading_layers), ids.shape[1], slots + 1)
    assert mass.dtype == torch.float32
    assert mass[..., 1:][:, :, :, ~memory.mask[0]][0].abs().max() == 0
    total = mass.sum(-1)
    assert total.max() <= 1 + 1e-5
    assert total.min() > (0 if layout == "kv" else 1 - 1e-5)


@torch.no_grad()
def test_attended_is_the_mean_mass_of_the_tokens_asked_for(case):
    world, layout = case
    reader, memory = world.readers[layout], world.memory(layout, [[0], [1, 2]])
    layers = reader.reading_layers
    ids, mask, _ = world.padded(PROMPTS, left=True)
    mass = reader(ids, mask, memory, want_mass=True).memory_mass
    columns = torch.tensor([ids.shape[1] - 2, ids.shape[1] - 1])
    seen = reader.attended(ids, memory, columns, attention_mask=mask, layers=layers)
    assert near(seen, mass[:, :, columns].mean((1, 2)))
    seen = reader.attended(ids, memory, mask.bool(), attention_mask=mask, layers=layers[-1:])
    row = mass[1, -1, mask[1].bool()].mean(0)
    assert near(seen[1], row)
    seen = reader.attended(ids, memory, columns, attention_mask=mask)
    assert near(seen[0], mass[0][:, columns].mean((0, 1)))  # one document: all layers weigh alike
    with pytest.raises(ValueError, match="mass of layers"):
        reader.prepare(memory, [99])


def test_layers_weigh_as_much_as_they_tell_documents_apart():
    """Two documents of 3 slots and 1: even mass over slots is no preference for the first."""
    even, looking = [0.2, 0.2, 0.2, 0.2, 0.2], [0.2, 0.0, 0.0, 0.0, 0.8]
    memory = from_slots(torch.zeros(4, 1, 8), torch.zeros(4, 1, 8), "latent")
    memory = replace(memory, document=torch.tensor([[0, 0, 0, 1]]))
    mass = torch.tensor([[even, looking], [even, even]])
    weights = focus(mass, memory)
    torch.testing.assert_close(weights[0], torch.tensor([0.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(weights[1], torch.tensor([0.5, 0.5]))
    hidden = replace(memory, mask=torch.tensor([[True, True, True, False]]))
    torch.testing.assert_close(focus(mass[1:], hidden), torch.tensor([[0.5, 0.5]]))


@pytest.mark.slow
@torch.no_grad()
def test_an_untrained_model_cites_the_document_it_answers_from():
    """Six documents of four constants each; the answer's tokens look at the one that has them."""
    world, draw, hits = made(REAL), random.Random(7), 0
    for _ in range(6):
        names = draw.sample([f"{a}_{b}".upper() for a in WORDS for b in THINGS], 24)
        values = [str(draw.randint(100, 9999)) for _ in names]
        texts = [
            "".join(f"{names[i]} = {values[i]}\n" for i in range(n, n + 4)) for n in range(0, 24, 4)
        ]
        asked = draw.randrange(24)
        encoder = ContextEncoder.from_model(world.base, world.tokenizer, EncoderConfig("tiny"))
        memory = collate([encoder.encode(texts, "kv")])
        answer = plain_ids(world.tokenizer, values[asked])
        ids = torch.cat([world.ids(f"assert {names[asked]} == "), torch.tensor([answer])], dim=1)
        columns = torch.arange(ids.shape[1] - len(answer) - 1, ids.shape[1] - 1)
        mass = world.readers["kv"].attended(ids, memory, columns)[0, 1:]
        by_document = torch.zeros(6).index_add(0, memory.document[0], mass)
        hits += int(by_document.argmax()) == asked // 4
    assert hits >= 5


@torch.no_grad()
def test_samples_of_one_memory_have_their_own_mass(case):
    world, layout = case
    reader, memory = world.readers[layout], world.memory(layout, [[0, 1]])
    ids = torch.cat([world.ids(text)[:, :4] for text in PROMPTS])
    columns = torch.tensor([2, 3])
    seen = reader.attended(ids, memory, columns)
    assert seen.shape == (2, memory.mask.shape[1] + 1)
    assert near(seen[1], reader.attended(ids[1:], memory, columns)[0])
    assert largest(seen[0], seen[1]) > 1e-4


@torch.no_grad()
def test_kv_in_some_layers_reads_only_there(world):
    reader = world.reader("kv", placement="middle")
    layers = len(world.base.model.layers)
    assert reader.reading_layers == tuple(range(layers // 3, 2 * layers // 3))
    ids, memory = world.ids(PROMPTS[0]), world.memory("kv", [[0]])
    everywhere = world.readers["kv"](ids, memory=memory).logits
    assert largest(reader(ids, memory=memory).logits, everywhere) > 1e-3
