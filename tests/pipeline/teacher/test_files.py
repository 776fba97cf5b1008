"""Questions with files, put to an endpoint: what fits its window, what comes back, and what of it
can be trained on as a distribution."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_model import align
from awareness_model.base import plain_ids, tokenizer_fingerprint
from awareness_model.schema import DistilAnswer, DistilRequest, SourceFile
from awareness_model.student import student_ids
from awareness_model.tiny import save_tiny, tiny
from awareness_pipeline.config import Paths, Settings, Teacher, demo
from awareness_pipeline.teacher import aligned
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.files import ask_files
from awareness_pipeline.teacher.ledger import account
from awareness_pipeline.teacher.local import Given
from awareness_pipeline.teacher.window import CONTINUE, packed
from tests.pipeline.teacher import scripted
from tests.pipeline.teacher.clock import FakeTime
from tests.pipeline.teacher.scripted import Script, completion, serve, turn
from tests.pipeline.teacher.vllm import LIKELY, SECOND, vllm

FILES = (SourceFile("a.py", "A = 1\n"), SourceFile("b.py", "B = 2\n" * 90), SourceFile("c.py", "C"))
IDS = '{"return_tokens_as_token_ids": true}'
LONG = {"error": {"message": "This model's maximum context length is 5 tokens"}}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny("llama")[1]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("student"), "llama")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The aligning process's own entry point, without the seconds that a process takes."""

    def run(entry: str, args: list[str], label: str, log: Path) -> None:
        assert (entry, align.main(args)) == ("align", 0)

    monkeypatch.setattr(aligned, "run_model", run)


def ask(name: str, **changes: Any) -> DistilRequest:
    found = {"prompt": "Set A", "files": FILES, "response": None, "raw": False}
    limits = {"max_context_tokens": 300, "max_new_tokens": 6, "top_k": 4}
    return DistilRequest(**{"id": name, **found, **limits, **changes})


@pytest.fixture
def settings(tmp_path: Path, student: Path) -> Settings:
    teacher = Teacher(model="big", concurrency=2, parameters=IDS, prompt_logprobs=2)
    return replace(demo(), model=str(student), paths=Paths(root=tmp_path), teacher=teacher)


def given(
    settings: Settings, script: Script, *requests: DistilRequest, **means: Any
) -> "Given[DistilAnswer]":
    """What an endpoint that follows a script gives."""
    scratch = settings.paths.root / ".work"
    scratch.mkdir(parents=True, exist_ok=True)
    wanted = {one.id for one in requests}
    with serve(script) as served:
        at = replace(settings, teacher=replace(settings.teacher, url=served.url))
        return ask_files(at, "distil", requests, scratch, label="x", wanted=wanted, **means)


def test_an_own_answer_is_stored_in_the_students_tokens(settings: Settings, tokenizer: Any) -> None:
    file = SourceFile("a.py", "A = 1\n")
    script = Script(answer=vllm(tokenizer))
    row = given(settings, script, ask("x", student_file=file)).answers["x"]
    ids = plain_ids(tokenizer, "do it")
    assert (row.response_text, list(row.response_ids), row.finish_reason) == ("do it", ids, "stop")
    assert row.topk_ids == tuple((id, plain_ids(tokenizer, "Q")[0]) for id in ids)
    assert row.topk_logprobs == ((round(LIKELY, 6), round(SECOND, 6)),) * len(ids)
    assert row.tail_mass == (0.25,) * len(ids)
    assert list(row.student_prompt_ids) == student_ids(tokenizer, "Set A", file, raw=False)
    assert [entry.path for entry in row.manifest] == ["a.py", "c.py"]
    assert row.teacher_tokens == 9 + len(ids) + 1
    assert row.tokenizer_fingerprint == tokenizer_fingerprint(tokenizer)
    (payload,) = script.seen
    assert turn(payload) == (
        "These files are in the repository:\n\na.py\nA = 1\n\nc.py\nC\n\nThe task:\nSet A"
    )
    assert (payload["top_logprobs"], payload["max_tokens"]) == (4, 6)


