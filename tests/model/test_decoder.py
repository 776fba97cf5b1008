"""What must hold whatever the family and the layout: DESIGN.md, section 6."""

import copy

import pytest
import torch

from awareness_model.config import DecoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.memory.batch import from_slots
from awareness_model.tiny import tiny
from tests.model.decoder_world import CASES, GREEDY, PROMPTS, WORLDS, largest, made, near


@pytest.fixture(params=CASES, ids=str)
def case(request):
    family, layout = request.param
    return made(family), layout


@pytest.fixture(params=WORLDS)
def world(request):
    return made(request.param)


@pytest.fixture
def small():
    return made("llama")


@torch.no_grad()
def test_without_memory_the_base_model_is_untouched_to_the_bit(case):
    world, layout = case
    ids, mask, _ = world.padded(PROMPTS, left=True)
    for given in ((ids[:1],), (ids, mask)):
        expected = world.base(given[0], attention_mask=(*given, None)[1]).logits
        assert torch.equal(world.readers[layout](*given).logits, expected)


@torch.no_grad()
def test_closed_gates_leave_the_base_model_untouched_to_the_bit(world):
    decoder = ReasoningDecoder.from_model(
        copy.deepcopy(world.base), world.tokenizer, DecoderConfig(layout="latent")
    )
    memory = world.memory("latent", [[0, 1]])
    ids, mask, _ = world.padded(PROMPTS, left=True)
    read = decoder(ids, mask, memory).logits
    assert torch.equal(read, world.base(ids, attention_mask=mask).logits)


@torch.no_grad()
def test_memory_changes_what_is_said(case):
    world, layout = case
    ids = world.ids(PROMPTS[0])
    read = [world.readers[layout](ids, memory=world.memory(layout, [[n]])).logits for n in (0, 1)]
    assert largest(read[0], read[1]) > 1e-2
    assert largest(read[0], world.base(ids).logits) > 1e-2


@torch.no_grad()
def test_the_order_of_documents_does_not_matter(case):
    world, layout = case
    ids, reader = world.ids(PROMPTS[0]), world.readers[layout]
    rows = [
        reader(ids, memory=world.memory(layout, [row])).logits for row in ([0, 1, 2], [2, 0, 1])
    ]
    assert near(*rows)


@torch.no_grad()
def test_padded_slots_have_no_effect(case):
    """The short row is padded to the long one's slots; alone it has none."""
    world, layout = case
    ids, reader = world.ids(PROMPTS[0]), world.readers[layout]
    padded = world.memory(layout, [[2], [0, 1]])
    padded.keys[0, ~padded.mask[0]] = 1e3
    padded.values[0, ~padded.mask[0]] = -1e3
    alone = reader(ids, memory=world.memory(layout, [[2]])).logits
    together = reader(ids.expand(2, -1), memory=padded).logits
    assert near(together[0], alone[0])


@torch.no_grad()
def test_a_row_without_documents_reads_nothing(case):
    world, layout = case
    reader, ids = world.readers[layout], world.ids(PROMPTS[0])
    out = reader(
        ids.expand(2, -1), memory=world.memory(layout, [[0], []]), want_mass=layout == "latent"
    )
    if layout == "kv":
        assert near(out.logits[1:], world.base(ids).logits)
    else:
        null = out.memory_mass[1, ..., 0]
        torch.testing.assert_close(null, torch.ones_like(null))


@torch.no_grad()
@pytest.mark.parametrize("left", [False, True])
def test_a_batch_of_different_memories_equals_a_loop(case, left):
    """Prompts of different lengths, padded on either side, each with its own documents."""
    world, layout = case
    reader, rows = world.readers[layout], [[0], [1, 2]]
    ids, mask, columns = world.padded(PROMPTS, left)
    together = reader(ids, mask, world.memory(layout, rows)).logits
    for n, place in enumerate(columns):
        alone = reader(world.ids(PROMPTS[n]), memory=world.memory(layout, [rows[n]])).logits
        assert near(together[n, place], alone[0])


