"""The wiring proof: its task and memory are what they say, and a small reader passes it."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch

from awareness_model import prove
from awareness_model.engine import answered
from awareness_model.memory.batch import collate
from awareness_model.proof import ablated, growing, report, variants
from awareness_model.proof.controls import edited, turned, turned_gap
from awareness_model.proof.learner import LessonLearner, batch_of, scored
from awareness_model.proof.plan import FAMILIES, Plan
from awareness_model.proof.runs import rows_of, run
from awareness_model.proof.small import made
from awareness_model.proof.states import documents, visible
from awareness_model.proof.task import Fact, is_held_out, lesson, questions, shuffled
from awareness_model.training.loop import take
from awareness_model.training.schedule import learning_rate_factor

QUICK = Plan(
    hidden=64,
    layers=2,
    stages=(1, 2),
    batch=4,
    asked=16,
    measured_every=1,
    most_steps=2,
    stop_after=2,
)


def test_training_never_shows_a_held_out_name_and_questions_ask_no_other():
    plan = Plan()
    trained = {fact.name for step in range(40) for fact in lesson(plan, step, 2).facts}
    asked = {fact.name for fact in questions(plan, 128, 2).facts}
    assert len(trained) > 1_000
    assert not any(is_held_out(name) for name in trained)
    assert all(is_held_out(name) for name in asked)


def test_a_row_sees_its_own_document_and_in_shuffled_memory_never():
    asked = questions(Plan(), 32, 4)
    assert all(row in view and len(set(view)) == 4 for row, view in enumerate(asked.views))
    others = shuffled(asked)
    assert all(row not in view and len(set(view)) == 4 for row, view in enumerate(others.views))
    control = lesson(Plan(memory="shuffled"), 0, 4)
    assert all(row not in view for row, view in enumerate(control.views))


def test_places_of_the_own_document_say_nothing():
    places = [view.index(row) for row, view in enumerate(questions(Plan(), 512, 4).views)]
    assert all(100 < places.count(place) < 160 for place in range(4))


def test_lessons_depend_on_seed_and_step_alone():
    plan = Plan()
    assert lesson(plan, 3, 2) == lesson(plan, 3, 2)
    assert lesson(plan, 3, 2) != lesson(plan, 4, 2)
    assert lesson(plan, 3, 2) != lesson(replace(plan, seed=1), 3, 2)


def test_an_edit_changes_every_digit_of_the_chosen_facts_and_no_other():
    asked = questions(Plan(), 16, 2)
    for row, (old, new) in enumerate(zip(asked.facts, edited(asked).facts, strict=True)):
        same = [a == b for a, b in zip(old.value, new.value, strict=True)]
        assert old.name == new.name
        assert not any(same) if row % 4 == 0 else all(same)


def test_visible_memory_is_what_collate_makes_of_the_same_documents():
    decoder, encoder = made(QUICK)
    texts = [Fact(name, value).document for name, value in (("abc", "1234"), ("abd", "98"))] * 2
    with torch.no_grad():
        chunks = encoder.encode(texts, "latent")
        views = [(0, 3), (1, 2), (2, 0)]
        found = visible(documents(encoder, texts), views)
        wanted = collate([[chunks[one] for one in view] for view in views])
        ids = torch.arange(30, 36).expand(3, -1)
        at = torch.tensor([0, 1, 2]), torch.tensor([5, 5, 5])
        _open(decoder)
        one, _ = answered(decoder, ids, at, found)
        two, _ = answered(decoder, ids, at, wanted)
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    for row in range(3):
        for place in range(2):
            ours, theirs = found.document[row] == place, wanted.document[row] == place
            assert torch.equal(found.keys[row][ours], wanted.keys[row][theirs])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_in_which_documents_are_given_moves_no_bit_of_a_logit(family):
    decoder, encoder = made(replace(QUICK, family=family))
    _open(decoder)
    asked = questions(QUICK, 12, 4)
    ids, at, _ = scored(decoder, asked)
    with torch.no_grad():
        held = documents(encoder, [fact.document for fact in asked.facts])
        one, _ = answered(decoder, ids, at, visible(held, asked.views))
        two, _ = answered(decoder, ids, at, visible(held, [view[::-1] for view in asked.views]))
    assert torch.equal(one, two)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_in_which_slots_lie_moves_no_logit_unless_a_reader_sees_places(family):
    decoder, encoder = made(replace(QUICK, family=family))
    _open(decoder)
    asked = questions(QUICK, 12, 4)
    with torch.no_grad():
        held = documents(encoder, [fact.document for fact in asked.facts])
    seen = visible(held, asked.views)
    assert not torch.equal(turned(seen).keys, seen.keys)
    assert turned_gap(decoder, asked, seen) < report.MOST_MOVED
    project = type(decoder.base.model.layers[0].gca).project

    def placed(self, keys, values):
        steps = torch.linspace(0, 1, keys.shape[1], dtype=keys.dtype)[None, :, None]
        return project(self, keys * (1 + steps), values * (1 + steps))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(decoder.base.model.layers[0].gca), "project", placed)
        assert turned_gap(decoder, asked, seen) > report.MOST_MOVED


def test_the_loss_reaches_the_encoder_through_memory_alone():
    decoder, encoder = made(QUICK)
    _open(decoder)
    learner = LessonLearner(decoder, encoder, QUICK)
    held = documents(encoder, ["abc = 1234\n"])
    assert held.keys.requires_grad
    learner(lesson(QUICK, 0, 1)).total.backward()
    whole = decoder.base.model.embed_tokens.weight.grad
    decoder, encoder = made(replace(QUICK, reached=False))
    _open(decoder)
    LessonLearner(decoder, encoder, QUICK)(lesson(QUICK, 0, 1)).total.backward()
    cut = decoder.base.model.embed_tokens.weight.grad
    newline = decoder.tokenizer("\n")["input_ids"][0]
    assert whole[newline].norm() > 10 * cut[newline].norm()
    with torch.no_grad():
        assert not documents(encoder, ["abc = 1234\n"]).keys.requires_grad


def test_in_transmission_every_token_behind_the_first_is_scored_while_one_is_visible():
    decoder, encoder = made(QUICK)
    plan = replace(QUICK, transmission=True)
    for count, length in ((1, 9), (2, 4)):
        asked = lesson(plan, 0, count)
        memory = visible(documents(encoder, [fact.document for fact in asked.facts]), asked.views)
        batch = batch_of(decoder, asked, memory, plan)
        said = decoder.tokenizer.batch_decode(batch.targets.view(len(asked.facts), -1))
        facts = [fact.question + fact.value for fact in asked.facts]
        assert len(facts[0]) == 10
        assert [text.replace("\u0120", " ") for text in said] == [one[-length:] for one in facts]


def test_rows_without_their_document_are_held_to_the_base_where_harm_counts():
    decoder, encoder = made(QUICK)
    _open(decoder)
    plan = replace(QUICK, gold_absent=0.5, harm=1.0)
    asked = lesson(plan, 1, 2)
    hidden = [row not in view for row, view in enumerate(asked.views)]
    assert 0 < sum(hidden) < len(hidden)
    assert LessonLearner(decoder, encoder, plan)(asked).harm > 0
    assert LessonLearner(decoder, encoder, replace(plan, harm=0.0))(asked).harm == 0


def test_a_run_that_works_settles_until_its_rate_is_zero():
    plan = replace(QUICK, stages=(1,), most_steps=400, stop_after=1, done=0.0, settle=3)
    decoder, encoder = made(plan)
    rates = []

    def told(engine, batches, step, training):
        rates.append(learning_rate_factor(step, training))
        return take(engine, batches, step, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "take", told)
        curve = growing.grown(decoder, encoder, plan)
    assert [point.step for point in curve] == [1, 4]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 0.01


def test_a_rerun_does_no_finished_run_again_and_a_torn_line_costs_its_run(tmp_path):
    path, plans = tmp_path / "runs.jsonl", [replace(QUICK, seed=seed) for seed in (0, 1)]
    told = []
    rows = rows_of(path, plans, "cpu", 1, lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]
    whole = path.read_bytes()
    assert rows_of(path, plans, "cpu", 1) == rows
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-20])
    again = rows_of(path, plans, "cpu", 1)
    assert [_compared(row) for row in again] == [_compared(row) for row in rows]
    assert len(path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_decoder_learns_to_read_values_from_its_own_memory_alone(family):
    found = run(variants.small(family))
    seen = found["controls"]
    assert seen["own"]["exact"] >= report.WANTED
    assert seen["edited"]["exact"] >= report.WANTED
    assert seen["written"] == seen["own"]["exact"]
    for control in ("shuffled", "none", "stale"):
        assert seen[control]["exact"] <= report.MOST_BY_CHANCE
    assert report.failures([found]) == []


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("shuffled", {"exact": 0.3}),
        ("stale", {"exact": 0.5}),
        ("own", {"exact": 0.9}),
        ("edited", {"exact": 0.1}),
        ("permuted", 1.1e-5),
        ("turned", 1.1e-5),
        ("written", 0.2),
    ],
)
def test_a_broken_control_is_no_proof(what, value):
    score = {"exact": 0.0, "digits": 0.1, "nll": 7.0}
    right = {"exact": 0.99, "digits": 1.0, "nll": 0.01}
    controls = {
        "own": right,
        "edited": right,
        "kept": right,
        "written": 0.99,
        "permuted": 0.0,
        "turned": 1e-6,
        "shuffled": score,
        "none": score,
        "stale": score,
    }
    plan = {"family": "llama", "seed": 0, "memory": "own"}
    assert report.failures([{"plan": plan, "controls": controls}]) == []
    broken = {**controls, what: {**score, **value} if isinstance(value, dict) else value}
    assert len(report.failures([{"plan": plan, "controls": broken}])) == 1


def test_a_control_run_that_learned_something_is_no_proof():
    blind = {"exact": 0.0, "digits": 0.1, "nll": 2.31}
    controls = dict.fromkeys(("own", "shuffled", "none", "stale"), blind)
    plan = {"family": "llama", "seed": 0, "memory": "shuffled"}
    assert report.failures([{"plan": plan, "controls": controls}]) == []
    leaked = {**controls, "own": {**blind, "nll": 1.5}}
    assert len(report.failures([{"plan": plan, "controls": leaked}])) == 1


@pytest.fixture(scope="module")
def untrained():
    return run(QUICK)


def finished(path, plans, row):
    """Leave a row for each plan, as if it had been run."""
    last = row["read_at"]["2"]
    rows = [{**row, "id": plan.id, "plan": asdict(plan), "read_at": {"8": last}} for plan in plans]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))


def test_the_command_says_what_is_not_proved(tmp_path, capsys, untrained):
    finished(tmp_path / "runs.jsonl", variants.proof(["llama"], [3]), untrained)
    out = ["--out", str(tmp_path), "--results", str(tmp_path / "found.json")]
    status = prove.main([*out, "--family", "llama", "--seeds", "3"])
    found = json.loads((tmp_path / "found.json").read_text())
    assert (status, found["proved"], len(found["runs"])) == (1, False, 2)
    assert "--seeds 3" in found["command"]
    assert "llama seed 3 trained on own: own exact" in capsys.readouterr().out


def test_the_command_tables_variants(tmp_path, capsys, untrained):
    names = ["base", "random projections"]
    plans = [one for group in variants.ablations(names, seeds=[3]).values() for one in group]
    finished(tmp_path / "runs.jsonl", plans, untrained)
    out = ["--out", str(tmp_path), "--results", str(tmp_path / "found.json")]
    assert prove.main([*out, "--family", "llama", "--seeds", "3", "--ablate", *names]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["variant"] for row in found["rows"]] == names
    assert [row["section"] for row in found["rows"]] == ["base", "start"]
    assert "random projections" in capsys.readouterr().out


def test_no_run_is_begun_once_the_cpu_time_is_spent(tmp_path):
    plans = [replace(QUICK, seed=seed) for seed in (0, 1, 2)]
    path = tmp_path / "runs.jsonl"
    assert rows_of(path, plans, "cpu", 1, cpu_seconds=0) == []
    rows = rows_of(path, plans, "cpu", 1, cpu_seconds=0.01)
    assert [row["plan"]["seed"] for row in rows] == [0]
    assert len(rows_of(path, plans, "cpu", 1, cpu_seconds=rows[0]["run"]["cpu_seconds"])) == 1


def test_every_variant_differs_from_the_base_and_firsts_come_before_seconds():
    named = variants.ablations()
    ids = {name: plans[0].id for name, plans in named.items()}
    assert len(set(ids.values())) == len(ids)
    order = variants.by_turns(named)
    assert [plan.seed for plan in order] == [0] * len(named) + [1] * len(named)


def test_every_variant_can_be_named_on_the_command_line(capsys):
    with pytest.raises(SystemExit) as left:
        prove.main(["--help"])
    assert left.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"`{name}`" in said for name in variants.VARIANTS)


def test_variants_are_drawn_as_bars(tmp_path, untrained):
    row = {**untrained, "read_at": {"8": untrained["read_at"]["2"]}}
    table = ablated.variants({"base": [row, row], "causal states": [row], "6 layers, all": []})
    assert [one["variant"] for one in table] == ["base", "causal states"]
    ablated.bars(table, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_a_frozen_base_learned_from_text_and_teaches(untrained):
    plan = replace(QUICK, base="text", kl=1.0)
    decoder, encoder = made(plan)
    names = {name for group in decoder.trainable_parameters().values() for name in group}
    assert all(".gca." in name for name in names)
    parts = LessonLearner(decoder, encoder, plan)(lesson(plan, 0, 2))
    assert parts.kl > 0


def test_the_proof_needs_neither_lance_nor_arrow_nor_grammars():
    """What a machine with torch and transformers alone can run."""
    blocked = ["lance", "pyarrow", "tree_sitter", "deepspeed", "matplotlib"]
    code = (
        f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
        "from awareness_model import prove\n"
        "from awareness_model.proof import controls, growing, runs, small\n"
        "from awareness_model.proof.plan import Plan\n"
        "runs.run(Plan(hidden=64, layers=2, batch=4, stages=(1,), asked=4, stop_after=0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _open(decoder):
    """Open the gates, so that memory shows."""
    with torch.no_grad():
        for gate in decoder.trainable_parameters()["gates"].values():
            gate.fill_(0.7)


def _compared(row):
    return {name: value for name, value in row.items() if name != "run"}