def test_the_teacher_is_forced_along_a_true_diff(settings: Settings, tokenizer: Any) -> None:
    script = Script(answer=vllm(tokenizer))
    row = given(settings, script, ask("x", response="\nA = 2 # naïve\n")).answers["x"]
    assert (row.finish_reason, row.response_text) == ("forced", "A = 2 # naïve")
    assert list(row.response_ids) == plain_ids(tokenizer, "A = 2 # naïve")
    assert {len(ids) for ids in row.topk_ids} == {2}
    (payload,) = script.seen
    assert payload["messages"][-1] == {"role": "assistant", "content": "A = 2 # naïve"}
    assert (payload["prompt_logprobs"], payload["continue_final_message"]) == (2, True)


def test_a_span_stands_behind_the_code_that_it_goes_on_from(
    settings: Settings, tokenizer: Any
) -> None:
    script = Script(answer=vllm(tokenizer))
    asked = ask("x", prompt="assert A == ", response="1", raw=True, files=FILES[:1])
    row = given(settings, script, asked).answers["x"]
    assert list(row.response_ids) == plain_ids(tokenizer, "1")
    assert len(row.topk_ids) == 1
    assert list(row.student_prompt_ids) == plain_ids(tokenizer, "assert A == ")
    user, assistant = script.seen[0]["messages"]
    assert user["content"].endswith(f"a.py\nA = 1\n\n{CONTINUE}")
    assert assistant["content"] == "assert A == 1"


def test_where_prompts_are_not_scored_spans_are_text_and_nobody_is_asked(
    settings: Settings, tokenizer: Any
) -> None:
    settings = replace(settings, teacher=replace(settings.teacher, prompt_logprobs=0))
    script = Script(answer=vllm(tokenizer))
    row = given(settings, script, ask("x", response="1", raw=True)).answers["x"]
    assert (row.finish_reason, row.topk_ids) == ("given", ())
    assert list(row.response_ids) == plain_ids(tokenizer, "1")
    assert script.seen == []


@pytest.mark.parametrize("response", [None, "A = 2"], ids=["own", "forced"])
@pytest.mark.parametrize("shift", [0, 1], ids=["no tokens", "another vocabulary"])
def test_what_is_not_provably_the_students_is_text_alone(
    settings: Settings, tokenizer: Any, response: str | None, shift: int
) -> None:
    if not shift:
        settings = replace(settings, teacher=replace(settings.teacher, top_logprobs=0))
    script = Script(answer=vllm(tokenizer, shift=shift, scores=bool(shift)))
    row = given(settings, script, ask("x", response=response)).answers["x"]
    assert (row.topk_ids, row.topk_logprobs, row.tail_mass) == ((), (), ())
    assert row.response_text == (response or "do it")
    assert list(row.response_ids) == plain_ids(tokenizer, row.response_text)
    assert row.tokenizer_fingerprint == tokenizer_fingerprint(tokenizer)


def test_an_endpoint_that_tells_bytes_is_believed_where_they_are_tokens(
    settings: Settings, tokenizer: Any
) -> None:
    """A half of a character is no text, so this endpoint's tokens of it are not told whole."""
    settings = replace(settings, teacher=replace(settings.teacher, parameters=""))
    plain = given(settings, Script(answer=vllm(tokenizer)), ask("x")).answers["x"]
    assert len(plain.topk_ids) == len("do it")
    script = Script(answer=vllm(tokenizer, lambda _: "naïve"))
    joined = given(settings, script, ask("y", prompt="Set B")).answers["y"]
    assert (joined.topk_ids, joined.response_text) == ((), "naïve")


def test_a_context_over_the_window_is_asked_once_more_with_half(
    settings: Settings, tokenizer: Any
) -> None:
    """The third file is there only in the longer prompt."""
    files = (*FILES, SourceFile("d.py", "D = 4\n" * 20))

    script = Script(answer=vllm(tokenizer), faults=[scripted.status(400, LONG)])
    row = given(settings, script, ask("x", files=files)).answers["x"]
    assert row.response_text == "do it"
    assert len(script.seen) == 2
    assert [entry.path for entry in row.manifest] == ["a.py", "c.py"]
    assert "d.py" in turn(script.seen[0])
    assert "d.py" not in turn(script.seen[1])


def test_a_context_that_is_still_too_long_is_refused_with_its_reason(
    settings: Settings, tokenizer: Any
) -> None:
    script = Script(answer=vllm(tokenizer), faults=[scripted.status(400, LONG)] * 2)
    alone = given(settings, script, ask("x")).answers["x"]
    assert (alone.finish_reason, alone.response_ids, len(script.seen)) == ("too_long", (), 2)


