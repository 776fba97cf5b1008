import math

import pytest
import torch

from awareness_model.decoder.bias import LENGTH_SCALE, join_bias, joined_mask, own_mask, slot_bias
from awareness_model.decoder.kv import rotate
from awareness_model.gca import GatedCrossAttention, pack, unpack
from awareness_model.tiny import tiny


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3"])
def attention(request):
    model, _ = tiny(request.param)
    return model.model.layers[2].self_attn


def inputs(rows=2, tokens=3, slots=5):
    draw = torch.Generator().manual_seed(1)
    states = torch.randn(rows, tokens, 64, generator=draw)
    latents = torch.randn(rows, slots, 64, generator=draw)
    return states, latents, torch.ones(rows, slots, dtype=torch.bool)


def opened(attention):
    gca = GatedCrossAttention.from_self_attention(attention)
    with torch.no_grad():
        gca.alpha.copy_(torch.linspace(-1, 1, len(gca.alpha)))
        gca.null_key.normal_(generator=torch.Generator().manual_seed(2))
        gca.null_value.normal_(generator=torch.Generator().manual_seed(3))
    return gca


def reference(gca, states, latents, bias):
    """The formula of the module's docstring, head by head."""

    def rms(x, gain):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * gain

    def part(name, x, place, size):
        rows = slice(place * size, (place + 1) * size)
        projection = getattr(gca, name)
        added = 0 if projection.bias is None else projection.bias[rows]
        return x @ projection.weight[rows].T + added

    heads, size = gca.heads, gca.head_dim
    out = torch.zeros(*states.shape[:2], heads * size)
    for h in range(heads):
        g = h // (heads // gca.kv_heads)
        q = rms(part("q_proj", states, h, size), gca.q_gain)
        k = rms(part("k_proj", latents, g, size), gca.k_gain)
        v = part("v_proj", latents, g, size)
        k = torch.cat([gca.null_key[g].expand(len(k), 1, -1), k], 1)
        v = torch.cat([gca.null_value[g].expand(len(v), 1, -1), v], 1)
        share = (q @ k.transpose(1, 2) / math.sqrt(size) + bias[:, None]).softmax(-1)
        out[..., h * size : (h + 1) * size] = torch.tanh(gca.alpha[h]) * (share @ v)
    return out @ gca.o_proj.weight.T


def test_reads_what_the_formula_says(attention):
    gca = opened(attention)
    states, latents, mask = inputs()
    mask[1, 3:] = False
    bias = slot_bias(mask)
    read, mass = gca(states, latents, latents, bias)
    assert mass is None
    torch.testing.assert_close(read, reference(gca, states, latents, bias), atol=1e-5, rtol=1e-4)


def test_closed_gates_add_exactly_nothing(attention):
    gca = GatedCrossAttention.from_self_attention(attention)
    states, latents, mask = inputs()
    assert torch.equal(gca(states, latents, latents, slot_bias(mask))[0], torch.zeros_like(states))


def test_projections_are_copied_and_latents_of_another_size_get_their_own(attention):
    gca = GatedCrossAttention.from_self_attention(attention)
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        assert torch.equal(getattr(gca, name).weight, getattr(attention, name).weight)
        assert getattr(gca, name).weight is not getattr(attention, name).weight
    for name in ("q_proj", "k_proj", "v_proj"):
        ours, theirs = getattr(gca, name).bias, getattr(attention, name).bias
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.equal(ours, theirs)
    other = GatedCrossAttention.from_self_attention(attention, latent=24)
    assert other.k_proj.in_features == other.v_proj.in_features == 24
    assert torch.equal(other.q_proj.weight, attention.q_proj.weight)


def test_a_bias_of_the_output_projection_would_pass_a_closed_gate_and_is_left_out():
    model, _ = tiny("gpt_oss")
    attention = model.model.layers[2].self_attn
    assert attention.o_proj.bias.abs().max() > 0
    gca = GatedCrossAttention.from_self_attention(attention)
    assert gca.o_proj.bias is None
    assert torch.equal(gca.q_proj.bias, attention.q_proj.bias)


def test_heads_made_beforehand_are_read_the_same(attention):
    gca = opened(attention)
    states, latents, mask = inputs()
    bias, heads = slot_bias(mask), gca.project(latents, latents)
    expected = gca(states, latents, latents, bias)[0]
    assert torch.equal(gca(states, *heads, bias, projected=True)[0], expected)


