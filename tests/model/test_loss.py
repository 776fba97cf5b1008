"""Losses against their definitions, written out token by token."""

import math
from dataclasses import replace

import pytest
import torch

from awareness_model.config import TrainingConfig
from awareness_model.loss import (
    MASS_FLOOR,
    Answers,
    Weights,
    entropy,
    losses,
    negative_log_mass,
    topk_kl,
)

TOKENS, VOCABULARY, K, LAYERS = 6, 11, 3, 2


@pytest.fixture
def answers():
    draw = torch.Generator().manual_seed(0)
    teacher = torch.randn(TOKENS, VOCABULARY, generator=draw).log_softmax(-1)
    logprobs, ids = teacher.topk(K, dim=-1)
    mass = torch.rand(LAYERS, TOKENS, 3, generator=draw).softmax(-1)
    return Answers(
        logits=torch.randn(TOKENS, VOCABULARY, generator=draw, requires_grad=True),
        targets=torch.randint(0, VOCABULARY, (TOKENS,), generator=draw),
        topk_ids=ids,
        topk_logprobs=logprobs,
        tail_mass=1 - logprobs.exp().sum(-1),
        taught=torch.tensor([True, True, False, True, False, True]),
        gold_mass=mass[..., 0],
        null_mass=mass[..., 1],
        gold_visible=torch.tensor([True, False, True, True, False, True]),
    )


def naive_kl(answers, token):
    student = answers.logits[token].softmax(-1)
    ids = answers.topk_ids[token].tolist()
    kl = 0.0
    for place, one in enumerate(ids):
        p = answers.topk_logprobs[token, place].exp().item()
        kl += p * (math.log(p) - math.log(student[one].item()))
    rest = sum(student[i].item() for i in range(VOCABULARY) if i not in ids)
    tail = answers.tail_mass[token].item()
    return kl + tail * (math.log(tail) - math.log(rest))


def test_each_part_equals_its_definition(answers):
    got = losses(answers, Weights(kl=0.5, citation=0.3, null=0.1)).values()
    log = answers.logits.log_softmax(-1)
    ce = -sum(log[t, answers.targets[t]].item() for t in range(TOKENS)) / TOKENS
    kl = sum(naive_kl(answers, t) for t in (0, 1, 3, 5)) / 4
    citation = sum(-math.log(answers.gold_mass[layer, t]) for t in (0, 2, 3, 5) for layer in (0, 1))
    null = sum(-math.log(answers.null_mass[layer, t]) for t in (1, 4) for layer in (0, 1))
    assert got["ce"] == pytest.approx(ce, rel=1e-5)
    assert got["kl"] == pytest.approx(kl, rel=1e-5)
    assert got["citation"] == pytest.approx(citation / 8, rel=1e-5)
    assert got["null"] == pytest.approx(null / 4, rel=1e-5)
    total = ce + 0.5 * kl + 0.3 * citation / 8 + 0.1 * null / 4
    assert got["loss"] == pytest.approx(total, rel=1e-5)


def test_kl_is_zero_exactly_when_student_is_teacher(answers):
    logits = torch.randn(TOKENS, VOCABULARY, generator=torch.Generator().manual_seed(5))
    logprobs, ids = logits.log_softmax(-1).topk(K, dim=-1)
    same = replace(
        answers, topk_ids=ids, topk_logprobs=logprobs, tail_mass=1 - logprobs.exp().sum(-1)
    )
    assert topk_kl(logits, same).abs().max() < 1e-6
    assert topk_kl(logits + torch.eye(VOCABULARY)[:TOKENS], same).min() > 1e-4


def test_fillers_do_not_change_the_divergence(answers):
    padded = replace(
        answers,
        topk_ids=torch.cat((answers.topk_ids, answers.topk_ids[:, :1]), -1),
        topk_logprobs=torch.cat((answers.topk_logprobs, torch.full((TOKENS, 1), -torch.inf)), -1),
    )
    torch.testing.assert_close(
        topk_kl(answers.logits, padded), topk_kl(answers.logits, answers), rtol=1e-6, atol=1e-6
    )


def test_gradient_is_finite_when_the_student_is_certain_and_mass_is_nothing(answers):
    certain = torch.full((TOKENS, VOCABULARY), -200.0)
    certain[:, 0] = 200.0
    certain.requires_grad_()
    mass = torch.zeros(LAYERS, TOKENS, requires_grad=True)
    total = losses(replace(answers, logits=certain, gold_mass=mass), Weights()).total
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(certain.grad).all()
    assert torch.isfinite(mass.grad).all()
    assert negative_log_mass(mass).max().item() == pytest.approx(-math.log(MASS_FLOOR))


def test_parts_that_apply_to_no_token_are_zero(answers):
    nothing = torch.zeros(TOKENS, dtype=torch.bool)
    got = losses(replace(answers, taught=nothing, gold_visible=~nothing), Weights()).values()
    assert got["kl"] == 0.0
    assert got["null"] == 0.0
    assert got["citation"] > 0


