"""AwarenessTrainer: what it learns, what it leaves alone, what it measures and what it refuses."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, IterableDataset

from awareness_model.checkpoint import read_record
from awareness_model.config import Config, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import PlainEngine
from awareness_model.loss import Weights
from awareness_model.memory.batch import from_slots
from awareness_model.tiny import save_tiny
from awareness_model.training import AwarenessTrainer
from awareness_model.training.controls import evaluate, other_rows
from awareness_model.training.learner import Learner
from awareness_model.training.loop import take
from awareness_model.training.rows import rows_of

CPU = torch.device("cpu")
FAMILIES = ["llama", "qwen3"]
ROWS, TOKENS, SLOTS = 4, 6, 3
PAIRS = slice(2), slice(2, 4)
USUAL = {"steps": 12, "learning_rate": 2e-2, "tensorboard": False}
LAYERS, WIDTH = 2, 64
"""The tiny models have six layers; `every_third` reads in two of them."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {one: str(save_tiny(tmp_path_factory.mktemp(one), one)) for one in FAMILIES}


@pytest.fixture
def made(models, tmp_path):
    """Return a maker of trainers; the same settings give the same trainer."""

    def make(family="llama", **training):
        config = Config()
        config.decoder.model_name = models[family]
        config.training.output_dir = str(tmp_path / "out")
        for name, value in {**USUAL, **training}.items():
            setattr(config.training, name, value)
        return AwarenessTrainer(config)

    return make


def toy(seed=0):
    """Rows with the same question each; only the memory tells which answer is right."""
    draw = torch.Generator().manual_seed(seed)
    memory = torch.randn(ROWS, SLOTS, LAYERS, WIDTH, generator=draw)
    ids = torch.full((ROWS, TOKENS), 50)
    ids[:, 3:] = torch.arange(60, 60 + ROWS)[:, None]
    labels = ids.clone()
    labels[:, :3] = -100
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": labels,
        "memory_key": memory,
        "memory_value": memory,
    }


def without(batch, *names):
    return {name: value for name, value in batch.items() if name not in names}


def opened(decoder):
    with torch.no_grad():
        for gate in decoder.trainable_parameters()["gates"].values():
            gate.fill_(0.7)
    return decoder


def speaking(token, vocabulary):
    """Return a teacher that always says one token, and what it was asked."""
    asked = []

    def teacher(input_ids, attention_mask):
        asked.append((input_ids, attention_mask))
        logits = torch.zeros(*input_ids.shape, vocabulary)
        logits[..., token] = 8.0
        return SimpleNamespace(logits=logits)

    return teacher, asked


@pytest.mark.parametrize("family", FAMILIES)
def test_memory_is_learned_the_base_stays_and_the_reader_is_saved(made, family, tmp_path):
    trainer = made(family)
    trained = {
        name: one
        for group in trainer.decoder.trainable_parameters().values()
        for name, one in group.items()
    }
    before = {name: one.clone() for name, one in trainer.decoder.state_dict().items()}
    history = trainer.train([toy()] * 6, eval_dataloader=[toy()], epochs=2)
    assert history.steps == len(history.losses) == 12
    assert history.losses[-1] < 0.7 * history.losses[0]
    first, last = history.evaluations
    assert (first.step, last.step) == (6, 12)
    assert last.S > 0.1
    after = trainer.decoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= set(trained)
    assert any(name.endswith(".alpha") for name in changed)
    record = read_record(tmp_path / "out" / "final")
    assert (record.step, record.settings["steps"]) == (12, 12)
    batch = without(toy(), "labels")
    again = ReasoningDecoder.from_pretrained(tmp_path / "out" / "final")
    assert torch.equal(again(**batch).logits, trainer.decoder(**batch).logits)


def test_the_same_batches_give_the_same_reader(made, tmp_path):
    def run():
        trainer = made(steps=4)
        loader = DataLoader(
            [{name: value[0] for name, value in toy(seed).items()} for seed in range(4)],
            batch_size=2,
            shuffle=True,
            generator=torch.Generator().manual_seed(3),
        )
        history = trainer.train(loader, epochs=2)
        return history, read_record(tmp_path / "out" / "final")

    assert run() == run()


def test_steps_cap_the_epochs_and_batches_accumulate(made):
    assert made(steps=3).train([toy()] * 2, epochs=5).steps == 3
    assert made().train([toy()] * 5, epochs=2, accumulate=2).steps == 6


