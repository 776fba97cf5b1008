"""The loop: schedules, what it writes, and that stopping anywhere changes nothing."""

import json
import math
from dataclasses import replace

import pytest
import torch

from awareness_model import checkpoint, moments
from awareness_model.config import DecoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import PlainEngine, middle_half, optimizer
from awareness_model.tiny import tiny
from awareness_model.training import Run, fit, learning_rate_factor, planned
from awareness_model.training.curriculum import Course, phases_of
from awareness_model.training.lessons import Lessons
from awareness_model.training.loop import take
from awareness_model.training.probe import Probe
from tests.model.small_world import settings, world


@pytest.fixture(autouse=True)
def identity(monkeypatch):
    """The tiny model is in no folder that could be identified."""
    monkeypatch.setattr(checkpoint, "model_identity", lambda name: "tiny")


def run_to_the_end(folder, training, stop_after=None):
    """Train in `folder`; with `stop_after`, die once so many steps are said."""
    folder.mkdir(exist_ok=True)
    reader, feed, data = world(folder, training)

    def say(done, total, values):
        if done == stop_after:
            raise KeyboardInterrupt

    run = Run(folder, data, say=say)
    fit(reader, feed, training, run, PlainEngine)
    return reader


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def probes(folder):
    return (folder / "probe.jsonl").read_text()


def test_the_rate_warms_up_and_ends_near_zero():
    training = settings(steps=100, warmup_fraction=0.04)
    factors = [learning_rate_factor(step, training) for step in range(100)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[52] == pytest.approx(0.5)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert 0 < factors[-1] < 1e-3
    assert learning_rate_factor(0, settings(steps=1)) == 1.0


def test_the_curriculum_shows_gold_alone_first():
    training = settings(steps=40, visible_documents=(1, 2, 4), visible_switch=(0.5, 0.8))
    assert visible(training) == [1] * 20 + [2] * 12 + [4] * 8
    thirds = settings(steps=9, visible_documents=(1, 2, 4), visible_switch=())
    assert visible(thirds) == [1] * 3 + [2] * 3 + [4] * 3


def visible(training):
    course = Course(phases_of(training, ()), training)
    return [course.at(step).visible for step in range(training.steps)]


@pytest.mark.parametrize("switch", [(0.5,), (0.8, 0.5), (0.1, 0.2, 0.3)])
def test_a_curriculum_that_does_not_fit_is_refused(switch):
    with pytest.raises(UserError, match="visible_switch"):
        phases_of(settings(visible_documents=(1, 2, 4), visible_switch=switch), ())


def test_citation_looks_at_the_middle_half_of_the_reading_layers():
    assert middle_half((10, 13, 16, 19, 22, 25, 28)) == (13, 16, 19, 22, 25)
    assert middle_half((2, 4)) == (2, 4)


def test_gates_learn_faster_and_only_projections_decay(tmp_path):
    reader, _, _ = world(tmp_path, settings())
    groups = optimizer(reader.decoder, settings(learning_rate=1e-3)).param_groups
    shape = {(group["lr"], group["weight_decay"]) for group in groups}
    assert shape == {(1e-3, 0.01), (1e-2, 0.0), (1e-3, 0.0)}


def test_without_steps_the_epochs_say_how_many(tmp_path):
    _, feed, _ = world(tmp_path, settings(), rows=12)
    assert planned(settings(steps=0), feed.steps_per_epoch).steps == 3
    assert planned(settings(steps=0, num_epochs=5), feed.steps_per_epoch).steps == 15
    assert planned(settings(steps=7, num_epochs=5), feed.steps_per_epoch).steps == 7
    with pytest.raises(UserError, match="num_epochs"):
        planned(settings(num_epochs=0), 3)


def test_groups_have_their_own_rates_and_decay():
    def one():
        return {"one": torch.nn.Parameter(torch.zeros(2))}

    class Decoder:
        def trainable_parameters(self):
            return {name: one() for name in ("projections", "gates", "gains", "encoder", "lora")}

    training = settings(learning_rate=1e-3, encoder_learning_rate=1e-5, lora_learning_rate=1e-4)
    groups = optimizer(Decoder(), training).param_groups
    assert [group["lr"] for group in groups] == pytest.approx([1e-3, 1e-2, 1e-3, 1e-5, 1e-4])
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0, 0.0, 0.01, 0.0]


