"""The whole way on a CPU at tiny size: packed here, run where nothing but torch, transformers and
what they bring can be imported, killed in the middle, gone on with elsewhere, collected here."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from string import ascii_lowercase

import pytest
import torch

from awareness_model.base import load_tokenizer
from awareness_model.config import UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.evaluation import corpus, haystack, lines
from awareness_model.gpu_proof import parts, running, state
from awareness_model.gpu_proof.__main__ import main, parser
from awareness_model.gpu_proof.plan import FULL, STAGES, TINY, stage
from awareness_model.gpu_proof.rows import plain, restored
from awareness_model.gpu_proof.stages import do
from awareness_model.reader import code_rows
from awareness_model.reader.course import Course
from tests.model.evaluation.packages_world import package

PROJECT = Path(__file__).parents[3]
OURS = re.compile(r"\t?[@$()A-Z./a-z]*python3? -m awareness_model\.gpu_proof")
PATIENCE = 170.0
"""Seconds that a process under load may take to be seen at work."""


def brought(names):
    """Names of distributions that these ones bring along, extras apart."""
    found, left = set(), list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name not in found:
            found.add(name)
            try:
                wanted = requires(name) or ()
            except PackageNotFoundError:
                wanted = ()
            left += [re.split(r"[ ;<>=!~(\[]", one)[0] for one in wanted if "extra ==" not in one]
    return found


def guard(folder):
    """Refuse every module that another distribution than torch's and transformers' installs."""
    allowed = brought(["torch", "transformers", "numpy", "safetensors"])
    refused = {
        module
        for module, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", one).lower() for one in owners} & allowed
    }
    refused = sorted(refused - {"awareness_model"} | {"awareness_pipeline"})
    assert {"lance", "pyarrow", "tree_sitter", "dagster", "deepspeed", "pydantic"} <= set(refused)
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import sys\nfor name in {refused!r}:\n    sys.modules[name] = None\n"
    )
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    found = [package(f"pack{letter}") for letter in ascii_lowercase[:14]]
    corpus.write_packages(folder / "corpus.jsonl", found)
    given = ["--corpus", str(folder / "corpus.jsonl"), "--part-bytes", "600000"]
    assert main(["pack", "--tiny", "--out", str(folder / "parts"), *given]) == 0
    guard(folder / "guard")
    parts.join([folder / "parts" / "1", folder / "parts" / "2"], folder / "here")
    return folder


def there(world, *words):
    """Start a command of ours where little can be imported."""
    return subprocess.Popen(
        [sys.executable, "-m", "awareness_model.gpu_proof", *map(str, words)],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHONPATH": f"{world / 'guard'}:{PROJECT}",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process):
    out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, error[-2000:]
    return out


def killed_in_training(world, at):
    """Start a training and kill it after its third step."""
    log = at / "work" / "main" / "log.jsonl"
    process, end = there(world, "stage", "main", "--at", at, "--device", "cpu"), time.time()
    while not (log.is_file() and log.read_text().count("\n") >= 3):
        assert process.poll() is None, process.communicate()
        assert time.time() - end < PATIENCE
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (at / "work" / "main" / running.FINISHED).is_file()


@pytest.mark.timeout(600)
def test_a_training_killed_on_one_machine_ends_on_the_next_as_if_it_never_was(
    world, tmp_path, capsys
):
    do(world / "here", stage("main"), "cpu")
    first, back, kept = tmp_path / "first", tmp_path / "back", tmp_path / "kept"
    assert "1 of 2" in done(there(world, "join", world / "parts" / "2", "--at", first))
    assert "ready" in done(there(world, "join", world / "parts" / "1", "--at", first))
    killed_in_training(world, first)
    state.save(first / "work", back, running.standing(first / "work"))
    assert main(["keep", str(back), "--to", str(kept)]) == 0
    assert re.search(r"main +[2-5] of 6 steps", capsys.readouterr().out)

    second, out = tmp_path / "second", tmp_path / "out"
    parts.join([world / "parts" / "1", world / "parts" / "2"], second)
    given = ["--at", second, "--state", kept, "--out", out, "--device", "cpu", "--minutes", "0"]
    said = done(there(world, "run", *given, "--stage", "main", "measure-main", "prove"))
    assert f"going on from {kept}" in said
    whole, ended = (at / "work" / "main" for at in (world / "here", second))
    readers = [torch.load(one / "state.pt", weights_only=True) for one in (whole, ended)]
    assert readers[0].keys() == {"reader", "progress"}
    for name, tensor in readers[0]["reader"].items():
        assert torch.equal(tensor, readers[1]["reader"][name]), name
    digests = [json.loads((one / "adapter" / "record.json").read_text()) for one in (whole, ended)]
    assert digests[0] == {**digests[1], "name": digests[0]["name"]}

    results, words = tmp_path / "results", ["--parts", str(world / "parts")]
    assert main(["collect", str(out), "--results", str(results), *words]) == 0
    told = json.loads((results / "gpu_reader.json").read_text())
    assert told["missing"] == [
        *(f"stage {name}" for name in ("control", "seed-2", "seed-3", "measure")),
        "40 lines of haystack",
        "RAG by a sentence encoder (rag_embedding)",
    ]
    assert told["machine"][0].endswith(f"torch {torch.__version__}")
    assert [row["reader"] for row in told["perplexity"]] == ["none", "main"]
    assert told["perplexity"][1]["classes"]["remote"]["nll"].keys() >= {"own", "other", "oracle"}
    assert [row["trained_steps"] for row in told["needle"]] == [0, 6]
    assert told["trainings"]["main"]["curve"][-1]["step"] == 6
    assert str(tmp_path) not in (results / "gpu_reader.json").read_text().replace(
        told["command"], ""
    )
    assert json.loads((results / "gpu_prove.json").read_text())["machine"]
    made = ReasoningDecoder.from_pretrained(tmp_path / "readers" / "main", second / "model", "cpu")
    assert made.origin is not None
    assert made.origin.step == 6


def test_what_is_asked_reads_the_same_after_the_way(world):
    found = corpus.read_packages(world / "corpus.jsonl")
    model = str(world / "here" / "model")
    tokenizer, sizes = load_tokenizer(model), lines.Sizes(**TINY.remote)
    code = code_rows.read(tokenizer, corpus.on_side(found, "train"), 2, seed=0)
    needle_sizes = haystack.NeedleSizes(**TINY.haystack, haystack_lines=20)
    for rows in (
        code,
        tuple(lines.prepare(lines.choose(found, sizes), tokenizer, sizes)),
        haystack.build(found, model, needle_sizes),
    ):
        assert restored(json.loads(json.dumps(plain(rows)))) == rows


def test_every_size_is_a_setting_that_there_is():
    for scale in (FULL, TINY):
        assert Course(**scale.course).steps == scale.course["steps"]
        assert lines.Sizes(**scale.remote).lines == scale.remote["lines"]
        assert haystack.NeedleSizes(**scale.haystack, haystack_lines=1)


def test_stages_come_after_what_they_measure():
    names = [one.name for one in STAGES]
    for place, one in enumerate(STAGES):
        needed = {name for name in (*one.readers, one.control) if name not in ("", "none")}
        assert needed <= set(names[:place])


def test_without_a_gpu_one_line_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["all", "--out", str(tmp_path / "gpu")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "all --tiny --device cpu --out outputs/gpu-tiny" in error
    assert "docs/gpu.md" in error
    assert not (tmp_path / "gpu").exists()


def test_the_documented_commands_are_ours_and_fit_a_lent_machine():
    found = []
    for path in (PROJECT / "docs" / "gpu.md", PROJECT / "Makefile"):
        for line in path.read_text().splitlines():
            if not OURS.match(line):
                continue
            assert len(line) < 2_000
            for command in line.split(" && "):
                words = shlex.split(command)
                found.append(parser().parse_args(words[words.index("-m") + 2 :]).command)
    assert set(found) == {"all", "pack", "join", "run", "keep", "status", "collect"}
    assert found.count("join") == 3


@pytest.fixture
def put_together(tmp_path):
    (tmp_path / "at").mkdir()
    (tmp_path / "at" / parts.READY).write_text("{}")
    return tmp_path


def stands_in(folder, monkeypatch, text):
    """Have a script stand in for the process of a stage."""
    script = folder / "stands-in"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_at_the_deadline_a_stage_and_its_children_are_killed_and_what_is_there_is_saved(
    put_together, monkeypatch
):
    monkeypatch.setattr(running, "RESERVE", 0.0)
    monkeypatch.setattr(running, "LEAST", 0.0)
    at, out = put_together / "at", put_together / "out"
    pids = put_together / "pids"
    stands_in(put_together, monkeypatch, f"sleep 600 & echo $! > {pids}; wait")
    said = []
    assert running.run(at, out, 0.01, "cpu", ["main", "control"], say=said.append) == 0
    assert "stage main: stopped at its deadline" in said
    assert not any("control" in one for one in said)
    told = state.standing(out)["main"]
    assert told["seconds"] > 0
    assert not told["finished"]
    if pids.is_file():
        state_of = Path(f"/proc/{pids.read_text().strip()}/stat")
        assert not state_of.is_file() or " Z " in state_of.read_text()


def test_a_stage_that_fails_is_told_of_and_the_next_one_runs(put_together, monkeypatch):
    at, out = put_together / "at", put_together / "out"
    stands_in(put_together, monkeypatch, "exit 3")
    said = []
    assert running.run(at, out, 0, "cpu", ["main", "control"], say=said.append) == 1
    assert "stage main: exit status 3" in said
    assert "stage control: exit status 3" in said
    assert state.standing(out)["main"]["failed"] == "exit status 3"


def test_only_one_stage_runs_in_a_folder(tmp_path):
    with (
        running.alone(tmp_path / "work"),
        pytest.raises(UserError, match="another stage"),
        running.alone(tmp_path / "work"),
    ):
        pass


def test_a_stage_ends_with_the_process_that_started_it():
    code = (
        "import subprocess, sys\n"
        "inner = 'from awareness_model.gpu_proof import running as r, plan; import time;'\n"
        "inner += 'r.with_starter(); print(1, flush=True); time.sleep(600)'\n"
        "one = subprocess.Popen([sys.executable, '-c', inner], stdout=subprocess.PIPE)\n"
        "one.stdout.readline(); print(one.pid, flush=True)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    left = Path(f"/proc/{out.stdout.strip()}/stat")
    end = time.time() + PATIENCE
    while left.is_file() and " Z " not in left.read_text() and time.time() < end:
        time.sleep(0.1)
    assert not left.is_file() or " Z " in left.read_text()
