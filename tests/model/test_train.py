"""The entry point, as the pipeline runs it: a process of its own, on a store with real records."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from awareness_model import checkpoint, train
from awareness_model.config import DecoderConfig, TrainingConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import PlainEngine
from awareness_model.schema import to_json
from awareness_model.train import main, read_job, read_report
from awareness_model.trial import make_job


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Return a maker of job files: a tiny model, nine documents of three repositories, traces."""
    root = tmp_path_factory.mktemp("job")
    made = make_job(root, TrainingConfig())
    (rows,) = (pq.read_table(path) for path in made.traces)
    lost = {**rows.to_pylist()[0], "trace_id": "t99", "gold_paths": ["gone.py"]}
    both = [*rows.to_pylist(), lost]
    pq.write_table(pa.Table.from_pylist(both, schema=rows.schema), made.traces[0])

    def make(folder, **settings):
        folder.mkdir(exist_ok=True)
        base = {"batch_size": 3, "steps": 8, "checkpoint_every": 3, "output_dir": str(folder)}
        base |= {"tensorboard": False, "probe_every": 4}
        file = folder / "job.json"
        file.write_text(to_json(replace(made, training=TrainingConfig(**{**base, **settings}))))
        return file

    return make


def start(job_file, *more):
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "awareness_model.train", "--job", str(job_file), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def kill_at(job_file, step):
    """Start a training and kill it with SIGKILL once it tells of a step."""
    with start(job_file) as child:
        for line in child.stdout:
            if json.loads(line)["progress"]["done"] == step:
                child.kill()
        assert child.wait() == -9


def finish(job_file, *more):
    with start(job_file, *more) as child:
        out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    return out.splitlines()


def curve(job_file):
    lines = (job_file.parent / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_kill_9_and_the_same_command_give_the_same_losses(job, tmp_path, capsys):
    whole, killed = job(tmp_path / "whole"), job(tmp_path / "killed")
    said = [json.loads(line)["progress"] for line in finish(whole)]
    assert [(row["label"], row["done"], row["total"]) for row in said] == [
        ("train", n, 8) for n in range(1, 9)
    ]
    shown = {"loss", "seconds", "tokens_per_second", "mfu", "memory_mib"}
    assert said[0]["values"].keys() == shown
    assert said[4]["values"].keys() == {*shown, "S"}
    kill_at(killed, 5)
    kept = checkpoint.latest(killed.parent / "checkpoints")
    assert kept is not None
    assert checkpoint.read_record(kept).step == 3
    assert len(finish(killed)) == 5
    one, other = curve(whole), curve(killed)
    assert [row["step"] for row in other] == list(range(1, 9))
    for a, b in zip(one, other, strict=True):
        assert b == pytest.approx(a, abs=1e-5)
    report = read_report(killed.parent)
    assert report is not None
    assert (report.steps, report.samples) == (8, 9)
    assert report.dropped == {"gold_not_in_memory": 1}
    found = read_job(killed)
    decoder = ReasoningDecoder(DecoderConfig(found.model, "cpu", "latent"))
    record = checkpoint.load_gca(decoder, killed.parent / "final")
    assert record.digest == report.digest
    before = sorted(path.stat().st_mtime_ns for path in killed.parent.rglob("*"))
    assert main(["--job", str(killed)]) == 0
    assert json.loads(capsys.readouterr().out)["progress"]["done"] == 8
    assert sorted(path.stat().st_mtime_ns for path in killed.parent.rglob("*")) == before


def test_traces_of_text_only_train_by_cross_entropy_alone(job, tmp_path):
    file = job(tmp_path / "one", zero_stage=0, steps=2, kl_weight=5.0, citation_weight=0.0)
    assert main(["--job", str(file)]) == 0
    for row in curve(file):
        assert row["kl"] == 0.0
        assert row["loss"] == pytest.approx(row["ce"])
        assert row["grad_norm"] > 0


def test_a_training_killed_before_its_report_is_reported_by_the_next(job, tmp_path):
    file = job(tmp_path / "one", zero_stage=0, steps=2)
    assert main(["--job", str(file)]) == 0
    report = (file.parent / "report.json").read_bytes()
    (file.parent / "report.json").unlink()
    assert main(["--job", str(file)]) == 0
    assert (file.parent / "report.json").read_bytes() == report


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"traces": ["gone.parquet"]}, "gone.parquet"),
        ({"model": "./nowhere"}, "nowhere"),
        ({"training": {"step": 3}}, "is no training job"),
        ({"store": "empty"}, "gold_not_in_memory"),
        ({"extra": 1}, "is no training job"),
    ],
)
def test_bad_jobs_get_one_line_and_status_2(job, tmp_path, capsys, change, said):
    file = job(tmp_path / "one", zero_stage=0)
    found = asdict(read_job(file))
    if change.get("store"):
        change = {"store": str(tmp_path / "empty")}
    file.write_text(json.dumps({**found, **change}))
    assert main(["--job", str(file)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert len(err.splitlines()) == 1


def test_two_ranks_over_gloo_take_the_steps_of_one_and_are_gone_on_from_by_one(job, tmp_path):
    one = job(tmp_path / "one", zero_stage=0, accumulate=2, batch_size=4, steps=4)
    assert main(["--job", str(one)]) == 0
    two = job(tmp_path / "two", batch_size=4, steps=4, checkpoint_every=2)
    said = [line for line in finish(two, "--ranks", "2") if line.startswith('{"progress"')]
    assert [json.loads(line)["progress"]["done"] for line in said] == [1, 2, 3, 4]
    for a, b in zip(curve(one), curve(two), strict=True):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-5)
    shutil.rmtree(two.parent / "checkpoints" / "00000004")
    shutil.rmtree(two.parent / "final")
    (two.parent / "report.json").unlink()
    job(two.parent, batch_size=4, steps=4, checkpoint_every=2, zero_stage=0, accumulate=2)
    assert main(["--job", str(two)]) == 0
    for a, b in zip(curve(one), curve(two), strict=True):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-5)