def test_without_steps_nothing_caps_the_epochs(made):
    assert made(steps=0).train([toy()] * 7, epochs=7).steps == 49
    assert made(steps=0, num_epochs=3).train([toy()] * 2).steps == 6
    assert made(steps=0, num_epochs=2, accumulate=2).train([toy()] * 3).steps == 4


class Killed(KeyboardInterrupt):
    pass


def loader(seed, die_at=None):
    """A DataLoader that shuffles, and ends the process at a batch."""
    rows = [{name: value[n % ROWS] for name, value in toy(n).items()} for n in range(8)]
    given = []

    def collate(rows):
        given.append(1)
        if len(given) == die_at:
            raise Killed
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    draw = torch.Generator().manual_seed(seed)
    return DataLoader(rows, batch_size=2, shuffle=True, generator=draw, collate_fn=collate)


@pytest.mark.parametrize("die_at", [3, 6, 8])
def test_a_killed_training_goes_on_with_the_losses_it_would_have_had(made, tmp_path, die_at):
    settings = {"steps": 0, "num_epochs": 2, "checkpoint_every": 2}
    whole = made(**settings).train(loader(3), eval_dataloader=[toy(), toy(1)])
    weights = (tmp_path / "out" / "final" / "gca.safetensors").read_bytes()
    with pytest.raises(Killed):
        made(**settings).train(loader(3, die_at), eval_dataloader=[toy(), toy(1)])
    again = made(**settings)
    found = again.train(loader(3), eval_dataloader=[toy(), toy(1)], resume=True)
    assert found == whole
    assert (tmp_path / "out" / "final" / "gca.safetensors").read_bytes() == weights


def test_other_batches_or_settings_do_not_go_on_from_a_checkpoint(made):
    settings = {"steps": 8, "checkpoint_every": 2}
    with pytest.raises(Killed):
        made(**settings).train(loader(3, 4), epochs=2)
    with pytest.raises(UserError, match="other batches"):
        made(**settings).train(loader(4), epochs=2, resume=True)
    with pytest.raises(UserError, match="learning_rate"):
        made(**settings, learning_rate=1.0).train(loader(3), epochs=2, resume=True)
    assert made(**settings, learning_rate=1e-3).train(loader(4), epochs=2).steps == 8


def test_bf16_trains_and_evaluates(made):
    history = made(precision="bf16", steps=4).train([toy()] * 4, eval_dataloader=[toy()])
    exact = made(steps=4).train([toy()] * 4, eval_dataloader=[toy()])
    assert history.losses == pytest.approx(exact.losses, rel=0.05)
    assert history.losses != exact.losses
    assert history.evaluations[0].own == pytest.approx(exact.evaluations[0].own, rel=0.05)


def test_accumulated_batches_are_one_large_batch(made):
    rows = toy()
    halves = [{name: value[half] for name, value in rows.items()} for half in PAIRS]

    def taken(batches):
        trainer = made()
        learner = Learner(opened(trainer.decoder), Weights())
        engine = PlainEngine(learner, trainer.training)
        return take(engine, [rows_of(one, CPU) for one in batches], 0, trainer.training)

    assert taken(halves) == pytest.approx(taken([rows]), rel=1e-4)
    assert made(steps=2).train(halves, epochs=2, accumulate=2).losses == pytest.approx(
        made(steps=2).train([rows], epochs=2).losses, abs=1e-5
    )


def test_gradients_from_before_do_not_count(made):
    clean, stained = made(steps=2), made(steps=2)
    for gate in stained.decoder.trainable_parameters()["gates"].values():
        gate.grad = torch.full_like(gate, 1e3)
    both = [one.train([toy()], epochs=2).losses for one in (clean, stained)]
    assert both[0] == both[1]


def test_padding_on_either_side_changes_no_loss(made):
    learner = Learner(opened(made("qwen3").decoder), Weights())
    rows, blank = toy(), torch.zeros(ROWS, 2, dtype=torch.long)

    def padded(order):
        wide = {"input_ids": blank + 77, "attention_mask": blank, "labels": blank - 100}
        return rows | {name: torch.cat(order(one, rows[name]), 1) for name, one in wide.items()}

    plain = learner(rows_of(rows, CPU)).ce.item()
    for order in (lambda pad, row: (pad, row), lambda pad, row: (row, pad)):
        assert learner(rows_of(padded(order), CPU)).ce.item() == pytest.approx(plain, abs=1e-4)


