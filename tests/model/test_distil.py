"""The teacher sees files, the student does not; what is stored is what the teacher thought."""

from pathlib import Path
from typing import Any

import pytest
import torch

from awareness_model.base import chat_ids, plain_ids, tokenizer_fingerprint
from awareness_model.distil import distil, main, pack
from awareness_model.schema import (
    DistilAnswer,
    DistilRequest,
    ManifestEntry,
    SourceFile,
    read_rows,
    write_rows,
)
from awareness_model.tiny import save_tiny, tiny

FILES = (SourceFile("a.py", "A = 1\n"), SourceFile("b.py", "B = 2\n" * 90), SourceFile("c.py", "C"))


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return tiny(request.param)


def ask(name: str, **changes: Any) -> DistilRequest:
    found = {"prompt": "Set A", "files": FILES, "response": None, "raw": False}
    limits = {"max_context_tokens": 300, "max_new_tokens": 6, "top_k": 3}
    return DistilRequest(**{"id": name, **found, **limits, **changes})


def answers(pair: tuple[Any, Any], path: Path, *requests: DistilRequest) -> dict[str, DistilAnswer]:
    path.unlink(missing_ok=True)
    distil(*pair, requests, path)
    return {row.id: row for row in read_rows(DistilAnswer, path)}


def test_files_are_packed_whole_and_in_order() -> None:
    files = [("a", [1, 1]), ("big", [2] * 9), ("c", [3, 3]), ("d", [4, 4])]
    ids, manifest = pack(files, 5)
    assert ids == [1, 1, 3, 3]
    assert manifest == (ManifestEntry("a", 2), ManifestEntry("c", 2))


def test_the_window_holds_and_the_manifest_tells(pair: tuple[Any, Any], tmp_path: Path) -> None:
    row = answers(pair, tmp_path / "a", ask("x"))["x"]
    assert [entry.path for entry in row.manifest] == ["a.py", "c.py"]
    assert row.teacher_tokens - len(row.response_ids) <= 300
    assert row.tokenizer_fingerprint == tokenizer_fingerprint(pair[1])
    wide = answers(pair, tmp_path / "b", ask("x", max_context_tokens=2000))["x"]
    assert [entry.path for entry in wide.manifest] == ["a.py", "b.py", "c.py"]


def test_the_student_sees_the_task_alone(pair: tuple[Any, Any], tmp_path: Path) -> None:
    tokenizer = pair[1]
    found = answers(pair, tmp_path / "a", ask("chat"), ask("raw", raw=True, response="1"))
    bare = plain_ids(tokenizer, "Set A")
    assert list(found["chat"].student_prompt_ids) == chat_ids(tokenizer, "", bare)
    assert list(found["raw"].student_prompt_ids) == bare


def test_the_file_that_the_task_names_is_the_students_alone(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    """It changes nothing for the teacher, who has the files that it is offered."""
    file = SourceFile("b.py", "B = 2\n")
    found = answers(pair, tmp_path / "a", ask("bare"), ask("named", student_file=file))
    bare, named = found["bare"], found["named"]
    assert (bare.response_ids, bare.topk_ids) == (named.response_ids, named.topk_ids)
    assert bare.teacher_tokens == named.teacher_tokens
    said = pair[1].decode(named.student_prompt_ids)
    assert said == pair[1].decode(bare.student_prompt_ids).replace(
        "Set A", "b.py\nB = 2\n\nThe task:\nSet A"
    )


def test_what_the_teacher_reads_changes_what_it_thinks(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    one = ask("one", files=FILES[:1], response="yes", raw=True)
    other = ask("other", files=FILES[2:], response="yes", raw=True)
    found = answers(pair, tmp_path / "a", one, other)
    assert found["one"].topk_logprobs != found["other"].topk_logprobs


def test_a_given_response_is_scored_at_its_own_places(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    model, tokenizer = pair
    row = answers(pair, tmp_path / "a", ask("x", files=FILES[:1], response="4 2", raw=True))["x"]
    assert (row.finish_reason, row.response_text) == ("forced", "4 2")
    response = plain_ids(tokenizer, "4 2")
    assert list(row.response_ids) == response
    teacher = [*plain_ids(tokenizer, "a.py\nA = 1\n\n"), *plain_ids(tokenizer, "Set A")]
    logprobs = model(torch.tensor([[*teacher, *response]])).logits[0].log_softmax(-1)
    for place, (ids, values) in enumerate(zip(row.topk_ids, row.topk_logprobs, strict=True)):
        best = logprobs[len(teacher) + place - 1].topk(3)
        assert list(ids) == best.indices.tolist()
        assert values == pytest.approx(best.values.tolist(), abs=1e-4)


def test_an_answer_of_its_own_is_greedy_and_limited(pair: tuple[Any, Any], tmp_path: Path) -> None:
    row = answers(pair, tmp_path / "a", ask("x"))["x"]
    assert row.finish_reason == "length"
    assert [ids[0] for ids in row.topk_ids] == list(row.response_ids)
    assert len(row.response_ids) == len(row.tail_mass) == 6
    assert pair[1].decode(row.response_ids) == row.response_text


@pytest.mark.parametrize(
    "changes",
    [{"files": ()}, {"files": FILES[1:2]}, {"prompt": "x" * 400}, {"response": "1", "files": ()}],
    ids=["no file", "too large a file", "too long a prompt", "forced"],
)
def test_a_teacher_that_sees_no_file_is_not_asked(
    pair: tuple[Any, Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    row = answers(pair, tmp_path / "a", ask("x", **changes), ask("y"))["x"]
    assert (row.finish_reason, row.response_ids, row.topk_ids) == ("no_context", (), ())
    assert row.manifest == ()


def test_one_file_of_requests_has_one_top_k(pair: tuple[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same top_k"):
        answers(pair, tmp_path / "a", ask("x"), ask("y", top_k=2))


def test_a_batch_does_not_change_an_answer(pair: tuple[Any, Any], tmp_path: Path) -> None:
    requests = [ask(f"x{number}", prompt="Set " + "A" * number) for number in range(3)]
    requests += [
        ask(f"y{number}", response="4" * number, raw=True, files=FILES[:1]) for number in (1, 5)
    ]
    together = answers(pair, tmp_path / "a", *requests)
    for request in requests:
        alone = answers(pair, tmp_path / "b", request)[request.id]
        assert alone.response_ids == together[request.id].response_ids
        assert alone.topk_ids == together[request.id].topk_ids
        assert alone.tail_mass == pytest.approx(together[request.id].tail_mass, abs=1e-4)


def test_the_command_is_taken_up_again_with_the_same_bytes(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "m", "qwen3")
    asked, path = tmp_path / "r.jsonl", tmp_path / "a.jsonl"
    write_rows(asked, [ask("a"), ask("b", prompt="Set B"), ask("c", response="1", raw=True)])
    command = ["--model", str(model), "--requests", str(asked), "--answers", str(path)]
    assert main(command) == 0
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 40])
    assert main(command) == 0
    assert path.read_bytes() == whole


def test_a_model_that_is_not_there_ends_with_status_2(tmp_path: Path, capsys: Any) -> None:
    asked = tmp_path / "r.jsonl"
    write_rows(asked, [])
    command = ["--requests", str(asked), "--answers", str(tmp_path / "a")]
    assert main(["--model", "./none", *command]) == 2
    assert capsys.readouterr().err.startswith("error: no model at")
