"""Checks of prompts, traces, memory, checkpoint and evaluation, on small made-up outputs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_model.schema import CONDITIONS, write_rows
from awareness_pipeline.artifacts import place
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.defs.checks import CHECKS, look
from tests.pipeline.defs.outputs import (
    KEY,
    LAYOUT,
    PROMPT,
    ROW,
    SHARD,
    WEIGHTS,
    finish,
    put_checkpoint,
    put_evaluation,
    put_memory,
    put_prompt,
    put_trace,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(demo(), paths=Paths(root=tmp_path))


def found(settings: Settings, name: str, partition: str = SHARD) -> list[str]:
    check = next(check for check in CHECKS if check.name == name)
    return look(check, settings, [partition])


def test_sound_prompts_pass(settings: Settings) -> None:
    put_prompt(settings)
    assert found(settings, "prompts_sound") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reject_reason": "copied"}, "accepted is True"),
        ({"accepted": False}, "accepted is False"),
        ({"prompt": " "}, "accepted without text"),
        ({"prompt": "See https://example.org/x for more."}, "names a url"),
        ({"prompt": "Do what 1f3870be27 did, once more."}, "names a sha"),
        ({"leak": 1.5}, "leak is no share"),
        ({"grounding": -0.1, "english": 2.0}, "grounding, english is no share"),
    ],
)
def test_an_unsound_prompt_is_found(settings: Settings, changes: dict[str, Any], said: str) -> None:
    put_prompt(settings, **changes)
    assert said in "\n".join(found(settings, "prompts_sound"))


def test_prompts_that_are_not_all_there_are_found(settings: Settings) -> None:
    put_prompt(settings)
    here = place(settings, "task_prompts", SHARD, {})
    other = replace(PROMPT, style="terse", sha="d" * 40)
    write_rows(here.folder / f"{KEY}.jsonl", [PROMPT, other])
    finish(here, KEY, (f"{KEY}.jsonl",), {"by_style": {"imperative": 1}})
    said = "\n".join(found(settings, "prompts_sound"))
    assert "2 commits, but 1 prompts of style imperative" in said
    assert "accepted {'imperative': 1, 'terse': 1}, its record says {'imperative': 1}" in said


def test_sound_traces_pass(settings: Settings) -> None:
    put_trace(settings)
    assert found(settings, "traces_sound") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tail_mass": [0.1]}, "tail_mass has 1 rows for 2 tokens"),
        ({"topk_ids": [[3, 5], [4]]}, "different numbers of alternatives"),
        ({"topk_logprobs": [[0.7, -3.0], [0.0, -9.0]]}, "above 0 or no number"),
        ({"topk_logprobs": [[float("nan"), -3.0], [0.0, -9.0]]}, "above 0 or no number"),
        ({"tail_mass": [1.2, 0.0]}, "a tail is no probability"),
        ({"tail_mass": [float("nan"), 0.0]}, "a tail is no probability"),
        ({"response_ids": [], "topk_ids": [], "topk_logprobs": [], "tail_mass": []}, "no response"),
        ({"top_k": 3}, "[2] where top_k is 3"),
        ({"top_k": 0}, "topk_ids has 2 rows for 0 tokens"),
        ({"manifest_reasons": []}, "manifest_reasons has 0 rows for 1 files"),
        ({"gold_paths": []}, "nothing decides its answer"),
        ({"kind": "state"}, "kind state, chain ''"),
        ({"chain": "c"}, "kind instruction, chain 'c'"),
        ({"surplus": 1}, "columns are"),
    ],
)
def test_an_unsound_trace_is_found(settings: Settings, changes: dict[str, Any], said: str) -> None:
    put_trace(settings, **changes)
    assert said in "\n".join(found(settings, "traces_sound"))


def test_a_trace_of_text_alone_is_sound(settings: Settings) -> None:
    put_trace(settings, top_k=0, topk_ids=[], topk_logprobs=[], tail_mass=[])
    assert found(settings, "traces_sound") == []


def test_a_torn_trace_file_is_found(settings: Settings) -> None:
    put_trace(settings)
    path = next(settings.paths.root.rglob("*.parquet"))
    path.write_bytes(b"\0" * path.stat().st_size)
    assert "ArrowInvalid" in found(settings, "traces_sound")[0]


def test_memory_that_holds_what_trees_want_passes(settings: Settings) -> None:
    put_memory(settings)
    put_trace(settings)
    assert found(settings, "documents_stored") == []
    assert found(settings, "gold_reachable") == []


def test_a_document_without_memory_in_a_layout_is_found(settings: Settings) -> None:
    put_memory(settings, layouts=("kv",))
    assert "1 documents have no latent memory" in found(settings, "documents_stored")[0]


def test_a_tree_that_the_store_lost_is_found(settings: Settings) -> None:
    put_memory(settings, row=replace(ROW, sha="d" * 40))
    assert "limits.py is not in the store's snapshots" in found(settings, "documents_stored")[0]


def test_a_lost_store_is_found(settings: Settings) -> None:
    put_memory(settings)
    store = settings.paths.artifact("memory_shards") / "demo" / "store"
    store.rename(store.with_name("elsewhere"))
    assert len(found(settings, "documents_stored")) == 1


def test_a_deciding_document_that_is_not_in_memory_is_found(settings: Settings) -> None:
    put_memory(settings)
    put_trace(settings, gold_paths=["limits.py", "far.py"])
    assert found(settings, "gold_reachable") == ["001/1: t1: far.py is not in memory"]


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_a_sound_checkpoint_passes(settings: Settings, kind: str) -> None:
    put_checkpoint(settings, kind=kind)
    for name in ("weights_finite", "losses_finite", "up_to_date"):
        assert found(settings, name, "all") == []


@pytest.mark.parametrize("kind", ["F32", "BF16"])
@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_found(settings: Settings, kind: str, bad: float) -> None:
    put_checkpoint(settings, weights={**WEIGHTS, "layer.wq": [1.0, bad]}, kind=kind)
    assert (
        "layer.wq holds a number that is not finite" in found(settings, "weights_finite", "all")[0]
    )


def test_gates_that_never_opened_are_found(settings: Settings) -> None:
    put_checkpoint(settings, weights={"layer.alpha": [0.0, 0.0]})
    assert "all 2 gates are shut" in found(settings, "weights_finite", "all")[0]


def test_a_loss_that_is_not_finite_is_found(settings: Settings) -> None:
    put_checkpoint(settings, losses=(2.0, float("nan")))
    assert "step 2: loss is not finite" in found(settings, "losses_finite", "all")[0]


def test_a_missing_step_is_found(settings: Settings) -> None:
    put_checkpoint(settings, losses=(2.0,))
    assert "1 rows do not go from step 1 to 2" in found(settings, "losses_finite", "all")[0]


def test_a_stale_checkpoint_is_found(settings: Settings) -> None:
    put_checkpoint(settings, stale=("teacher_traces",))
    assert "teacher_traces changed since" in found(settings, "up_to_date", "all")[0]


def test_a_sound_evaluation_passes(settings: Settings) -> None:
    put_evaluation(settings, {"kv": LAYOUT, "latent": LAYOUT})
    assert found(settings, "numbers_sound", "all") == []
    assert found(settings, "kv_reads_memory", "all") == []


@pytest.mark.parametrize(
    ("latent", "said"),
    [
        ({}, "latent: not measured: own, other, none, text"),
        ({**LAYOUT, "nll": {"own": 1.0, "other": 2.5}}, "latent: not measured: none, text"),
        ({**LAYOUT, "nll": dict.fromkeys(CONDITIONS, -1.0)}, "below 0 or not finite"),
        ({**LAYOUT, "S": 1.7}, "S is 1.7, but 2.5 - 1.0 is not"),
        ({**LAYOUT, "S_ci": [1.6, 2.0]}, "outside its interval"),
    ],
)
def test_an_unsound_evaluation_is_found(
    settings: Settings, latent: dict[str, Any], said: str
) -> None:
    put_evaluation(settings, {"kv": LAYOUT, "latent": latent})
    assert said in "\n".join(found(settings, "numbers_sound", "all"))


def test_kv_memory_that_does_not_help_is_found(settings: Settings) -> None:
    put_evaluation(settings, {"kv": {**LAYOUT, "S_ci": [-0.1, 2.0]}, "latent": LAYOUT})
    assert found(settings, "kv_reads_memory", "all") == ["S lies in [-0.100, 2.000]"]


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_every_check_says_what_it_promises(name: str) -> None:
    check = next(check for check in CHECKS if check.name == name)
    assert len(check.description) > 40
