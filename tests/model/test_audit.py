"""Texts behind own and others' readings: the numbers are those of a naive loop."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from awareness_model.audit import audit, main
from awareness_model.base import chat_ids, plain_ids
from awareness_model.differences import Scored, measures
from awareness_model.schema import (
    FILES_BEFORE,
    TASK_BEFORE,
    AuditAnswer,
    AuditRequest,
    Reading,
    SourceFile,
    read_rows,
    write_rows,
)
from awareness_model.tiny import save_tiny, tiny

OWN_FILES = (SourceFile("a.py", "A = 1\n" * 9), SourceFile("b.py", "B = 2\n"))
OTHER_FILES = (SourceFile("z.py", "import os\n" * 40),)


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return tiny(request.param)


def ask(name: str, *readings: Reading, **changes: Any) -> AuditRequest:
    found = {"kind": "prompt", "group": "terse", "repo_id": 1, "sha": name, "text": "-a\n+b = 4"}
    limits = {"max_text_tokens": 40, "max_prompt_tokens": 90, "max_context_tokens": 0}
    return AuditRequest(**{"id": name, "readings": readings, **found, **limits, **changes})


def prompts(own: str, same: str, name: str = "x", **changes: Any) -> AuditRequest:
    return ask(name, Reading("own", own), Reading("same", same), **changes)


def contexts(own: Any = OWN_FILES, other: Any = OTHER_FILES, most: int = 30) -> AuditRequest:
    both = (Reading("own", "Set A", own), Reading("other", "Set A", other))
    return ask("c", *both, kind="context", group="commit", max_context_tokens=most)


def naive(pair: tuple[Any, Any], prompt: list[int], text: str) -> float:
    """−log likelihood, token by token, one row at a time."""
    model, tokenizer = pair
    ids, nats = list(prompt), 0.0
    for token in plain_ids(tokenizer, text):
        with torch.no_grad():
            nats -= model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[token].item()
        ids.append(token)
    return nats


def scored(pair: tuple[Any, Any], path: Path, *requests: AuditRequest) -> list[Scored]:
    path.unlink(missing_ok=True)
    return audit(*pair, requests, path)[0]


def test_a_text_is_scored_behind_the_prompt_alone(pair: tuple[Any, Any], tmp_path: Path) -> None:
    tokenizer = pair[1]
    asked = [prompts("Set b to four", "Remove the log"), prompts("Go", "Stop now", "longer" * 4)]
    rows = scored(pair, tmp_path / "a", *asked)
    for row, request in zip(rows, asked, strict=True):
        for reading in request.readings:
            prompt = chat_ids(tokenizer, "", plain_ids(tokenizer, reading.prompt))
            wanted = naive(pair, prompt, request.text)
            assert row.nats[reading.name] == pytest.approx(wanted, abs=1e-3)
        assert row.tokens == len(plain_ids(tokenizer, request.text))
        assert (row.kind, row.group, row.repo_id) == ("prompt", "terse", 1)


def test_files_are_read_as_the_teacher_reads_them_and_matched_in_tokens(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    tokenizer = pair[1]
    (row,) = scored(pair, tmp_path / "a", contexts())
    before, task = (plain_ids(tokenizer, text) for text in (FILES_BEFORE, TASK_BEFORE))
    for name, files in (("own", OWN_FILES), ("other", OTHER_FILES)):
        texts = [f"{file.path}\n{file.text.rstrip()}\n\n" for file in files]
        read = [id for text in texts for id in plain_ids(tokenizer, text)][:30]
        prompt = chat_ids(tokenizer, "", [*before, *read, *task, *plain_ids(tokenizer, "Set A")])
        assert row.nats[name] == pytest.approx(naive(pair, prompt, "-a\n+b = 4"), abs=1e-3)
    counts = {one.read for one in read_rows(AuditAnswer, tmp_path / "a")}
    assert len(counts) == 1


def test_no_reading_gets_more_of_its_files_than_the_shortest_has(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    scored(pair, tmp_path / "a", contexts(own=OWN_FILES[1:], most=500))
    reads = [one.read for one in read_rows(AuditAnswer, tmp_path / "a")]
    assert len(reads) == 2
    assert len(set(reads)) == 1


def test_a_reading_without_files_is_dropped(pair: tuple[Any, Any], tmp_path: Path) -> None:
    rows, dropped = audit(*pair, [contexts(other=())], tmp_path / "a")
    assert (rows, dropped) == ([], {"no_context": 1})


def test_the_same_reading_makes_a_difference_of_exactly_nothing(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    rows = scored(pair, tmp_path / "a", prompts("Set b", "Set b"), prompts("Set b", "Go", "y"))
    (found,) = measures([row for row in rows if row.sha == "x"], seed=0)
    assert (found["D"], found["alike"]) == (0.0, 1)
    assert rows[1].alike == frozenset()


def test_prompts_exchanged_between_commits_turn_the_difference_round(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    texts = {"x": "-limit = 3\n+limit = 5", "y": '+print("done")\n+return None'}
    right = [
        prompts("Raise the limit", "Say when done", "x", text=texts["x"]),
        prompts("Say when done", "Raise the limit", "y", text=texts["y"], repo_id=2),
    ]
    wrong = [
        prompts("Say when done", "Raise the limit", "x", text=texts["x"]),
        prompts("Raise the limit", "Say when done", "y", text=texts["y"], repo_id=2),
    ]
    (one,) = measures(scored(pair, tmp_path / "a", *right), seed=0)
    (two,) = measures(scored(pair, tmp_path / "b", *wrong), seed=0)
    assert one["D"] == pytest.approx(-two["D"], abs=1e-5)
    assert one["D"] != 0
    assert one["nll"]["own"] == pytest.approx(two["nll"]["control"], abs=1e-5)


def test_long_prompts_lose_their_middle_and_long_texts_their_end(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    long = prompts("Start " + "on and " * 60 + "end", "Go", text="x = 1\n" * 50)
    (row,) = scored(pair, tmp_path / "a", long)
    assert row.tokens == 40
    bare = len(chat_ids(pair[1], "", []))
    assert max(one.read for one in read_rows(AuditAnswer, tmp_path / "a")) == bare + 90


def test_the_command_is_taken_up_again_with_the_same_bytes(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "m", "qwen3")
    asked, answers, report = (tmp_path / name for name in ("r.jsonl", "a.jsonl", "e.json"))
    write_rows(asked, [*(prompts(f"Set {n}", "Go" * n, f"x{n}") for n in range(5)), contexts()])
    command = ["--model", str(model), "--requests", str(asked), "--answers", str(answers)]
    command += ["--report", str(report), "--batch-size", "4"]
    items = tmp_path / "e.items.jsonl"
    assert main(command) == 0
    whole, said, rows = answers.read_bytes(), report.read_bytes(), items.read_bytes()
    assert {one["kind"] for one in json.loads(said)["measures"]} == {"prompt", "context"}
    assert len(rows.splitlines()) == 6
    lines = whole.split(b"\n")
    answers.write_bytes(b"\n".join(lines[:5]) + b"\n" + lines[5][:9])
    report.unlink()
    assert main(command) == 0
    assert (answers.read_bytes(), report.read_bytes(), items.read_bytes()) == (whole, said, rows)


def test_a_model_that_is_not_there_ends_with_status_2(tmp_path: Path, capsys: Any) -> None:
    write_rows(tmp_path / "r", [])
    command = ["--requests", str(tmp_path / "r"), "--answers", str(tmp_path / "a")]
    assert main(["--model", "./none", *command, "--report", str(tmp_path / "e")]) == 2
    assert capsys.readouterr().err.startswith("error: no model at")