@torch.no_grad()
def test_several_prompts_can_share_one_memory(case):
    world, layout = case
    reader, rows = world.readers[layout], [[0, 1], [2]]
    ids = torch.cat([world.ids("area(1)"), world.ids("area(2)"), world.ids("area(3)")] * 2)
    shared = reader(ids, memory=world.memory(layout, rows)).logits
    for n in range(6):
        alone = reader(ids[n : n + 1], memory=world.memory(layout, [rows[n // 3]])).logits
        assert near(shared[n], alone[0])
    with pytest.raises(ValueError, match="memory of 2 rows for a batch of 3"):
        reader(ids[:3], memory=world.memory(layout, rows))


@torch.no_grad()
def test_cached_decoding_equals_the_full_forward_pass(case):
    world, layout = case
    reader, memory = world.readers[layout], world.memory(layout, [[0, 1]])
    ids = world.ids("assert RATE == 4831 and area(2) == 14")
    full = reader(ids, memory=memory).logits
    cache, steps = None, []
    for part in (ids[:, :4], ids[:, 4:7], *ids[:, 7:].split(1, dim=1)):
        out = reader(part, memory=memory, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        steps.append(out.logits)
    assert near(torch.cat(steps, dim=1), full)


def test_gradients_are_the_same_with_activation_checkpointing(world):
    """The loss includes attention mass, which leaves the layers aside from the stream."""
    ids = world.ids(PROMPTS[0])
    found = []
    for checkpointing in (False, True):
        decoder = world.reader("latent", activation_checkpointing=checkpointing).train()
        memory = world.memory("latent", [[0, 1]])
        out = decoder(ids, memory=memory, want_mass=True, use_cache=False)
        del memory
        loss = out.logits.logsumexp(-1).mean() - out.memory_mass[..., 1:4].sum(-1).log().mean()
        loss.backward()
        groups = decoder.trainable_parameters()
        found.append({n: p.grad for group in groups.values() for n, p in group.items()})
    plain, replayed = found
    assert plain.keys() == replayed.keys()
    for name, gradient in plain.items():
        assert gradient is not None, name
        torch.testing.assert_close(gradient, replayed[name], atol=1e-6, rtol=1e-5, msg=name)
    assert max(gradient.abs().max().item() for gradient in plain.values()) > 0


def test_activation_checkpointing_replays_the_reading_layers(small):
    """Without replay the flag would change nothing; what is kept for backward must shrink."""
    ids, kept = small.ids(PROMPTS[0]), []
    for checkpointing in (False, True):
        decoder = small.reader("latent", activation_checkpointing=checkpointing).train()
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, saved=saved: saved.append(t.numel()) or t, lambda t: t
        ):
            decoder(ids, memory=small.memory("latent", [[0, 1]]), use_cache=False)
        kept.append(sum(saved))
    assert kept[1] < kept[0] / 2


def test_a_training_pass_reads_what_a_pass_without_gradients_reads(world):
    """With gradients a layer projects memory itself; without, `prepare` has done it."""
    reader, ids = world.readers["latent"], world.ids(PROMPTS[0])
    memory = world.memory("latent", [[0, 1]])
    learning = reader(ids, memory=memory).logits
    with torch.no_grad():
        assert torch.equal(reader(ids, memory=memory).logits, learning)
    assert learning.requires_grad


def test_memory_is_projected_once_per_generation(small):
    reader, seen = small.reader("latent"), []
    for layer in reader.reading_layers:
        gca = reader.base.model.layers[layer].gca
        gca.k_proj.register_forward_hook(lambda *_, layer=layer: seen.append(layer))
    reader.generate(small.ids(PROMPTS[0]), small.memory("latent", [[0, 1]]), **GREEDY)
    assert seen == list(reader.reading_layers)


def test_only_the_reading_parts_train(world):
    decoder = world.readers["latent"]
    groups = decoder.trainable_parameters()
    named = [name for group in groups.values() for name in group]
    assert sorted(named) == sorted(n for n, p in decoder.named_parameters() if p.requires_grad)
    assert all(".gca." in name for name in named)
    reads = len(decoder.reading_layers)
    biases = 3 if world.base.model.layers[0].self_attn.q_proj.bias is not None else 0
    assert {kind: len(group) for kind, group in groups.items()} == {
        "projections": 4 * reads,
        "gates": reads,
        "gains": (4 + biases) * reads,
    }
    heads = world.base.config.num_attention_heads
    gates = groups["gates"].values()
    assert all(gate.dtype == torch.float32 and gate.shape == (heads,) for gate in gates)


def test_nothing_trains_in_the_kv_layout(small):
    assert not any(small.readers["kv"].trainable_parameters().values())


def test_a_wrapped_layer_shows_the_attributes_of_the_layer_inside(small):
    decoder = small.readers["latent"]
    wrapped = decoder.base.model.layers[decoder.reading_layers[0]]
    assert wrapped.self_attn is wrapped.layer.self_attn
    assert not hasattr(wrapped, "no_such_thing")


@pytest.mark.parametrize("layout", ["latent", "kv"])
@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("upper_third", (4, 5)),
        ("every_third", (2, 5)),
        ("middle", (2, 3)),
        ("all", tuple(range(6))),
    ],
)
@torch.no_grad()
def test_placements_are_named_presets_and_read_only_there(small, layout, placement, expected):
    decoder = small.reader(layout, placement=placement)
    assert decoder.reading_layers == expected
    shape = {"kv": (5, 6, 2, 16), "latent": (5, len(expected), 64)}[layout]
    memory = from_slots(torch.randn(shape), torch.randn(shape), layout)
    assert set(decoder.prepare(memory).keys) == set(expected)
    seen = []
    for index, layer in enumerate(decoder.base.model.layers):
        layer.register_forward_hook(lambda _, __, out, index=index: seen.append((index, out)))
    ids = small.ids(PROMPTS[0])
    decoder(ids, memory=memory)
    decoder(ids)
    changed = [n for n in range(6) if not torch.equal(seen[n][1], seen[n + 6][1])]
    assert changed == list(range(expected[0], 6))


def test_an_unknown_placement_is_the_users_error():
    model, tokenizer = tiny("llama")
    with pytest.raises(UserError, match="every_third"):
        ReasoningDecoder.from_model(model, tokenizer, DecoderConfig("tiny", placement="top"))


@torch.no_grad()
def test_the_users_form_of_memory_is_the_same_as_a_batch_of_one_document(case):
    world, layout = case
    chunk = world.encoded[layout][0][0]
    values = chunk.keys if chunk.values is None else chunk.values
    ids = world.ids(PROMPTS[0])
    reader, pair = world.readers[layout], {"memory_key": chunk.keys, "memory_value": values}
    expected = reader(ids, memory=world.memory(layout, [[0]])).logits
    assert torch.equal(reader(ids, **pair).logits, expected)
    assert near(reader(ids.expand(2, -1), **pair).logits[1], expected[0])


def test_memory_that_does_not_fit_is_refused(small):
    ids = small.ids(PROMPTS[0])
    with pytest.raises(ValueError, match="kv memory for a latent decoder"):
        small.readers["latent"](ids, memory=small.memory("kv", [[0]]))
    wrong = from_slots(torch.zeros(3, 4, 64), torch.zeros(3, 4, 64), "latent")
    with pytest.raises(ValueError, match="4 layers' states"):
        small.readers["latent"](ids, memory=wrong)
    wrong = from_slots(torch.zeros(3, 4, 2, 16), torch.zeros(3, 4, 2, 16), "kv")
    with pytest.raises(ValueError, match="holds 4 layers"):
        small.readers["kv"](ids, memory=wrong)


@torch.no_grad()
def test_one_state_can_serve_every_reading_layer(small):
    state = torch.randn(3, 1, 64)
    once = from_slots(state, state, "latent")
    repeated = from_slots(state.expand(-1, 2, -1), state.expand(-1, 2, -1), "latent")
    ids, reader = small.ids(PROMPTS[0]), small.readers["latent"]
    assert near(reader(ids, memory=once).logits, reader(ids, memory=repeated).logits)


@torch.no_grad()
def test_both_readers_can_share_one_model_kv_first(small):
    loaded = (copy.deepcopy(small.base), small.tokenizer)
    ReasoningDecoder.from_model(*loaded, DecoderConfig("tiny", layout="kv"))
    latent = small.opened(ReasoningDecoder.from_model(*loaded, DecoderConfig("tiny")))
    ids, memory = small.ids(PROMPTS[0]), small.memory("latent", [[0]])
    expected = small.readers["latent"]
    assert near(latent(ids, memory=memory).logits, expected(ids, memory=memory).logits)
    said = [one.generate(ids, memory, **GREEDY) for one in (latent, expected)]
    assert torch.equal(*said)