def test_a_stream_without_length_is_counted(made):
    class Stream(IterableDataset):
        def __iter__(self):
            yield from [toy()] * 3

    loader = DataLoader(Stream(), batch_size=None)
    assert made().train(loader, epochs=2).steps == 6


def test_kl_pulls_to_the_teacher_and_leaves_it_as_it_was(made):
    trainer = made(kl_weight=5.0, steps=15)
    vocabulary = len(trainer.decoder.tokenizer)

    class Teacher(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(vocabulary))
            self.bias.data[99] = 8.0
            self.modes = set()

        def forward(self, input_ids, attention_mask):
            self.modes.add((self.training, torch.is_grad_enabled()))
            return SimpleNamespace(logits=self.bias.expand(*input_ids.shape, -1))

    teacher = Teacher()

    def likely():
        rows = rows_of(toy(), CPU)
        logits = trainer.decoder(**without(toy(), "labels")).logits[rows.at]
        return logits.softmax(-1)[:, 99].mean().item()

    before = likely()
    trainer.train([toy()] * 15, teacher_model=teacher)
    assert likely() > max(10 * before, 0.3)
    assert teacher.modes == {(False, False)}
    assert teacher.training
    assert teacher.bias.grad is None


def test_kl_is_the_definition_at_scored_tokens(made):
    trainer = made("qwen3")
    teacher, _ = speaking(7, len(trainer.decoder.tokenizer))
    opened(trainer.decoder)
    batch = toy()
    parts = Learner(trainer.decoder, Weights(kl=0.5), teacher)(rows_of(batch, CPU))
    logits = trainer.decoder(**without(batch, "labels")).logits
    taught = teacher(batch["input_ids"], None).logits
    ce, kl = [], []
    for row in range(ROWS):
        for place in range(TOKENS - 1):
            if batch["labels"][row, place + 1] != -100:
                says, should = (
                    logits[row, place].log_softmax(-1),
                    taught[row, place].log_softmax(-1),
                )
                ce.append(-says[batch["labels"][row, place + 1]])
                kl.append((should.exp() * (should - says)).sum())
    assert parts.ce.item() == pytest.approx(torch.stack(ce).mean().item(), abs=1e-5)
    assert parts.kl.item() == pytest.approx(torch.stack(kl).mean().item(), abs=1e-4)
    assert parts.total.item() == pytest.approx((parts.ce + 0.5 * parts.kl).item())


def test_a_teacher_reads_the_context_as_text_and_is_asked_where_the_student_is(made):
    batch = toy()
    context = torch.full((ROWS, 5), 9)
    longer = torch.cat([context, batch["input_ids"], torch.zeros(ROWS, 2, dtype=torch.long)], 1)
    seen = torch.ones_like(longer)
    seen[:, -2:] = 0
    batch |= {"teacher_input_ids": longer, "teacher_attention_mask": seen}
    rows = rows_of(batch, CPU)
    assert torch.equal(rows.teaching.positions, rows.at[1] + 5)
    teacher, asked = speaking(7, len(made().decoder.tokenizer))
    made(steps=1).train([batch], teacher_model=teacher)
    assert torch.equal(asked[0][0], longer)
    batch["teacher_positions"] = torch.full((ROWS, TOKENS), -1)
    batch["teacher_positions"][:, 4] = 3
    assert sorted(rows_of(batch, CPU).teaching.positions.unique().tolist()) == [-1, 3]
    longer[:, :] = 11
    with pytest.raises(UserError, match="teacher_positions"):
        rows_of(without(batch, "teacher_positions"), CPU)


def test_citation_pulls_attention_to_gold(made):
    trainer = made(citation_weight=1.0)
    gold = torch.zeros(ROWS, SLOTS, dtype=torch.bool)
    gold[:3, 0] = True
    learner = Learner(opened(trainer.decoder), Weights())
    parts = learner(rows_of(toy() | {"gold": gold}, CPU))
    assert parts.citation.item() > 0
    assert parts.null.item() > 0
    assert learner(rows_of(toy(), CPU)).citation.item() == 0
    trainer.train([toy() | {"gold": gold}] * 12)
    assert learner(rows_of(toy() | {"gold": gold}, CPU)).citation < parts.citation


