"""awareness train and checkpoint: options become settings; a debug run needs no data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awareness_model.tiny import save_tiny
from awareness_pipeline.cli import app, training
from awareness_pipeline.cli.work import Work
from awareness_pipeline.config import Settings, Train
from awareness_pipeline.config.fingerprint import identity

Asked = Callable[..., Settings]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """Return what a command would run with."""
    seen: list[Settings] = []

    def run_stages(settings: Settings, stages: Any) -> Work:
        seen.append(settings)
        return Work((), 0.0)

    monkeypatch.setattr("awareness_pipeline.cli.work.run_stages", run_stages)
    monkeypatch.setenv("AWARENESS_MODEL", str(save_tiny(tmp_path / "model", "llama")))

    def ask(*args: str) -> Settings:
        result = CliRunner().invoke(app, ["train", "--root", str(tmp_path), *args])
        assert result.exit_code == 0, result.output
        return seen[-1]

    return ask


def test_options_become_settings_and_none_leaves_the_recipe_alone(asked: Asked) -> None:
    usual = asked().train
    assert usual == Train()
    found = asked(
        "--num-epochs", "3", "--batch-size", "4", "--seq-length", "96", "--output-dir", "out",
        "--train-encoder", "--lora-rank", "16",
        "--precision", "bf16", "--zero-stage", "3", "--accumulate", "2", "--ranks", "2",
        "--hostfile", "hosts", "--offload-optimizer", "--activation-checkpointing",
    ).train  # fmt: skip
    assert found == replace(
        usual,
        steps=0,
        num_epochs=3,
        batch_size=4,
        max_prompt_tokens=64,
        max_answer_tokens=32,
        output_dir="out",
        encoder_rank=32,
        lora_rank=16,
        precision="bf16",
        zero_stage=3,
        accumulate=2,
        ranks=2,
        hostfile="hosts",
        offload_optimizer=True,
        activation_checkpointing=True,
    )
    assert asked("--steps", "7").train == replace(usual, steps=7)


def test_where_a_training_runs_is_not_what_comes_out_of_it(asked: Asked) -> None:
    usual = identity(asked().train)
    assert identity(asked("--ranks", "2", "--accumulate", "2", "--zero-stage", "1").train) == usual
    assert identity(asked("--output-dir", "here", "--hostfile", "hosts").train) == usual
    assert identity(asked("--precision", "bf16").train) != usual


def test_epochs_and_steps_are_not_both_said(tmp_path: Path) -> None:
    both = ["train", "--root", str(tmp_path), "--num-epochs", "1", "--steps", "1"]
    result = CliRunner().invoke(app, both)
    assert result.exit_code == 2
    assert "choose one: --num-epochs or --steps" in result.output


def test_checkpoint_hands_over_to_the_model_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = []

    def execve(program: str, command: list[str], env: dict[str, str]) -> None:
        given.append((command[1:], "GITHUB_TOKEN" in env))

    monkeypatch.setattr(training.os, "execve", execve)
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    module = ["-m", "awareness_model.checkpoints"]
    for args in (["ls"], ["export", "here", "there", "--bf16", "--json"]):
        assert CliRunner().invoke(app, ["checkpoint", *args]).exit_code == 0
    assert given == [
        ([*module, "ls", "data/gca_checkpoint", "--keep", "1"], False),
        ([*module, "export", "here", "there", "--keep", "1", "--bf16", "--json"], False),
    ]


def test_a_debug_run_takes_three_steps_of_its_own(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--debug", "--output-dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    final = tmp_path / "debug" / "training" / "final"
    assert "three steps taken" in result.output
    assert (final / "gca.safetensors").is_file()