def test_without_a_file_that_fits_nobody_is_asked(settings: Settings, tokenizer: Any) -> None:
    script = Script(answer=vllm(tokenizer))
    rows = given(settings, script, ask("x", files=FILES[1:2]), ask("y", files=()))
    assert {row.finish_reason for row in rows.answers.values()} == {"no_context"}
    assert script.seen == []


def test_refusals_and_empty_answers_keep_their_reason(settings: Settings, tokenizer: Any) -> None:
    def answer(payload: Mapping[str, Any]) -> Any:
        said = turn(payload)
        if said.endswith("one"):
            return completion(None, "content_filter")
        if said.endswith("two"):
            return completion("", "stop")
        return vllm(tokenizer)(payload)

    asks = [ask(name, prompt=name) for name in ("one", "two", "three")]
    rows = given(settings, Script(answer=answer), *asks).answers
    assert {name: row.finish_reason for name, row in rows.items()} == {
        "one": "content_filter",
        "two": "stop",
        "three": "stop",
    }
    assert (rows["one"].response_ids, rows["two"].response_ids) == ((), ())


def test_an_endpoint_that_dies_in_the_middle_loses_nothing(
    settings: Settings, tokenizer: Any
) -> None:
    asks = [ask(str(number), prompt=f"Set {number}") for number in range(12)]
    dying = [scripted.status(500)] * 200

    def answer(payload: Mapping[str, Any]) -> Any:
        if turn(payload)[-1] == "2":
            script.faults += dying
        return vllm(tokenizer)(payload)

    script = Script(answer=answer)
    first = given(settings, script, *asks, clock=FakeTime().clock)
    assert first.down
    assert "does not answer" in first.stopped
    assert 0 < len(first.answers) < 12
    assert len(first.answers) + len(first.unanswered) == 12
    well = Script(answer=vllm(tokenizer))
    second = given(settings, well, *asks)
    assert (len(second.answers), second.unanswered, second.down) == (12, {}, False)
    assert len(well.seen) == 12 - len(first.answers)
    assert first.answers.items() <= second.answers.items()


def test_a_rerun_asks_nothing_and_gives_the_same_rows(settings: Settings, tokenizer: Any) -> None:
    asks = [ask("x"), ask("y", response="A = 2"), ask("z", response="1", raw=True)]
    first = given(settings, Script(answer=vllm(tokenizer)), *asks)
    again = Script(answer=vllm(tokenizer))
    assert given(settings, again, *asks) == first
    assert again.seen == []
    (row,) = account(ledger_folder(settings))
    assert (row.stage, row.requests, row.cached) == ("distil", 3, 3)


def test_what_was_aligned_before_a_kill_is_not_mixed_with_other_answers(
    settings: Settings, tokenizer: Any
) -> None:
    """The cache is gone, the work in hand is not, and the endpoint answers otherwise now."""
    first = given(settings, Script(answer=vllm(tokenizer)), ask("x")).answers["x"]
    (settings.paths.root / "teacher").rename(settings.paths.root / "gone")
    script = Script(answer=vllm(tokenizer, lambda _: "do not"))
    second = given(settings, script, ask("x")).answers["x"]
    assert (first.response_text, second.response_text) == ("do it", "do not")


def test_a_budget_leaves_the_rest_pending(settings: Settings, tokenizer: Any) -> None:
    poor = replace(settings, teacher=replace(settings.teacher, max_tokens=150, concurrency=1))
    asks = [ask(str(number), prompt=f"Set {number}") for number in range(9)]
    found = given(poor, Script(answer=vllm(tokenizer)), *asks)
    assert 0 < len(found.answers) < 9
    assert set(found.unanswered.values()) == {"pending"}
    assert not found.down


def test_the_window_is_kept_by_an_estimate_that_is_rather_too_high(tokenizer: Any) -> None:
    code = "".join(f"def f_{number}(x):\n    return x + {number}\n" for number in range(9))
    files = tuple(SourceFile(f"m{number}.py", code) for number in range(20))
    for limit in (200, 800, 3_000):
        found = packed(ask("x", files=files), limit)
        if found:
            assert sum(entry.tokens for entry in found.manifest) < limit
            assert len(found.chat.prompt) / limit < 4
    assert packed(ask("x", files=files), 40) is None