def test_by_default_attended_tokens_are_scored_on_either_side_of_padding():
    batch = without(toy(), "labels")
    batch["attention_mask"][0, :2] = 0
    batch["attention_mask"][1, 4:] = 0
    rows, positions = rows_of(batch, CPU).at
    assert positions[rows == 0].tolist() == [2, 3, 4]
    assert positions[rows == 1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("family", FAMILIES)
def test_S_is_other_memory_minus_own_over_all_tokens(made, family):
    decoder = opened(made(family).decoder)
    large, small = toy(1), {name: value[:2] for name, value in toy(2).items()}
    small["labels"][0, :-1] = -100
    lone = {name: value[:1] for name, value in toy(3).items()}

    def nats(batch, row, memory):
        kwargs = {"memory_key": memory, "memory_value": memory} if memory is not None else {}
        ids, labels = batch["input_ids"][row], batch["labels"][row]
        logits = decoder(ids[None], **kwargs).logits[0]
        return F.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum").item()

    own = other = none = tokens = 0.0
    for batch in (large, small):
        count = len(batch["input_ids"])
        for row in range(count):
            key = batch["memory_key"]
            own += nats(batch, row, key[row])
            other += nats(batch, row, key[(row + 1) % count])
            none += nats(batch, row, None)
            tokens += (batch["labels"][row, 1:] != -100).sum().item()
    found = evaluate(decoder, [rows_of(one, CPU) for one in (large, small, lone)], 5)
    assert (found.step, found.tokens, found.left_out) == (5, tokens, 1)
    assert found.own == pytest.approx(own / tokens, abs=1e-4)
    assert found.other == pytest.approx(other / tokens, abs=1e-4)
    assert found.none == pytest.approx(none / tokens, abs=1e-4)
    assert pytest.approx((other - own) / tokens, abs=1e-4) == found.S
    assert abs(found.S) > 1e-3


def test_the_control_never_shows_the_same_memory_again():
    key = torch.randn(1, SLOTS, 2, 8).repeat(4, 1, 1, 1)
    key[2] += 1
    assert other_rows(from_slots(key, key, "latent")).tolist() == [2, 2, 3, 2]
    assert other_rows(from_slots(key[:2], key[:2], "latent")).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: without(one, "input_ids"), "no input_ids"),
        (lambda one: without(one, "attention_mask"), "no attention_mask"),
        (lambda one: without(one, "memory_key"), "memory_key and memory_value"),
        (lambda one: one | {"labels": one["labels"][:, 1:]}, "labels of a batch is"),
        (lambda one: one | {"labels": torch.full_like(one["labels"], -100)}, "no token to score"),
        (lambda one: one | {"memory_key": one["memory_key"][:3]}, "does not fit"),
        (lambda one: (one["input_ids"], one["labels"]), "not a mapping"),
        (lambda one: one | {"teacher_input_ids": one["input_ids"]}, "no teacher_attention_mask"),
        (lambda one: one | {"memory_key": one["memory_key"] * math.nan}, "the loss is nan"),
    ],
)
def test_a_batch_that_does_not_fit_is_named_in_a_line(made, change, says):
    with pytest.raises(UserError, match=says) as caught:
        made().train([change(toy())])
    assert "\n" not in str(caught.value)


def test_what_cannot_be_trained_is_refused_before_a_step(made, models, tmp_path):
    teacher, _ = speaking(1, 17)
    alone = [{name: value[:1] for name, value in toy().items()}]
    with pytest.raises(UserError, match="is empty"):
        made().train([])
    with pytest.raises(UserError, match="read once"):
        made().train(iter([toy()]))
    with pytest.raises(UserError, match="predicts 17 tokens"):
        made().train([toy()], teacher_model=teacher)
    with pytest.raises(UserError, match="larger batches"):
        made().train([toy()], eval_dataloader=alone)
    with pytest.raises(UserError, match="at least 1"):
        made().train([toy()], epochs=0)
    with pytest.raises(UserError, match="precision"):
        made(precision="int4")
    config = Config()
    config.decoder.model_name, config.decoder.layout = models["llama"], "kv"
    with pytest.raises(UserError, match="latent layout"):
        AwarenessTrainer(config)
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_changes_no_weight(made):
    trainer = made()
    before = {name: one.clone() for name, one in trainer.decoder.state_dict().items()}
    with pytest.raises(UserError, match="the loss is nan at step 1"):
        trainer.train([toy() | {"memory_key": toy()["memory_key"] * math.nan}])
    after = trainer.decoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