def test_a_batch_without_answer_tokens_is_refused(answers):
    empty = replace(
        answers,
        **{
            name: getattr(answers, name)[:0]
            for name in ("logits", "targets", "topk_ids", "topk_logprobs", "tail_mass", "taught")
        },
    )
    with pytest.raises(ValueError, match="without answer tokens"):
        losses(empty, Weights())


def test_text_only_answers_have_cross_entropy_and_no_kl(answers):
    none = replace(
        answers,
        topk_ids=torch.zeros(TOKENS, 0, dtype=torch.long),
        topk_logprobs=torch.zeros(TOKENS, 0),
        tail_mass=torch.zeros(TOKENS),
        taught=torch.zeros(TOKENS, dtype=torch.bool),
    )
    found = losses(none, Weights(kl=3.0, citation=0.0, null=0.0))
    assert found.kl.item() == 0.0
    assert found.total.item() == pytest.approx(losses(answers, Weights()).ce.item())
    (gradient,) = torch.autograd.grad(found.total, none.logits)
    expected = torch.autograd.grad(losses(none, Weights()).ce, none.logits)[0]
    assert torch.equal(gradient, expected)


def test_untaught_tokens_leave_the_others_kl_and_its_gradient_as_they_are(answers):
    """Fillers of text-only tokens in a mixed batch, as the feed pads them."""
    bare = ~answers.taught
    mixed = replace(
        answers,
        topk_ids=answers.topk_ids.masked_fill(bare[:, None], 0),
        topk_logprobs=answers.topk_logprobs.masked_fill(bare[:, None], -math.inf),
        tail_mass=answers.tail_mass.masked_fill(bare, 0.0),
    )
    kl = losses(mixed, Weights()).kl
    expected = sum(naive_kl(answers, t) for t in (0, 1, 3, 5)) / 4
    assert kl.item() == pytest.approx(expected, rel=1e-5)
    (gradient,) = torch.autograd.grad(kl, mixed.logits)
    assert gradient.isfinite().all()
    assert (gradient[bare] == 0).all()
    assert (gradient[~bare] != 0).any()


def test_tokens_without_gold_are_held_to_the_base_and_to_nothing_else(answers):
    draw = torch.Generator().manual_seed(7)
    base = torch.randn(TOKENS, VOCABULARY, generator=draw)
    held = replace(answers, base=base)
    got = losses(held, Weights(kl=0.5, citation=0.3, null=0.1, harm=0.7))
    log, said = answers.logits.log_softmax(-1), base.log_softmax(-1)
    there, absent = (0, 2, 3, 5), (1, 4)
    ce = -sum(log[t, answers.targets[t]].item() for t in there) / 4
    kl = sum(naive_kl(answers, t) for t in (0, 3, 5)) / 3
    harm = 0.0
    for t in absent:
        for one in range(VOCABULARY):
            harm += said[t, one].exp().item() * (said[t, one] - log[t, one]).item() / 2
    values = got.values()
    assert values["ce"] == pytest.approx(ce, rel=1e-5)
    assert values["kl"] == pytest.approx(kl, rel=1e-5)
    assert values["harm"] == pytest.approx(harm, rel=1e-5)
    whole = ce + 0.5 * kl + 0.3 * values["citation"] + 0.1 * values["null"] + 0.7 * harm
    assert values["loss"] == pytest.approx(whole, rel=1e-5)
    (gradient,) = torch.autograd.grad(got.ce, answers.logits)
    assert (gradient[list(absent)] == 0).all()
    same = replace(held, logits=base, gold_visible=torch.zeros(TOKENS, dtype=torch.bool))
    assert losses(same, Weights()).harm.item() == pytest.approx(0.0, abs=1e-6)
    assert losses(same, Weights()).ce.item() == 0.0


def test_sparsity_is_the_entropy_of_attention_and_off_by_default(answers):
    mass = torch.rand(LAYERS, TOKENS, 5, generator=torch.Generator().manual_seed(3)).softmax(-1)
    naive = -sum(p * math.log(p) for p in mass.flatten().tolist()) / (LAYERS * TOKENS)
    spread = replace(answers, entropy=entropy(mass))
    plain = losses(spread, Weights())
    assert plain.sparsity.item() == pytest.approx(naive, rel=1e-5)
    assert plain.total.item() == pytest.approx(losses(answers, Weights()).total.item())
    weighed = losses(spread, Weights(sparsity=0.2)).total.item()
    assert weighed - plain.total.item() == pytest.approx(0.2 * naive, rel=1e-4)
    certain = torch.tensor([[[0.0, 1.0, 0.0]]])
    assert entropy(certain).item() == 0.0


def test_the_settings_name_every_weight():
    training = TrainingConfig(
        kl_weight=1.5, citation_weight=2.5, null_weight=3.5, harm_weight=4.5, sparsity_weight=5.5
    )
    assert Weights.of(training) == Weights(1.5, 2.5, 3.5, 4.5, 5.5)