def test_packed_queries_come_back_in_their_order():
    query, key = torch.randn(6, 4, 3, 8), torch.randn(2, 2, 5, 8)
    packed = pack(query, key)
    assert packed.shape == (2, 2, 3 * 2 * 3, 8)
    assert torch.equal(unpack(packed, query), query)
    read = unpack(packed @ key.transpose(2, 3), query)
    for row in range(6):
        for head in range(4):
            expected = query[row, head] @ key[row // 3, head // 2].T
            torch.testing.assert_close(read[row, head], expected)


def test_mass_is_a_distribution_over_null_and_visible_slots(attention):
    gca = opened(attention)
    states, latents, mask = inputs()
    mask[0, 2:] = False
    with_mass, mass = gca(states, latents, latents, slot_bias(mask), want_mass=True)
    without, _ = gca(states, latents, latents, slot_bias(mask))
    torch.testing.assert_close(with_mass, without, atol=1e-5, rtol=1e-4)
    assert mass.shape == (2, 3, 6)
    assert mass.dtype == torch.float32
    torch.testing.assert_close(mass.sum(-1), torch.ones(2, 3))
    assert mass[0, :, 3:].abs().max() == 0
    assert mass[:, :, 0].min() > 0


def test_a_row_without_slots_reads_only_the_null_slot(attention):
    states, latents, mask = inputs()
    mask[0] = False
    _, mass = opened(attention)(states, latents, latents, slot_bias(mask), want_mass=True)
    torch.testing.assert_close(mass[0, :, 0], torch.ones(3))


def test_the_length_shift_keeps_the_weight_of_all_slots_together():
    for slots in (1, 10, 1000):
        bias = slot_bias(torch.ones(1, slots, dtype=torch.bool))
        assert bias[0, 0] == 0
        assert bias[0, 1:].exp().sum().item() == pytest.approx(LENGTH_SCALE, rel=1e-4)


def test_log_bias_is_added_to_visible_slots_only():
    mask = torch.tensor([[True, True, False]])
    bias = torch.tensor([[0.5, -1.0, 9.0]])
    shifted, plain = slot_bias(mask, bias), slot_bias(mask)
    torch.testing.assert_close(shifted[0, 1:3] - plain[0, 1:3], bias[0, :2])
    assert shifted[0, 3] == -torch.inf
    assert join_bias(mask, bias).tolist() == [[0.0, 0.5, -1.0, -torch.inf]]


def test_the_sink_is_hidden_where_a_row_has_no_memory():
    mask = torch.tensor([[True, False], [False, False]])
    assert join_bias(mask)[:, 0].tolist() == [0.0, -torch.inf]


def test_one_softmax_over_memory_and_self_is_their_log_sum_exp_join():
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(1, 1, 3, 8, generator=draw)
    memory, own = (torch.randn(1, 1, n, 8, generator=draw) for n in (4, 3))
    bias = torch.zeros(1, 4)
    mask = joined_mask(bias, None, 3, 3)
    keys = torch.cat([memory, own], 2)
    joined = torch.nn.functional.scaled_dot_product_attention(query, keys, keys, attn_mask=mask)

    def part(slots, hidden):
        logits = query @ slots.transpose(2, 3) / math.sqrt(8) + hidden
        return logits.softmax(-1) @ slots, logits.logsumexp(-1, keepdim=True)

    causal = torch.full((3, 3), -torch.inf).triu(1)
    (read, read_lse), (seen, seen_lse) = part(memory, 0.0), part(own, causal)
    weight = torch.sigmoid(read_lse - seen_lse)
    torch.testing.assert_close(joined, weight * read + (1 - weight) * seen, atol=1e-5, rtol=1e-4)


def test_masks_of_self_attention_are_kept_whatever_their_form():
    bias = torch.zeros(2, 1)
    boolean = torch.tensor([[True, False], [True, True]])[None, None].expand(2, 1, 2, 2)
    additive = torch.zeros(2, 1, 2, 2).masked_fill(~boolean, -torch.inf)
    expected = joined_mask(bias, None, 2, 2)
    assert torch.equal(joined_mask(bias, boolean, 2, 2), expected)
    assert torch.equal(joined_mask(bias, additive, 2, 2), expected)
    assert joined_mask(bias, None, 1, 4).isfinite().all()
    assert own_mask(None, 1, 4, bias) is None


def test_rotation_by_an_angle_and_back_is_the_identity():
    states = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    angle = torch.rand(5, 4, generator=torch.Generator().manual_seed(1)).repeat(1, 2)
    turned = rotate(states, angle.cos(), angle.sin())
    torch.testing.assert_close(rotate(turned, angle.cos(), -angle.sin()), states)
    torch.testing.assert_close(turned.norm(dim=-1), states.norm(dim=-1))
