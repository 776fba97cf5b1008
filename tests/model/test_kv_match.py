"""What own tokens say of the documents, against a naive reference, and what a gate makes of it."""

import math

import pytest
import torch
import torch.nn.functional as F

from awareness_model.decoder import kv_corrected
from awareness_model.decoder.kv_join import join
from awareness_model.decoder.kv_match import DECAYS, FITS, LEAST, MOST, SPREAD, WINDOW, Match
from awareness_model.reader.course import by_hand
from awareness_model.reader.rows import Held
from awareness_model.reader.usual import ARBITRARY, CUT, fit_usual
from tests.model.decoder_world import GREEDY, PROMPTS, largest, made
from tests.model.test_kv_reader import opened, reader_of

GROUPS, WIDTH = 2, 4
CLOSED = -1e4


def drawn(rows, own, slots, documents, seed=0):
    """Return a match over random slots, and own values."""
    draw = torch.Generator().manual_seed(seed)
    states = F.normalize(torch.randn(rows, slots, GROUPS * WIDTH, generator=draw), dim=-1)
    usual = 0.3 * torch.randn(GROUPS * WIDTH + 1, 2, generator=draw)
    values = torch.randn(rows, GROUPS, own, WIDTH, generator=draw)
    return Match(0, states, documents, True, usual), values


def causal(rows, own):
    return torch.ones(own, own, dtype=torch.bool).tril().expand(rows, -1, -1)


def naive(match, values, row, place):
    """Return `behind` and `fit` of one query, document by document and token by token."""
    flat = F.normalize(values[row].transpose(0, 1).flatten(1), dim=-1)
    names = sorted({int(one) for one in match.document[row] if one >= 0})
    sums, fits = [], []
    for decay in DECAYS:
        weight = {n: math.exp(-decay * (place - n)) for n in range(max(0, place - 127), place + 1)}
        sum_, fit = {}, {}
        for name in names:
            held = match.states[row][match.document[row] == name]
            cosine = {n: float((held @ flat[n]).max()) for n in weight}
            usual = {n: flat[n] @ match.usual[:-1] + match.usual[-1] for n in weight}
            above = {
                n: min(max((cosine[n] - u[0]) / (u[1].exp() + SPREAD), LEAST), MOST)
                for n, u in usual.items()
            }
            sum_[name] = sum(weight[n] * cosine[n] for n in weight)
            fit[name] = sum(weight[n] * float(above[n]) for n in weight) / sum(weight.values())
        sums.append([sum_[name] - max(sum_.values()) for name in names])
        fits.append(fit)
    first = [max(fit.values()) for fit in fits]
    over = [max(fit.values()) - sum(fit.values()) / len(fit) for fit in fits]
    return names, sums, [*first, *over, 1.0]


@pytest.mark.parametrize(("row", "place"), [(0, 0), (0, 5), (1, 140), (1, 199)])
def test_what_is_heard_is_the_naive_sum(row, place):
    document = torch.tensor([[0, 0, 1, 1, 1, 2, -1], [0, 1, 1, 1, -1, -1, -1]])
    match, values = drawn(2, 200, 7, document)
    heard = match.heard(values, causal(2, 200))
    names, behind, fit = naive(match, values, row, place)
    assert heard.fit.shape == (2, 200, FITS)
    assert heard.fit[row, place].tolist() == pytest.approx(fit, abs=1e-4)
    for decay, expected in enumerate(behind):
        for name, number in zip(names, expected, strict=True):
            column = 1 + int((document[row] == name).nonzero()[0])
            assert float(heard.behind[row, decay, place, column]) == pytest.approx(number, abs=1e-4)
    assert heard.behind[..., 0].abs().max() == 0


def test_only_the_last_own_tokens_are_compared(monkeypatch):
    """One token that is written costs the window, however long the text before it is."""
    from awareness_model.decoder import kv_match

    asked = []
    real = kv_match.best_cosines

    def counted(flat, states, document):
        asked.append(flat.shape[1])
        return real(flat, states, document)

    monkeypatch.setattr(kv_match, "best_cosines", counted)
    match, values = drawn(1, 400, 6, torch.tensor([[0, 0, 1, 1, 2, 2]]))
    written = torch.ones(1, 1, 400, dtype=torch.bool)
    written[..., 390:] = False
    heard = match.heard(values, written)
    short = match.heard(values[:, :, 390 - WINDOW : 390], written[..., 390 - WINDOW : 390])
    assert asked == [WINDOW, WINDOW]
    assert largest(heard.fit, short.fit) == 0
    assert largest(heard.behind, short.behind) == 0