def test_two_ranks_go_through_a_curriculum_as_one_does(job, tmp_path):
    """Documents of transmission are those of all ranks; both switch at the same steps."""
    course = {
        "curriculum": ("transmission", "instruction"),
        "switch_every": 1,
        "switch_looks": 1,
        "switch_above": -100.0,
        "rehearsal": 0.0,
        "batch_size": 4,
        "steps": 8,
        "checkpoint_every": 8,
        "max_prompt_tokens": 16,
        "max_answer_tokens": 16,
    }
    one = job(tmp_path / "one", zero_stage=0, accumulate=2, **course)
    assert main(["--job", str(one)]) == 0
    two = job(tmp_path / "two", **course)
    finish(two, "--ranks", "2")
    assert [row["visible"] for row in curve(one)] == [1, 2, 4] + [8] * 5
    assert [row["stage"] for row in curve(one)] == [0] * 4 + [2] * 4
    for a, b in zip(curve(one), curve(two), strict=True):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-5)
    switches = [
        [
            (row["step"], row["stage"], row["measured"])
            for row in checkpoint.read_record(file.parent / "final").course["switches"]
        ]
        for file in (one, two)
    ]
    assert switches[0] == switches[1] == [(n, "transmission", True) for n in (1, 2, 3, 4)]


def test_a_debug_run_makes_its_own_world_and_takes_three_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        train, "_engine", lambda log, reader, training: PlainEngine(reader, training)
    )
    for _ in range(2):
        assert main(["--debug", str(tmp_path)]) == 0
        said = capsys.readouterr().out.splitlines()
        assert [json.loads(line)["progress"]["done"] for line in said] == [1, 2, 3]
    final = tmp_path / "debug" / "training" / "final"
    assert ReasoningDecoder.from_pretrained(final).origin.step == 3


def test_a_report_of_another_version_is_refused_in_a_line(job, tmp_path, capsys):
    file = job(tmp_path / "one", zero_stage=0, steps=1)
    (file.parent / "report.json").write_text('{"steps": 1}')
    assert main(["--job", str(file)]) == 2
    assert "another version: choose another output_dir, or remove" in capsys.readouterr().err


def test_what_cannot_be_shared_by_the_ranks_is_refused_before_they_start(job, tmp_path, capsys):
    file = job(tmp_path / "one")
    assert main(["--job", str(file), "--ranks", "2"]) == 2
    assert "choose a multiple of 2" in capsys.readouterr().err
    assert main(["--job", str(file), "--hostfile", str(tmp_path / "gone")]) == 2
    assert "cannot read the hostfile" in capsys.readouterr().err


def test_a_missing_job_is_named(tmp_path, capsys):
    assert main(["--job", str(tmp_path / "gone.json")]) == 2
    assert "gone.json" in capsys.readouterr().err
