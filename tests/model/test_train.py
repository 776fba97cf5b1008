"""The entry point, as the pipeline runs it: a process of its own, on a store with real records."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from awareness_model import checkpoint
from awareness_model.base import load_model, plain_ids, tokenizer_fingerprint
from awareness_model.config import DecoderConfig, EncoderConfig, MemoryConfig, TrainingConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.memory.store import LatentMemoryStore
from awareness_model.schema import SnapshotRow, TrainJob, content_hash, to_json
from awareness_model.tiny import save_tiny
from awareness_model.train import main, read_job, read_report
from tests.model.small_world import trace, write_traces


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Return a maker of job files: a tiny model, nine documents of three repositories, traces."""
    root = tmp_path_factory.mktemp("job")
    model = str(save_tiny(root / "model", "qwen3"))
    texts = {(n % 3, f"f{n}.py"): f"def f{n}():\n    return {n * 37}\n" for n in range(9)}
    rows = [
        SnapshotRow(repo, f"tree{repo}", path, content_hash(text.encode()))
        for (repo, path), text in texts.items()
    ]
    config = EncoderConfig(model, "cpu")
    encoder = ContextEncoder.from_model(*load_model(model), config)
    made = encoder.encode(list(texts.values()), "latent")
    store = LatentMemoryStore(MemoryConfig(str(root / "store")))
    documents = {row.content_hash: chunks for row, chunks in zip(rows, made, strict=True)}
    store.upsert(documents, "latent", encoder_fingerprint(config, "latent"))
    store.put_snapshot(rows)
    usual = {"tokenizer_fingerprint": tokenizer_fingerprint(encoder.tokenizer)}
    traces = [
        trace(
            n,
            repo,
            gold=(path,),
            student_prompt_ids=plain_ids(encoder.tokenizer, f"f{n}() == "),
            response_ids=plain_ids(encoder.tokenizer, str(n * 37)),
            k=0,
            **usual,
        )
        for n, (repo, path) in enumerate(texts)
    ]
    lost = trace(99, 1, gold=("gone.py",), k=0, **usual)
    path = str(write_traces(root / "traces.parquet", [*traces, lost]))

    def make(folder, **settings):
        folder.mkdir(exist_ok=True)
        base = {"batch_size": 3, "steps": 8, "checkpoint_every": 3, "output_dir": str(folder)}
        training = TrainingConfig(**{**base, **settings})
        file = folder / "job.json"
        file.write_text(to_json(TrainJob(model, "cpu", str(root / "store"), (path,), training)))
        return file

    return make


def start(job_file):
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "awareness_model.train", "--job", str(job_file)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def kill_at(job_file, step):
    """Start a training and kill it with SIGKILL once it tells of a step."""
    with start(job_file) as child:
        for line in child.stdout:
            if json.loads(line)["progress"]["done"] == step:
                child.kill()
        assert child.wait() == -9


def finish(job_file):
    with start(job_file) as child:
        out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    return out.splitlines()


def curve(job_file):
    lines = (job_file.parent / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_kill_9_and_the_same_command_give_the_same_losses(job, tmp_path, capsys):
    whole, killed = job(tmp_path / "whole"), job(tmp_path / "killed")
    said = [json.loads(line)["progress"] for line in finish(whole)]
    assert said == [{"label": "train", "done": n, "total": 8} for n in range(1, 9)]
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


def test_a_missing_job_is_named(tmp_path, capsys):
    assert main(["--job", str(tmp_path / "gone.json")]) == 2
    assert "gone.json" in capsys.readouterr().err
