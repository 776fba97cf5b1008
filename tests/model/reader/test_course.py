"""A course goes on where it was, keeps the base frozen, and its numbers are those of the rows."""

import json

import pytest
import torch

from awareness_model import learn_kv
from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.reader import needle_rows, report
from awareness_model.reader.course import (
    STATE,
    Course,
    Progress,
    _rise,
    by_hand,
    hidden,
    learn,
    loss_of,
    rate,
)
from awareness_model.reader.measure import Score, plain, read
from awareness_model.reader.rows import Row, batch, encoded
from awareness_model.tiny import tiny

KNOWN = needle_rows.known(6, 0, "train")


@pytest.fixture(scope="module")
def shelf():
    base, tokenizer = tiny("llama")
    encoder = ContextEncoder.from_model(base, tokenizer, EncoderConfig(model_name="tiny"))
    return encoded(encoder, {one.path: one.text for one in KNOWN})


def decoder():
    config = DecoderConfig(model_name="tiny", layout="kv", reader_rank=4)
    return ReasoningDecoder.from_model(*tiny("llama"), config)


def draw_with(tokenizer):
    def draw(seed, step, visible):
        rows = [needle_rows.draw(tokenizer, KNOWN, visible, 2, f"{seed} {n}") for n in range(2)]
        calm = Row("harmless", rows[0].ids, ((5, 9),), rows[1].visible, is_harmless=True)
        return [rows, [calm]]

    return draw


def run(shelf, folder, steps, course):
    reader = decoder()
    before = {name: one.clone() for name, one in reader.base.state_dict().items()}
    now = Course(**{**course, "steps": steps})
    learn(reader, shelf, draw_with(reader.tokenizer), now, folder, save_every=1, say=lambda _: None)
    assert all(torch.equal(before[name], one) for name, one in reader.base.state_dict().items())
    return reader.reader.state_dict()


def test_a_course_that_was_stopped_ends_as_one_that_was_not(shelf, tmp_path):
    course = {"levels": (2, 3), "rank": 4, "warmup": 1, "decay_from": 1.0}
    whole = run(shelf, tmp_path / "whole", 4, course)
    run(shelf, tmp_path / "parts", 2, course)
    parts = run(shelf, tmp_path / "parts", 4, course)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert any(one.abs().max() > 0 for name, one in whole.items() if name.endswith("lead"))
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    assert (tmp_path / "whole" / STATE).is_file()


def test_the_next_level_waits_until_enough_is_right():
    course, progress = Course(levels=(2, 4), enough=0.75), Progress()
    for right in [0.7] * 12 + [0.8] * 3:
        _rise(course, progress, right)
        assert progress.level == 0
    _rise(course, progress, 0.9)
    assert (progress.level, progress.recent) == (1, [])


def test_the_rate_rises_stays_and_falls():
    course = Course(steps=100, warmup=10, decay_from=0.5)
    assert rate(course, 0) == 0.1
    assert rate(course, 49) == 1.0
    assert rate(course, 75) == 0.5
    assert rate(course, 99) == 0.05


def test_calm_tokens_are_held_at_the_untrained_reader(shelf):
    """Nothing at the untrained reader; the divergence, token by token, elsewhere."""
    reader = decoder()
    drawn = needle_rows.draw(reader.tokenizer, KNOWN, 2, 2, "0")
    rows = [Row("remote", drawn.ids, drawn.answers, drawn.visible)]
    plain_loss, _ = loss_of(reader, rows, shelf)
    assert loss_of(reader, rows, shelf, 1.0)[0].item() == pytest.approx(plain_loss.item(), abs=1e-5)
    with torch.no_grad():
        made = batch(rows, shelf, 0)
        before = reader.base.lm_head(hidden(reader, made.ids, made.mask, made.memory))
        by_hand(reader.reader, 9.0)
        after = reader.base.lm_head(hidden(reader, made.ids, made.mask, made.memory))
        places = [n for n in range(8, len(drawn.ids)) if n not in made.places.tolist()]
        away = [
            float((one.softmax(-1) * (one.log_softmax(-1) - other.log_softmax(-1))).sum())
            for one, other in zip(before[0, places], after[0, places], strict=True)
        ]
        far = loss_of(reader, rows, shelf, 0.5)[0] - loss_of(reader, rows, shelf)[0]
    assert far.item() == pytest.approx(0.5 * sum(away) / len(away), rel=1e-3, abs=1e-6)
    assert far.item() > 1e-7


@torch.no_grad()
def test_by_hand_nothing_but_one_number_is_left(shelf):
    reader = decoder().reader
    for part in reader.parameters():
        part.fill_(0.3)
    by_hand(reader, 0.0)
    assert all(layer.is_zero() for layer in reader.layers.values())
    by_hand(reader, 3.0)
    assert reader.layers["1"].lead[:, 1].tolist() == [3.0] * len(reader.layers["1"].lead)


@torch.no_grad()
def test_scores_are_the_likelihood_of_the_answers(shelf):
    reader = decoder()
    by_hand(reader.reader, 3.0)
    rows = [needle_rows.draw(reader.tokenizer, KNOWN, 2, 2, str(n)) for n in range(3)]
    scored = read(reader, rows, shelf)
    for row, score in zip(rows, scored, strict=True):
        alone = read(reader, [row], shelf)[0]
        assert alone.nats == pytest.approx(score.nats, rel=1e-4)
    logits = reader.base(torch.tensor([rows[0].ids])).logits[0].log_softmax(-1)
    places = [n for begin, end in rows[0].answers for n in range(begin, end)]
    nats = -sum(float(logits[n - 1, rows[0].ids[n]]) for n in places)
    assert plain(reader, rows[:1])[0].nats == pytest.approx(nats, rel=1e-4)


def test_s_is_what_anothers_documents_cost():
    asked = report.Tests({}, ["one", "one", "two"])
    held = {"remote own": (1.0, 2.0), "remote other": (3.0, 5.0), "harm": (1.0, 1.5)}
    variant = {name: scores(*nats) for name, nats in held.items()}
    base = {"none remote own": scores(4.0, 4.0), "text remote own": scores(1.0, 1.0)}
    told = report.summary(asked, {**base, "none harm": scores(1.0, 1.0)}, {"trained": variant})
    assert told["trained"]["S"]["value"] == pytest.approx((3 + 3 + 5 - 1 - 1 - 2) / 3 / 2)
    assert told["trained"]["S"]["ci"] == [1.0, 1.5]
    assert told["trained"]["S"]["packages"] == 2
    assert told["trained"]["harm"] == pytest.approx((1 + 1 + 1.5 - 3) / 3 / 2)


def scores(one, other):
    return [Score(nats, 2, 0.0) for nats in (one, one, other)]


def test_a_runs_folder_refuses_other_settings(tmp_path):
    learn_kv._remember(tmp_path, {"rank": 4, "levels": (1, 2)})
    learn_kv._remember(tmp_path, {"rank": 4, "levels": (1, 2)})
    with pytest.raises(UserError, match="begun with other rank"):
        learn_kv._remember(tmp_path, {"rank": 8, "levels": (1, 2)})


def test_without_a_run_there_is_nothing_to_export(tmp_path, capsys):
    given = ["export", "--out", str(tmp_path), "--to", str(tmp_path / "to"), "--model", "x"]
    assert learn_kv.main(given) == 2
    assert "train --out" in capsys.readouterr().err
