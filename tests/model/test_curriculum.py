"""Stages of a training: when one follows the other, and that a kill changes nothing of it."""

import json
from dataclasses import replace

import pytest

from awareness_model import checkpoint
from awareness_model.config import UserError
from awareness_model.engine import PlainEngine
from awareness_model.training import Run, fit
from awareness_model.training.curriculum import SHARES, Course, phases_of, skipped
from awareness_model.training.lessons import Lessons
from tests.model.small_world import settings, world

KINDS = ("instruction", "reconstruction", "state")
ALL = tuple(SHARES)


def course(training, kinds=KINDS):
    return Course(phases_of(training, kinds), training)


def test_stages_come_in_their_order_and_visible_documents_grow():
    found = phases_of(settings(steps=1000, curriculum=ALL[::-1]), KINDS)
    assert [one.stage for one in found] == [ALL[0]] * 4 + [ALL[1]] * 4 + [ALL[2], ALL[3]]
    assert [one.visible for one in found] == [1, 2, 4, 8, 8, 16, 32, 64, 8, 8]
    assert [one.until for one in found] == [75, 150, 225, 300, 375, 450, 525, 600, 800, 1000]
    assert [one.gold_absent for one in found] == [0.0] * 4 + [0.2] * 4 + [0.0] * 2


def test_a_stage_without_traces_is_skipped_and_its_steps_go_to_the_others():
    training = settings(steps=100, curriculum=ALL)
    assert skipped(training, ("instruction",)) == ["reconstruction", "state"]
    found = phases_of(training, ("instruction",))
    assert [(one.stage, one.until) for one in found[3:]] == [(ALL[0], 60), (ALL[2], 100)]
    with pytest.raises(UserError, match="no stage of the curriculum"):
        phases_of(settings(curriculum=("state",)), ("instruction",))