def test_usual_foretells_what_arbitrary_documents_hold():
    """Tokens near a direction that every document has are usual, others are not."""
    reader = reader_of(made("llama")).reader
    draw = torch.Generator().manual_seed(0)
    groups, width = 2, (len(reader.usual[0]) - 1) // 2
    common = torch.randn(groups, width, generator=draw)
    shelf = {}
    for number in range(ARBITRARY + 20):
        values = torch.randn(CUT, 4, groups, width, generator=draw)
        values[::4] = common + 0.2 * values[::4]
        shelf[str(number)] = [Held(values, values)]
    fit_usual(reader, shelf, list(shelf))
    known = reader.usual[0].detach()
    told = F.normalize(common.flatten(), dim=0) @ known[:-1] + known[-1]
    rare = torch.zeros(known.shape[1]) + known[-1]
    assert told[0] > 0.9
    assert told[0] > rare[0] + 0.2
    with pytest.raises(ValueError, match="documents of 128 tokens"):
        fit_usual(reader, shelf, list(shelf)[:ARBITRARY])


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "qwen3", "qwen2"])
def test_a_closed_gate_is_the_base_model(family):
    world = made(family)
    ids, memory, reader = world.ids(PROMPTS[0]), world.memory("kv", [[0, 1]]), reader_of(world, 0.3)
    assert largest(reader(ids, memory=memory).logits, world.base(ids).logits) > 1e-2
    for layer in reader.reader.layers.values():
        layer.gate.zero_()[:, :, FITS - 1] = CLOSED
    assert largest(reader(ids, memory=memory).logits, world.base(ids).logits) <= 1e-5
    written = reader.generate(ids, memory, **GREEDY)
    assert torch.equal(written, world.base.generate(ids, **GREEDY))


@torch.no_grad()
def test_a_gate_closes_the_sink_and_the_slots_apart():
    layer = reader_of(made("llama")).reader.layers["1"]
    fit = torch.zeros(1, 2, FITS)
    fit[..., -1] = 1
    fit[0, 1, 0] = 2.0
    heads, width = layer.gate.shape[0], layer.gate.shape[2] - FITS
    plain = torch.zeros(1, heads, 2, width)
    assert layer.gated(fit, plain, 4).abs().max() <= 1e-6
    layer.gate[:, 1, FITS - 1] = -3.0
    layer.gate[:, 1, 0] = 1.5
    added = layer.gated(fit, plain, 4)
    assert added[..., 0].abs().max() <= 1e-6
    closed = math.log(2) - math.log1p(math.exp(3.0))
    assert added[0, 0, 0, 1:].tolist() == pytest.approx([closed] * 3, abs=1e-5)
    assert added[0, 0, 1, 1:].tolist() == pytest.approx([0.0] * 3, abs=1e-5)
    layer.gate.zero_()[:, 0, FITS] = -40.0
    plain[0, 0, 0, 0] = 1.0
    added = layer.gated(fit, plain, 4)
    assert added[0, 0, 0, 0] < -30
    assert added[0, 1:, :, 0].abs().max() <= 1e-6


@torch.no_grad()
def test_a_pass_makes_its_mask_once_and_compares_twice(monkeypatch):
    world = made("llama")
    reader, memory, ids = reader_of(world, 0.3), world.memory("kv", [[0, 1]]), world.ids(PROMPTS[0])
    calls = []
    for name in ("own_mask", "_visible"):
        real = getattr(kv_corrected, name)
        monkeypatch.setattr(
            kv_corrected,
            name,
            lambda *args, real=real, name=name: calls.append(name) or real(*args),
        )
    whole = reader(ids, memory=memory, use_cache=True)
    assert calls.count("own_mask") == 1
    assert calls.count("_visible") == 2
    reader(ids[:, -1:], memory=memory, past_key_values=whole.past_key_values)
    assert calls.count("own_mask") == 2


def test_the_documents_a_prompt_speaks_of_stand_out_by_hand():
    world = made("llama")
    reader = opened(reader_of(world), 0)
    by_hand(reader.reader, 3.0)
    memory = world.memory("kv", [[1, 0]])
    with torch.no_grad():
        reading = reader.prepare(memory)
        reader.base(world.ids("RATE = 4831\n"), memory=reading)
    heard = reading.present.heard
    behind, named = heard.behind[0, 0, -1], memory.document[0] == 1
    assert behind[0] == 0
    assert behind[1:][named].abs().max() == 0
    assert behind[1:][~named].max() < 0


def test_joined_logits_are_one_softmax():
    draw = torch.Generator().manual_seed(0)
    rows, heads, groups, width, asked, slots, own = 4, 4, 2, 8, 3, 5, 6
    one, other = (torch.randn(rows, heads, asked, width, generator=draw) for _ in range(2))
    memory = tuple(torch.randn(2, groups, slots, width, generator=draw) for _ in range(2))
    mine = tuple(torch.randn(rows, groups, own, width, generator=draw) for _ in range(2))
    far = torch.randn(rows, heads, asked, slots, generator=draw)
    near = torch.randn(rows, 1, asked, own, generator=draw)
    read, mass = join((one, other), memory, mine, (far, near))
    for row in range(rows):
        for head in range(heads):
            group, shared = head // (heads // groups), row // 2
            logits = torch.cat(
                [
                    one[row, head] @ memory[0][shared, group].T + far[row, head],
                    other[row, head] @ mine[0][row, group].T + near[row, 0],
                ],
                dim=1,
            )
            share = logits.softmax(-1)
            values = torch.cat([memory[1][shared, group], mine[1][row, group]])
            assert largest(read[row, head], share @ values) <= 1e-5
            assert largest(mass[row, head], share[:, :slots]) <= 1e-6
