"""Both engines take the same steps."""

import os
from dataclasses import replace

import pytest
import torch
import torch.distributed

from awareness_model import checkpoint, ranks
from awareness_model.engine import PlainEngine
from awareness_model.sharded import DeepSpeedEngine
from awareness_model.training import Run, fit, learning_rate_factor
from awareness_model.training.loop import take
from tests.model.small_world import settings, world

pytestmark = pytest.mark.filterwarnings("ignore:.*_tensor. is deprecated:FutureWarning")
TRAINING = settings(
    steps=8, grad_clip=0.01, visible_documents=(2,), visible_switch=(), tensorboard=False
)


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Join a group of one on CPU; DeepSpeed keeps it for the life of the process."""
    log = tmp_path_factory.mktemp("log") / "deepspeed.log"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "PATH"):
            patch.setenv(name, os.environ.get(name, ""))
            if name != "PATH":
                patch.delenv(name)
        ranks.set_environment("cpu")
        with ranks.noise_to(log):
            ranks.build_operation()
        yield log
        torch.distributed.destroy_process_group()


@pytest.fixture
def deepspeed(group, monkeypatch):
    """Return a maker of DeepSpeed engines."""
    monkeypatch.setattr(checkpoint, "model_identity", lambda name: "tiny")

    def make(reader, training):
        with ranks.noise_to(group):
            return DeepSpeedEngine(reader, training)

    return make


def steps(engine, feed, first, last):
    """Take steps and return (loss, gradient norm) of each."""
    seen = []
    for step in range(first, last):
        parts = engine(feed.batch(step, 2))
        engine.backward(parts.total)
        norm = engine.step(learning_rate_factor(step, TRAINING))
        seen.append((parts.total.item(), norm))
    return seen


def run(make, folder, training, first=0, last=4, resume=None):
    """Take steps with a fresh reader, from a checkpoint if any; return engine, reader, losses."""
    reader, feed, _ = world(folder, training)
    if resume:
        checkpoint.load_gca(reader.decoder, resume)
    engine = make(reader, training)
    if resume:
        engine.load(resume / checkpoint.ENGINE)
    return engine, reader, steps(engine, feed, first, last)


def save(folder, engine, reader):
    with engine.whole():
        checkpoint.save(folder, reader.decoder, step=4, settings={}, data="", engine=engine.save)
    return folder


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_zero_2_on_one_rank_is_plain_adamw_over_five_steps(tmp_path, deepspeed, family):
    plain_reader, feed, _ = world(tmp_path, TRAINING, family)
    plain = steps(PlainEngine(plain_reader, TRAINING), feed, 0, 5)
    reader, feed, _ = world(tmp_path, TRAINING, family)
    zero = steps(deepspeed(reader, TRAINING), feed, 0, 5)
    assert [loss for loss, _ in zero] == pytest.approx([loss for loss, _ in plain], abs=1e-5)
    assert [norm for _, norm in zero] == pytest.approx([norm for _, norm in plain], rel=1e-4)
    assert plain[4][0] != pytest.approx(plain[0][0], abs=1e-3)
    assert any(norm > TRAINING.grad_clip for _, norm in plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"zero_stage": 0},
        {"zero_stage": 1},
        {"zero_stage": 2},
        {"zero_stage": 2, "offload_optimizer": True},
        {"zero_stage": 3},
    ],
)
def test_every_stage_goes_on_from_its_own_and_the_plain_engines_checkpoint(
    tmp_path, deepspeed, changes
):
    training = replace(TRAINING, **changes)
    engine, reader, began = run(PlainEngine, tmp_path, training)
    plain = save(tmp_path / "plain", engine, reader)
    *_, ended = run(PlainEngine, tmp_path, training, 4, 7, resume=plain)
    engine, reader, zero = run(deepspeed, tmp_path, training)
    assert zero == [pytest.approx(row, rel=1e-4) for row in began]
    own = save(tmp_path / "own", engine, reader)
    for origin in (plain, own):
        *_, zero = run(deepspeed, tmp_path, training, 4, 7, resume=origin)
        assert [loss for loss, _ in zero] == pytest.approx([loss for loss, _ in ended], abs=1e-5)
    *_, back = run(PlainEngine, tmp_path, training, 4, 7, resume=own)
    assert [loss for loss, _ in back] == pytest.approx([loss for loss, _ in ended], abs=1e-5)


def test_a_checkpoint_holds_what_trains_its_moments_and_a_record(tmp_path, deepspeed):
    engine, reader, _ = run(deepspeed, tmp_path, TRAINING, last=1)
    folder = save(tmp_path / "own", engine, reader)
    found = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    assert found == ["engine/moments.safetensors", "gca.safetensors", "record.json"]
    trained = sum(one.numel() * 4 for one in reader.parameters() if one.requires_grad)
    assert (folder / "engine" / "moments.safetensors").stat().st_size < 2.1 * trained


def test_pieces_add_up_behind_the_seam(tmp_path, deepspeed):
    training = replace(TRAINING, accumulate=2)

    def taken(make):
        reader, feed, _ = world(tmp_path, training)
        engine = make(reader, training)
        return [
            take(engine, [feed.batch(step, 2, piece) for piece in (0, 1)], step, training)
            for step in range(3)
        ]

    for one, other in zip(taken(PlainEngine), taken(deepspeed), strict=True):
        assert other == pytest.approx(one, rel=1e-4)


def test_bf16_through_deepspeed_keeps_gates_in_fp32(tmp_path, deepspeed):
    training = replace(TRAINING, precision="bf16")
    _, reader, zero = run(deepspeed, tmp_path, training)
    *_, plain = run(PlainEngine, tmp_path, training)
    assert [loss for loss, _ in zero] == pytest.approx([loss for loss, _ in plain], abs=1e-4)
    gates = reader.decoder.trainable_parameters()["gates"].values()
    assert {one.dtype for one in gates} == {torch.float32}


def test_the_loop_trains_through_zero_3_and_looks_at_its_probe(tmp_path, deepspeed):
    training = settings(steps=4, checkpoint_every=2, zero_stage=3, probe_every=2)
    reader, feed, data = world(tmp_path, training)
    fit(reader, feed, training, Run(tmp_path, data), deepspeed)
    fresh, _, _ = world(tmp_path, training)
    assert checkpoint.load_gca(fresh.decoder, tmp_path / "final").step == 4
    assert "deepspeed" not in (tmp_path / "metrics.jsonl").read_text()
    assert len((tmp_path / "probe.jsonl").read_text().splitlines()) == 2