def test_pieces_of_a_batch_are_the_batch(tmp_path):
    runs = {}
    for pieces in (1, 2):
        training = settings(steps=3, accumulate=pieces, citation_weight=0.0, null_weight=0.0)
        reader, feed, _ = world(tmp_path, training, answer=lambda n: 4)
        engine = PlainEngine(reader, training)
        runs[pieces] = [
            take(engine, [feed.batch(step, 1, piece) for piece in range(pieces)], step, training)
            for step in range(3)
        ]
    for one, other in zip(runs[1], runs[2], strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    assert runs[1][2]["loss"] != pytest.approx(runs[1][0]["loss"], rel=1e-3)


def test_a_probe_looks_at_S_and_sees_when_memory_is_read(tmp_path):
    training = settings(steps=5, probe_every=2, tensorboard=False)
    run_to_the_end(tmp_path, training)
    rows = [json.loads(line) for line in (tmp_path / "probe.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 5]
    for row in rows:
        assert row["S"] == pytest.approx(row["other"] - row["own"])
        assert row["S"] != 0.0
    reader, feed, _ = world(tmp_path, training)
    (phase, *_) = phases_of(training, ())
    probes = [Probe(Lessons.of(reader.decoder, feed, training), training) for _ in range(2)]
    look = probes[0].look(reader.decoder, phase, 0)
    assert look.own == look.other == look.none
    assert look.low == 0.0
    assert torch.equal(probes[0].rows(phase).input_ids, probes[1].rows(phase).input_ids)


def test_bf16_computes_in_bf16_and_trains_in_fp32(tmp_path):
    training = settings(steps=2, precision="bf16", tensorboard=False)
    model, tokenizer = tiny("qwen3")
    decoder = ReasoningDecoder.from_model(model.bfloat16(), tokenizer, DecoderConfig())
    reader, feed, _ = world(tmp_path, training, decoder=decoder)
    trained = [one for group in decoder.trainable_parameters().values() for one in group.values()]
    assert {one.dtype for one in trained} == {torch.float32}
    before = [one.clone() for one in trained]
    engine = PlainEngine(reader, training)
    losses = [take(engine, [feed.batch(step, 1)], step, training)["loss"] for step in range(2)]
    assert all(math.isfinite(loss) for loss in losses)
    assert {one.dtype for one in trained} == {torch.float32}
    assert any(not torch.equal(one, old) for one, old in zip(trained, before, strict=True))


def test_training_lowers_the_loss_and_leaves_a_reader_and_a_curve(tmp_path):
    training = settings(steps=30, learning_rate=2e-2, visible_documents=(1,), visible_switch=())
    reader = run_to_the_end(tmp_path, training)
    rows = metrics(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 31))
    early, late = (sum(row["ce"] for row in part) for part in (rows[:8], rows[-8:]))
    assert late < 0.9 * early
    timing = (tmp_path / "timing.jsonl").read_text().splitlines()
    last = json.loads(timing[-1])
    assert last.keys() == {"step", "seconds", "tokens_per_second", "mfu", "memory_mib"}
    assert last["memory_mib"] > 50
    assert 0 < last["mfu"] < 1
    fresh, _, _ = world(tmp_path, training)
    record = checkpoint.load_gca(fresh.decoder, tmp_path / "final")
    assert record.step == 30
    trained = reader.decoder.trainable_parameters()["gates"]
    for name, gate in fresh.decoder.trainable_parameters()["gates"].items():
        assert gate.abs().max() > 0
        assert torch.equal(gate, trained[name])


def test_the_base_model_stays_as_it_was(tmp_path):
    before = world(tmp_path, settings())[0].decoder.state_dict()
    after = run_to_the_end(tmp_path, settings()).decoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".gca." in name for name in changed)


@pytest.mark.parametrize("stop_after", [1, 4, 5, 6])
def test_a_killed_run_goes_on_with_the_losses_it_would_have_had(tmp_path, stop_after):
    training = settings(steps=6, checkpoint_every=2)
    run_to_the_end(tmp_path / "whole", training)
    with pytest.raises(KeyboardInterrupt):
        run_to_the_end(tmp_path / "killed", training, stop_after)
    run_to_the_end(tmp_path / "killed", training)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    assert probes(tmp_path / "killed") == probes(tmp_path / "whole")
    weights = [
        (tmp_path / name / "final" / checkpoint.WEIGHTS).read_bytes()
        for name in ("whole", "killed")
    ]
    assert weights[0] == weights[1]


def test_a_torn_line_is_cut_off(tmp_path):
    training = settings(steps=6, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run_to_the_end(tmp_path, training, stop_after=5)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    run_to_the_end(tmp_path, training)
    assert [row["step"] for row in metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_other_settings_or_samples_do_not_go_on_from_a_checkpoint(tmp_path):
    training = settings(steps=6, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run_to_the_end(tmp_path, training, stop_after=3)
    with pytest.raises(UserError, match="learning_rate"):
        run_to_the_end(tmp_path, replace(training, learning_rate=1.0))
    reader, feed, _ = world(tmp_path, training)
    other = Run(tmp_path, "other samples")
    with pytest.raises(UserError, match="the traces"):
        fit(reader, feed, training, other, PlainEngine)
    run_to_the_end(tmp_path, replace(training, checkpoint_every=5, accumulate=2))


def test_a_checkpoint_of_another_form_is_refused_in_a_line(tmp_path):
    training = settings(steps=6, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run_to_the_end(tmp_path, training, stop_after=3)
    path = checkpoint.latest(tmp_path / "checkpoints") / checkpoint.RECORD
    record = json.loads(path.read_bytes())
    del record["form"]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"another form.*remove it, and train again"):
        run_to_the_end(tmp_path, training)


def test_lost_moments_are_named(tmp_path):
    training = settings(steps=6, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run_to_the_end(tmp_path, training, stop_after=3)
    (checkpoint.latest(tmp_path / "checkpoints") / "engine" / moments.MOMENTS).write_bytes(b"torn")
    with pytest.raises(UserError, match="cannot be read"):
        run_to_the_end(tmp_path, training)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    training = settings()
    reader, feed, data = world(tmp_path, training)
    with torch.no_grad():
        next(iter(reader.decoder.trainable_parameters()["gates"].values())).fill_(math.nan)
    with pytest.raises(UserError, match="lower learning_rate"):
        fit(reader, feed, training, Run(tmp_path, data), PlainEngine)
    assert not (tmp_path / "final").exists()
