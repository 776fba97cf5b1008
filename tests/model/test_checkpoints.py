"""awareness checkpoint: what is listed, what goes, and what an exported reader is."""

import json

import pytest
import torch
from safetensors.torch import load_file

from awareness_model import checkpoint, ranks
from awareness_model.checkpoints import export, listed, main, prune
from awareness_model.config import DecoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.tiny import save_tiny


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    model = str(save_tiny(tmp_path_factory.mktemp("model") / "tiny", "llama"))
    return ReasoningDecoder(DecoderConfig(model_name=model, layout="latent"))


@pytest.fixture
def training(tmp_path, decoder):
    """A training at step 6 that keeps steps 2 to 6, with its metrics."""

    def moments(folder):
        folder.mkdir()
        (folder / "moments.safetensors").write_bytes(bytes(1000))

    folder = tmp_path / "out"
    for step in (2, 4, 6):
        at = checkpoint.step_folder(folder / "checkpoints", step)
        checkpoint.save(at, decoder, step=step, settings={}, data="d", engine=moments)
    checkpoint.save(folder / "final", decoder, step=6, settings={}, data="d")
    lines = [{"step": step, "loss": 1.0 / step} for step in range(1, 7)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    (folder / "probe.jsonl").write_text('{"step": 3, "S": 0.25}\n')
    return folder


def test_every_checkpoint_is_listed_with_its_loss_and_size(training, capsys):
    rows = listed(training)
    assert [(row["step"], row["loss"], row["S"]) for row in rows] == [
        (2, 0.5, None),
        (4, 0.25, 0.25),
        (6, 1 / 6, 0.25),
        (6, 1 / 6, 0.25),
    ]
    assert rows[0]["mib"] > 0
    assert main(["ls", str(training)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["step", "loss", "S", "mib", "layout", "model", "path"]
    assert len(table) == 5
    assert main(["ls", str(training), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows


def test_the_newest_stay_and_finished_readers_too(training):
    gone = prune(training, 1)
    assert [one.name for one in gone] == ["00000002", "00000004"]
    assert [row["step"] for row in listed(training)] == [6, 6]
    assert prune(training, 1) == []


def test_a_training_at_work_is_not_pruned(training):
    with ranks.locked(training / ".lock"), pytest.raises(UserError, match="at work"):
        prune(training, 1)
    assert len(listed(training)) == 4


def test_an_exported_reader_is_what_from_pretrained_loads(training, tmp_path, decoder, capsys):
    with torch.no_grad():
        for gate in decoder.trainable_parameters()["gates"].values():
            gate.fill_(0.7)
    checkpoint.save(training / "final", decoder, step=6, settings={}, data="d")
    assert main(["export", str(training), str(tmp_path / "kept")]) == 0
    assert "step 6 is at" in capsys.readouterr().out
    assert sorted(one.name for one in (tmp_path / "kept").iterdir()) == [
        "gca.safetensors",
        "record.json",
    ]
    again = ReasoningDecoder.from_pretrained(tmp_path / "kept")
    for one, other in zip(again.parameters(), decoder.parameters(), strict=True):
        assert torch.equal(one, other)


def test_bf16_halves_projections_and_nothing_else(training, tmp_path):
    export(training, tmp_path / "small", bf16=True)
    whole, small = (
        load_file(folder / checkpoint.WEIGHTS)
        for folder in (training / "final", tmp_path / "small")
    )
    for name, one in small.items():
        assert one.dtype == (torch.bfloat16 if name.endswith(".weight") else torch.float32)
        assert torch.equal(one, whole[name].to(one.dtype))
    assert ReasoningDecoder.from_pretrained(tmp_path / "small").origin.step == 6


def test_one_step_can_be_exported_by_its_folder(training, tmp_path):
    at = checkpoint.step_folder(training / "checkpoints", 4)
    assert export(at, tmp_path / "four").step == 4
    assert not (tmp_path / "four" / "engine").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "gone"], "no folder"),
        (["export", "."], "two folders"),
        (["ls", ".", "there"], "take one"),
        (["prune", ".", "--keep", "0"], "--keep is 1 or more"),
        (["export", ".", "."], "is there already"),
        (["export", ".", "new"], "no checkpoint below"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert len(err.splitlines()) == 1