@pytest.mark.parametrize(
    "changes",
    [
        {"curriculum": ("translation",)},
        {"distractors": ()},
        {"distractors": (8, 4)},
        {"distractors": (0, 4)},
        {"switch_looks": 0},
        {"rehearsal": 1.0},
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes):
    with pytest.raises(UserError, match=r"curriculum|distractors|switch_looks"):
        phases_of(settings(**{"curriculum": ALL, **changes}), KINDS)


def test_a_reader_that_never_works_sees_every_phase_and_the_end():
    training = settings(steps=200, curriculum=ALL)
    going = course(training)
    seen = [going.at(step) for step in range(200)]
    assert list(dict.fromkeys(seen)) == list(going.phases)
    assert [one.measured for one in going.switches] == [False] * 9
    assert [one.step for one in going.switches] == [one.until for one in going.phases[:-1]]


def test_a_reader_measured_to_work_goes_on_and_leaves_its_steps_to_the_next():
    training = settings(steps=1000, curriculum=ALL, switch_every=10, switch_above=0.5)
    going = course(training)
    going.at(9)
    for step, low in ((10, 0.6), (20, 0.4), (30, 0.6)):
        going.heard(step, low)
        assert going.at(step).visible == 1
    going.heard(40, 0.5)
    assert going.at(40).visible == 2
    assert (going.switches[0].step, going.switches[0].measured) == (40, True)
    assert going.switches[0].low == 0.5
    assert [going.at(step).visible for step in (149, 150)] == [2, 4]
    assert [one.measured for one in going.switches] == [True, False]


def test_measurements_are_due_by_the_steps_of_a_phase_and_never_in_the_last_one():
    training = settings(steps=100, curriculum=ALL, switch_every=10, switch_looks=1)
    going = course(training)
    going.at(0)
    assert [step for step in range(1, 31) if going.due(step)] == [10, 20, 30]
    going.at(7)
    going.heard(7, 9.0)
    assert [step for step in range(8, 31) if going.due(step)] == [17, 27]
    going.at(99)
    assert not any(going.due(step) for step in range(1, 101))
    plain = course(settings(steps=100))
    assert not any(plain.due(step) for step in range(1, 101))


def test_what_a_checkpoint_keeps_goes_on_as_if_nothing_had_been():
    training = settings(steps=100, curriculum=ALL, switch_every=5)
    lows = {step: (0.9 if step % 3 else 0.0) for step in range(5, 101, 5)}

    def walk(going, first, last):
        seen = []
        for step in range(first, last):
            seen.append(going.at(step))
            if going.due(step + 1):
                going.heard(step + 1, lows[step + 1 - (step + 1) % 5])
        return seen

    whole = course(training)
    seen = walk(whole, 0, 100)
    assert any(one.measured for one in whole.switches)
    for stop in (1, 13, 40, 77):
        first = course(training)
        before = walk(first, 0, stop)
        kept = json.loads(json.dumps(first.state))
        second = Course(phases_of(training, KINDS), training, kept)
        assert before + walk(second, stop, 100) == seen
        assert second.state == whole.state


@pytest.fixture
def identity(monkeypatch):
    """The tiny model is in no folder that could be identified."""
    monkeypatch.setattr(checkpoint, "model_identity", lambda name: "tiny")


TRAINING = settings(
    steps=18,
    batch_size=2,
    checkpoint_every=4,
    curriculum=("transmission", "reconstruction", "instruction"),
    switch_every=1,
    switch_above=-100.0,
    rehearsal=0.4,
    probe_every=0,
    max_prompt_tokens=12,
    max_answer_tokens=12,
    tensorboard=False,
)


def trained(folder, training, stop_after=None):
    folder.mkdir(exist_ok=True)
    reader, feed, data = world(folder, training, rows=6)

    def say(done, total, values):
        if done == stop_after:
            raise KeyboardInterrupt

    fit(reader, feed, training, Run(folder, data, say=say), PlainEngine)
    return folder


def rows(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_killed_training_switches_where_it_would_have(tmp_path, identity, capsys):
    whole = trained(tmp_path / "whole", TRAINING)
    assert "no stage reconstruction" in capsys.readouterr().err
    curve = rows(whole, "metrics.jsonl")
    assert [row["stage"] for row in curve] == [0] * 8 + [2] * 10
    assert [row["visible"] for row in curve] == [1, 1, 2, 2, 4, 4] + [8] * 12
    looks = rows(whole, "probe.jsonl")
    assert [row["step"] for row in looks] == list(range(1, 9))
    kept = checkpoint.read_record(whole / "final").course
    assert [(one["step"], one["measured"]) for one in kept["switches"]] == [
        (step, True) for step in (2, 4, 6, 8)
    ]
    assert kept["switches"][-1]["low"] == looks[-1]["low"]
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", TRAINING, stop_after=7)
    killed = trained(tmp_path / "killed", TRAINING)
    for name in ("metrics.jsonl", "probe.jsonl"):
        assert rows(killed, name) == rows(whole, name)
    assert (killed / "final" / "record.json").read_bytes() == (
        whole / "final" / "record.json"
    ).read_bytes()
    with pytest.raises(UserError, match="switch_above"):
        trained(tmp_path / "killed", replace(TRAINING, switch_above=0.0))


def test_transmission_is_rehearsed_in_a_share_of_later_steps(tmp_path):
    training = replace(TRAINING, rehearsal=0.25)
    reader, feed, _ = world(tmp_path, training, rows=6)
    lessons = Lessons.of(reader.decoder, feed, training)
    (phase,) = [one for one in phases_of(training, ("instruction",)) if one.stage == "instruction"]
    rehearsed = [step for step in range(400) if lessons._rehearses(step)]
    assert 70 < len(rehearsed) < 130
    others = [step for step in range(20) if step not in rehearsed]
    assert lessons.batch(phase, rehearsed[0]).targets.numel() == 2 * 24
    assert lessons.batch(phase, others[0]).taught.all()
    none = Lessons.of(reader.decoder, feed, replace(training, curriculum=("instruction",)))
    assert none.batch(phase, rehearsed[0]).taught.all()
