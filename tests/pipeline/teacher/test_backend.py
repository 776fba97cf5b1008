"""One contract, three teachers: the model in a child process, llama.cpp's server with the same
weights, and that server behind one that fails in every way. The same answers in the same order."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from awareness_model.schema import DistilRequest, SourceFile
from awareness_pipeline.config import Paths, Settings, Teacher, UserError, demo
from awareness_pipeline.teacher import local
from awareness_pipeline.teacher.backend import Batch, ask, teacher_identity, teacher_shape
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.chat import ChatRequest
from awareness_pipeline.teacher.files import ask_files
from awareness_pipeline.teacher.ledger import account
from tests.pipeline.teacher import llamacpp, scripted
from tests.pipeline.teacher.clock import FakeTime
from tests.pipeline.teacher.scripted import Script, serve

pytestmark = pytest.mark.xdist_group("teacher")

FREE = [
    ChatRequest("be brief", prompt, 400, 16, top_logprobs=3)
    for prompt in (
        "why not",
        "what is it?",
        "x" * 60,
        'say "so" — naïve café',
        "def f():\n\treturn 1",
    )
]
TAGGED = [
    ChatRequest("be brief", prompt, 400, 16, prefix="<a>", stop="L")
    for prompt in ("why not", "a longer question, about nothing")
]
REQUESTS = [*FREE, *TAGGED, FREE[0]]
"""The last one is the first one over again."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One tiny model in both formats."""
    return llamacpp.save_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def llama_url(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp's server, in a process of its own."""
    with llamacpp.serve(pair[1], tmp_path_factory.mktemp("llamacpp")) as url:
        yield url


@pytest.fixture(scope="module")
def answered_locally(
    pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Batch]:
    """The model's answers through a child process."""
    settings = settings_at(tmp_path_factory.mktemp("local"), pair[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        return settings, put(settings)


def settings_at(root: Path, model: Path, url: str = "") -> Settings:
    teacher = Teacher(url=url, model="tiny" if url else "", prefill=True, concurrency=3)
    return replace(demo(), model=str(model), paths=Paths(root=root), teacher=teacher)


def put(settings: Settings, clock: Any = None) -> Batch:
    given = {"clock": clock} if clock else {}
    return ask(settings, "reverse", REQUESTS, settings.paths.root / ".work", label="x", **given)


def same(found: Batch, reference: Batch) -> None:
    """The same answers, up to the last digits of log-probabilities."""
    assert (found.unanswered, found.stopped) == ({}, "")
    for one, other in zip(found.answers, reference.answers, strict=True):
        assert one
        assert other
        assert (one.text, one.finish_reason) == (other.text, other.finish_reason)
        assert one.prompt_tokens == other.prompt_tokens
        assert (one.top_k, len(one.places)) == (other.top_k, len(other.places))
        for place, again in zip(one.places, other.places, strict=True):
            assert place.chosen.id == again.chosen.id
            assert [token.id for token in place.top] == [token.id for token in again.top]
            assert [token.logprob for token in place.top] == pytest.approx(
                [token.logprob for token in again.top], abs=2e-3
            )


def test_the_local_model_answers_as_asked(answered_locally: tuple[Settings, Batch]) -> None:
    _, batch = answered_locally
    answers = [answer for answer in batch.answers if answer]
    assert len(answers) == len(REQUESTS)
    assert answers[0] == answers[-1]
    assert len({answer.text for answer in answers[:5]}) > 2, "one text for all proves nothing"
    for answer in answers[:5]:
        assert answer.finish_reason == "length"
        assert answer.completion_tokens == len(answer.places) == len(answer.text) == 16
        assert all(len(place.top) == answer.top_k == 3 for place in answer.places)
    assert [(answer.text, answer.finish_reason) for answer in answers[5:7]] == [
        ("<a>fL", "stop"),
        ("<a>fffffftftftttttt", "length"),
    ]
    assert answers[5].completion_tokens == 2, "nothing is written behind the stop text"


def test_a_real_server_gives_the_same_answers(
    answered_locally: tuple[Settings, Batch],
    pair: tuple[Path, Path],
    llama_url: str,
    tmp_path: Path,
) -> None:
    settings = settings_at(tmp_path, pair[0], llama_url)
    found = put(settings)
    same(found, answered_locally[1])
    first = found.answers[0]
    assert first
    assert first.places[0].chosen.raw == first.text[:1].encode()
    (row,) = account(ledger_folder(settings))
    assert (row.requests, row.tries, row.model) == (7, 7, "tiny")


def test_through_a_server_that_fails_in_every_way_nothing_is_lost(
    answered_locally: tuple[Settings, Batch],
    pair: tuple[Path, Path],
    llama_url: str,
    tmp_path: Path,
) -> None:
    def passed_on(payload: Mapping[str, Any]) -> Any:
        return httpx.post(f"{llama_url}/chat/completions", json=payload, trust_env=False).json()

    faults = [
        scripted.drop,
        scripted.status(429, retry_after="4"),
        scripted.status(500),
        scripted.cut,
        scripted.says(b'{"choices": [}'),
        scripted.says(b'{"choices": [{}, {}]}'),
        scripted.says(b'{"object": "chat.completion"}'),
        scripted.status(503),
    ]
    with serve(Script(answer=passed_on, faults=list(faults))) as served:
        settings = settings_at(tmp_path, pair[0], served.url)
        found = put(settings, FakeTime().clock)
    same(found, answered_locally[1])
    (row,) = account(ledger_folder(settings))
    assert (row.requests, row.tries) == (7, 7 + len(faults))


def test_a_prompt_over_the_servers_window_is_told(
    pair: tuple[Path, Path], llama_url: str, tmp_path: Path
) -> None:
    settings = settings_at(tmp_path, pair[0], llama_url)
    long = ChatRequest("", "x" * 5_000, 5_000, 4)
    (answer,) = ask(settings, "reverse", [long], tmp_path, label="x").answers
    assert answer
    assert answer.finish_reason == "too_long"
    assert "exceeds the available context size" in answer.detail


def test_answers_over_files_are_the_same_from_a_real_server(
    pair: tuple[Path, Path], llama_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tokens with the same alternatives, although one teacher is asked by text alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    files = (SourceFile("a.py", "A = 1\n"), SourceFile("b.py", "# naïve\nB = 2\n"))
    asks = [
        DistilRequest(name, prompt, files, None, False, 600, 12, 3, student_file=file)
        for name, prompt, file in (("x", "Set A", None), ("y", "Set B in b.py", files[1]))
    ]
    found = {}
    for where, url in (("local", ""), ("server", llama_url)):
        settings = settings_at(tmp_path / where, pair[0], url)
        given = ask_files(settings, "distil", asks, tmp_path / where, label="x", wanted={"x", "y"})
        assert (given.unanswered, given.stopped) == ({}, "")
        found[where] = given.answers
    for name, one in found["local"].items():
        other = found["server"][name]
        assert len(one.response_ids) == len(one.topk_ids) == 12
        assert one.student_prompt_ids == other.student_prompt_ids
        assert (one.response_ids, one.response_text) == (other.response_ids, other.response_text)
        assert (one.topk_ids, one.finish_reason) == (other.topk_ids, other.finish_reason)
        assert one.tokenizer_fingerprint == other.tokenizer_fingerprint
        assert [entry.path for entry in one.manifest] == [entry.path for entry in other.manifest]
        for mine, theirs in zip(one.topk_logprobs, other.topk_logprobs, strict=True):
            assert mine == pytest.approx(theirs, abs=2e-3)
        assert one.tail_mass == pytest.approx(other.tail_mass, abs=2e-3)
        assert one.teacher_tokens == other.teacher_tokens


def test_a_cached_rerun_starts_no_model_and_asks_no_server(
    answered_locally: tuple[Settings, Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, batch = answered_locally
    monkeypatch.setattr(local, "run_model", lambda *_: pytest.fail("started a process"))
    assert put(settings) == batch
    (row,) = account(ledger_folder(settings))
    assert (row.requests, row.cached) == (7, 7)
    assert row.prompt_tokens == sum(answer.prompt_tokens for answer in batch.answers[:7] if answer)


def test_answers_can_be_carried_to_another_machine(
    answered_locally: tuple[Settings, Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model lies elsewhere there; its digest is the same."""
    settings, batch = answered_locally
    model = tmp_path / "elsewhere"
    model.mkdir()
    for path in Path(settings.model).iterdir():
        (model / path.name).hardlink_to(path)
    (settings.paths.root / "teacher").rename(tmp_path / "teacher")
    monkeypatch.setattr(local, "run_model", lambda *_: pytest.fail("started a process"))
    there = replace(settings, model=str(model), paths=Paths(root=tmp_path))
    assert put(there) == batch
    (tmp_path / "teacher").rename(settings.paths.root / "teacher")


def test_a_teacher_is_its_name_and_revision_wherever_it_is(tmp_path: Path) -> None:
    one = settings_at(tmp_path, tmp_path, "http://one/v1")
    other = settings_at(tmp_path, tmp_path, "http://other/v1")
    assert teacher_identity(one) == teacher_identity(other) == "tiny"
    revised = replace(one, teacher=replace(one.teacher, revision="2026-11"))
    assert teacher_identity(revised) == "tiny@2026-11"
    assert teacher_shape(one) == teacher_shape(other)
    warmer = replace(one, teacher=replace(one.teacher, parameters='{"temperature": 1}'))
    assert len({str(teacher_shape(found)) for found in (one, revised, warmer)}) == 3


def test_a_model_that_is_not_there_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model at"):
        put(settings_at(tmp_path, tmp_path / "none"))


def test_an_endpoint_without_a_models_name_is_the_users_error(tmp_path: Path) -> None:
    settings = settings_at(tmp_path, tmp_path, "http://127.0.0.1:9/v1")
    nameless = replace(settings, teacher=replace(settings.teacher, model=""))
    with pytest.raises(UserError, match="set AWARENESS_TEACHER_MODEL"):
        put(nameless)


def test_nothing_wanted_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "run_model", lambda *_: pytest.fail("started a process"))
    for url in ("", "http://127.0.0.1:9/v1"):
        settings = replace(settings_at(tmp_path, tmp_path, url), model="some/model")
        batch = ask(settings, "reverse", REQUESTS, tmp_path, label="x", wanted=[])
        assert batch == Batch((None,) * len(REQUESTS))
