"""reverse: every chosen commit has its tasks or the reasons why not; nothing is asked twice."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_model.schema import read_rows
from awareness_model.tiny import save_tiny
from awareness_pipeline.artifacts import Record, place, read_record, unit_records
from awareness_pipeline.config import Curate, Reverse, Settings, Teacher, UserError
from awareness_pipeline.records import TaskPrompt, split_of
from awareness_pipeline.stages import reverse
from awareness_pipeline.teacher import tasks
from awareness_pipeline.teacher.backend import Batch
from awareness_pipeline.teacher.chat import ChatAnswer, ChatRequest
from awareness_pipeline.teacher.funnel import STEPS
from awareness_pipeline.units import forget
from tests.pipeline.gitrepo import EXECUTABLE, Entry, Snap
from tests.pipeline.stages.asking import (
    ALL_TRAIN,
    HISTORY,
    Asked,
    good_task,
    history_of,
    own_task,
    prepared,
    style_of,
    task,
)
from tests.pipeline.stages.shelf import put_clone, settings_at
from tests.pipeline.teacher.scripted import Script, completion, serve

MODEL = "some/model"
STYLES = ("issue", "imperative", "terse", "message")
SMALL = Reverse(max_commits=6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(settings_at(tmp_path), model=MODEL, curate=ALL_TRAIN, reverse=SMALL)


def cloned(settings: Settings, *repo_ids: int) -> None:
    """The same history under each id, told apart by a line of its own."""
    for repo_id in repo_ids:
        put_clone(settings, repo_id, history_of(repo_id))
    prepared(settings)


def run(settings: Settings, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setattr(reverse, "ask", asked.chat)
    return reverse.run(settings, "000")


def folder(settings: Settings) -> Path:
    return place(settings, reverse.ARTIFACT, "000", {}).folder


def rows(settings: Settings, repo_id: int, style: str = "") -> list[TaskPrompt]:
    found = read_rows(TaskPrompt, folder(settings) / f"{repo_id}.jsonl")
    return [row for row in found if style in ("", row.style)]


def files(settings: Settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder(settings).glob("*.jsonl"))}


def unit(settings: Settings, repo_id: int) -> Record:
    found = unit_records(place(settings, reverse.ARTIFACT, "000", {}))
    return next(one for one in found if one.key == str(repo_id))


def about(asked: Asked, words: str, style: str) -> ChatRequest:
    return next(one for one in asked.wanted if words in one.prompt and style_of(one) == style)


def adds_up(record: Record) -> bool:
    counts = record.counts
    return counts.rows_in == counts.rows_out + sum(counts.dropped.values())


def test_each_commit_has_a_row_in_every_style_and_its_message(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4)

    def answer(one: ChatRequest) -> ChatAnswer:
        empty = "Round the total" in one.prompt and style_of(one) == "terse"
        return task("")(one) if empty else own_task(one)

    record = run(settings, Asked(answer), monkeypatch)
    found = rows(settings, 4)
    assert [row.style for row in found] == [*STYLES] * 3
    assert [row.sha for row in found] == [row.sha for row in found[::4] for _ in STYLES]
    assert {row.prompt for row in found if row.style == "message"} == {
        "Round the total",
        "Double the base rate",
        "Explain the use",
    }
    assert [row.reject_reason for row in found if not row.accepted] == ["empty"]
    written = next(row for row in found if row.style == "imperative")
    assert (written.finish_reason, written.prompt_tokens, written.completion_tokens) == (
        "stop",
        10,
        5,
    )
    assert (written.model, written.judge) == (MODEL, None)
    assert record.counts.rows_in == 3 * 4
    assert record.counts.rows_out == 11
    assert record.counts.dropped == {"empty": 1}


def test_a_unit_tells_what_was_accepted_and_where_the_others_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4)

    def said(one: ChatRequest) -> ChatAnswer:
        by_style = {
            "issue": task("Change the total", "length")(one),
            "imperative": good_task(one),
            "terse": ChatAnswer("", "refused", 0, 0),
        }
        return by_style[style_of(one)]

    run(settings, Asked(said), monkeypatch)
    extra = unit(settings, 4).extra
    assert extra["by_style"] == {"imperative": 1, "message": 3}
    assert (extra["accepted"], extra["split"]) == (4, "train")
    left = {style: [steps[step] for step in STEPS] for style, steps in extra["funnel"].items()}
    assert set(left) == set(STYLES)
    assert left["issue"] == [3, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    assert left["imperative"] == [3, 3, 3, 3, 3, 3, 3, 3, 1, 1]
    assert left["terse"] == [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert left["message"] == [3] * 10
    reasons = Counter(row.reject_reason for row in rows(settings, 4))
    assert reasons == {"": 4, "length": 3, "duplicate": 2, "refused": 3}
    assert adds_up(unit(settings, 4))


def test_the_question_shows_message_files_signature_and_change_but_no_leak(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4)
    asked = Asked(good_task)
    run(settings, asked, monkeypatch)
    one = about(asked, "Round the total", "imperative")
    assert '"Round the total"' in one.prompt
    assert "#12" not in one.prompt
    assert "app/bill.py" in one.prompt
    assert "\n@@ def total()" in one.prompt
    assert "+    return round(BASE_RATE)" in one.prompt
    assert one.prefix.endswith("<task>")
    assert {one.stop for one in asked.wanted} == {"</task>"}
    assert about(asked, "Round the total", "issue").prefix.endswith("<task>bill.py")
    limits = {style_of(one): one.max_new_tokens for one in asked.wanted}
    assert limits == {"issue": 256, "imperative": 64, "terse": 32}


def test_signatures_need_the_objects_and_nothing_else_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit whose tree is gone is asked about, and then nothing is known of its tree."""
    cloned(settings, 4)
    first = Asked(own_task)
    run(settings, first, monkeypatch)
    clone = place(settings, "clones", "000", {}).folder / "4.git"
    whole = {row.sha: row.accepted for row in rows(settings, 4, "message")}
    asked = Asked(own_task)
    forget(place(settings, reverse.ARTIFACT, "000", {}))
    shutil.rmtree(clone / "objects")
    (clone / "objects").mkdir()
    record = run(settings, asked, monkeypatch)
    assert "\n@@ def" in about(first, "Round the total", "terse").prompt
    assert not [one for one in asked.wanted if "\n@@ " in one.prompt]
    assert len(rows(settings, 4)) == 12
    assert {row.sha for row in rows(settings, 4)} == set(whole)
    assert adds_up(record)


def test_a_clone_that_is_gone_is_a_failure_that_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4, 6)
    clone = place(settings, "clones", "000", {}).folder / "4.git"
    clone.rename(clone.with_name("away"))
    record = run(settings, Asked(own_task), monkeypatch)
    assert record.counts.dropped["failed: not_a_repository"] == 1
    assert len(rows(settings, 6)) == 4
    assert adds_up(record)
    clone.with_name("away").rename(clone)
    assert len(rows(settings, 6)) == 4
    assert (
        "failed: not_a_repository" not in run(settings, Asked(own_task), monkeypatch).counts.dropped
    )
    assert len(rows(settings, 4)) == 8


def test_commits_of_source_code_come_first_and_the_cap_holds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six over two shards are three for this one: a pair for the first repository, one for the
    second."""
    cloned(settings, 4, 6)
    asked = Asked(good_task)
    record = run(settings, asked, monkeypatch)
    assert len(asked.wanted) == 3 * 3
    assert not [one for one in asked.wanted if "Explain the use" in one.prompt]
    assert (len(rows(settings, 4)), len(rows(settings, 6))) == (8, 4)
    assert record.counts.dropped["over_cap"] == 3 * 4
    assert adds_up(record)


def test_held_out_repositories_are_never_asked_about(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, curate=Curate(held_out_fraction=0.5))
    held = next(number for number in range(0, 99, 2) if split_of(number, 0.5) == "held_out")
    train = next(number for number in range(0, 99, 2) if split_of(number, 0.5) == "train")
    cloned(settings, held, train)
    asked = Asked(good_task)
    record = run(settings, asked, monkeypatch)
    assert rows(settings, held) == []
    assert {row.repo_id for row in rows(settings, train)} == {train}
    assert record.counts.dropped["held_out"] == 3 * 4
    assert unit(settings, held).extra["by_style"] == {}
    assert adds_up(record)


def test_a_change_without_lines_is_never_asked_about(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = HISTORY[0].changes[b"app/bill.py"]
    assert isinstance(bill, bytes)
    runs = Snap(b"Let the bill be run\n", {b"app/bill.py": Entry(bill, EXECUTABLE)})
    put_clone(settings, 4, [HISTORY[0], runs])
    prepared(settings)
    asked = Asked(good_task)
    record = run(settings, asked, monkeypatch)
    assert asked.wanted == []
    assert {row.reject_reason for row in rows(settings, 4)} == {"empty_diff"}
    assert record.counts.dropped == {"empty_diff": 4}
    assert unit(settings, 4).extra["funnel"]["message"]["answered"] == 0


def test_a_second_run_asks_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    cloned(settings, 4, 6)
    first = run(settings, Asked(good_task), monkeypatch)
    asked = Asked(good_task)
    again = run(settings, asked, monkeypatch)
    assert asked.times == 0
    assert (again.digest, again.fresh) == (first.digest, 0)


def test_one_repository_redone_forms_the_batches_of_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4, 6)
    first = Asked(good_task)
    record = run(settings, first, monkeypatch)
    before = files(settings)
    (folder(settings) / "6.record.json").unlink()
    second = Asked(good_task)
    again = run(settings, second, monkeypatch)
    assert second.offered == first.offered
    assert 0 < len(second.wanted) < len(first.wanted)
    assert files(settings) == before
    assert again.digest == record.digest


def test_a_repository_with_an_open_answer_is_pending_and_the_others_are_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4, 6)
    whole = run(settings, Asked(good_task), monkeypatch).digest
    forget(place(settings, reverse.ARTIFACT, "000", {}))
    open_ones = Asked(
        lambda one: None if "Double" in one.prompt and style_of(one) == "terse" else good_task(one)
    )
    first = run(settings, open_ones, monkeypatch)
    done = [number for number in (4, 6) if (folder(settings) / f"{number}.record.json").exists()]
    assert len(done) < 2
    assert first.fresh == len(done)
    assert first.counts.dropped["pending"] == 2 - len(done)
    assert adds_up(first)
    again = Asked(good_task)
    assert run(settings, again, monkeypatch).digest == whole
    assert again.times == 1
    assert run(settings, again, monkeypatch).fresh == 0


def test_an_endpoint_that_is_gone_is_told_once_all_that_came_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4, 6)
    kept = Asked(lambda one: None if "Double" in one.prompt else good_task(one))

    def gone(*given: Any, **more: Any) -> Batch:
        return replace(kept.chat(*given, **more), stopped="run it again", down=True)

    monkeypatch.setattr(reverse, "ask", gone)
    with pytest.raises(UserError, match="run it again"):
        reverse.run(settings, "000")
    record = read_record(folder(settings) / "record.json")
    assert record
    assert record.counts.dropped["pending"] > 0
    assert run(settings, Asked(good_task), monkeypatch).counts.dropped.get("pending") is None


def test_an_endpoint_writes_the_tasks_and_is_paid_once(settings: Settings) -> None:
    """Over real HTTP; work redone needs no endpoint, and another revision is another writer."""
    cloned(settings, 4, 6)
    said = "Sure. <task>Change the total or the rate, or explain their use in docs</task>"
    script = Script(answer=lambda payload: completion(said, prompt_tokens=80, completion_tokens=9))
    with serve(script) as served:
        teacher = Teacher(url=served.url, model="big", revision="1")
        settings = replace(settings, teacher=teacher)
        first = reverse.run(settings, "000")
    assert len(script.seen) == 2 * 3, "the same change in two repositories is one question"
    assert {row.model for row in rows(settings, 4) if row.style == "imperative"} == {"big@1"}
    accepted = [row for row in rows(settings, 4, "imperative") if row.accepted]
    assert [row.prompt_tokens for row in accepted] == [80]
    forget(place(settings, reverse.ARTIFACT, "000", {}))
    assert reverse.run(settings, "000").digest == first.digest
    with pytest.raises(UserError, match="model was 'big@1', now 'big@2'"):
        reverse.run(replace(settings, teacher=replace(teacher, revision="2")), "000")


@pytest.mark.parametrize("reason", ["too_long", "content_filter", "refused"])
def test_what_the_teacher_will_not_answer_is_rejected_with_its_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    cloned(settings, 4)
    record = run(settings, Asked(lambda one: ChatAnswer("", reason, 0, 0)), monkeypatch)
    assert record.counts.dropped == {reason: 9}
    assert [row.accepted for row in rows(settings, 4, "message")] == [True] * 3
    assert unit(settings, 4).extra["funnel"]["issue"]["answered"] == 0


def test_a_repository_in_which_nothing_is_kept_is_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_clone(settings, 4, [Snap(b"Only a root\n", {b"a.py": b"1\n"})])
    prepared(settings)
    record = run(settings, Asked(good_task), monkeypatch)
    assert (record.counts.rows_in, record.counts.rows_out) == (0, 0)
    assert run(settings, Asked(good_task), monkeypatch).fresh == 0


@pytest.mark.parametrize("changed", ["model", "settings", "styles", "template"])
def test_another_writer_under_the_same_version_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    cloned(settings, 4)
    run(settings, Asked(good_task), monkeypatch)
    if changed == "model":
        settings = replace(settings, model="other/model")
    elif changed == "settings":
        settings = replace(settings, reverse=replace(SMALL, max_new_tokens=9))
    elif changed == "styles":
        settings = replace(settings, reverse=replace(SMALL, styles=("terse",)))
    else:
        other = replace(tasks.load_template("reverse_terse"), fingerprint="other")
        monkeypatch.setattr(tasks, "load_template", lambda name: other)
    with pytest.raises(UserError, match="other settings"):
        run(settings, Asked(good_task), monkeypatch)


@pytest.mark.parametrize("styles", [("terse",), ("terse", "issue"), ()])
def test_only_the_styles_wanted_are_asked_for_in_their_order(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, styles: tuple[str, ...]
) -> None:
    cloned(settings, 4)
    settings = replace(settings, reverse=replace(SMALL, styles=styles))
    asked = Asked(own_task)
    record = run(settings, asked, monkeypatch)
    assert [row.style for row in rows(settings, 4)] == [*styles, "message"] * 3
    assert [style_of(one) for one in asked.wanted] == list(styles) * 3
    assert record.counts.rows_in == 3 * (len(styles) + 1)


@pytest.mark.parametrize(("styles", "said"), [(("epic",), "epic"), (("terse",) * 2, "once")])
def test_styles_that_cannot_be_are_refused(
    settings: Settings, styles: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        reverse.run(replace(settings, reverse=replace(SMALL, styles=styles)), "000")


def rated(score: str, finish: str = "stop") -> Any:
    """Answer questions with tasks, and the judge's with a score."""

    def answer(one: ChatRequest) -> ChatAnswer:
        if style_of(one) != "judge":
            return own_task(one)
        text = f"<score>{score}" + ("</score>" if finish == "stop" else "")
        return ChatAnswer(text, finish, 20, 2)

    return answer


@pytest.mark.parametrize(
    ("score", "finish", "rating", "reason"),
    [
        ("4", "stop", 4.0, ""),
        ("3", "stop", 3.0, ""),
        ("2.5", "stop", 2.5, "judge_low"),
        ("good", "stop", None, "judge_unreadable"),
        ("4", "length", None, "judge_unreadable"),
        ("", "refused", None, "judge_unreadable"),
    ],
)
def test_a_judge_may_turn_down_what_the_gate_let_pass(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    score: str,
    finish: str,
    rating: float | None,
    reason: str,
) -> None:
    settings = replace(settings, reverse=replace(SMALL, judge=True))
    cloned(settings, 4)
    record = run(settings, Asked(rated(score, finish)), monkeypatch)
    found = rows(settings, 4)
    assert len(found) == 12
    assert {row.judge for row in found} == {rating}
    assert {row.reject_reason for row in found} == {reason}
    assert record.counts.dropped == ({reason: 12} if reason else {})
    assert adds_up(record)


def test_the_judge_is_asked_about_accepted_rows_alone_and_never_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, reverse=replace(SMALL, judge=True))
    cloned(settings, 4, 6)

    def answer(one: ChatRequest) -> ChatAnswer:
        return rated("4")(one) if style_of(one) == "judge" else good_task(one)

    asked = Asked(answer)
    whole = run(settings, asked, monkeypatch)
    accepted = [row for number in (4, 6) for row in rows(settings, number) if row.accepted]
    assert len(asked.wanted) == len(accepted)
    assert {row.judge for row in accepted} == {4.0}
    rejected = [row for number in (4, 6) for row in rows(settings, number) if not row.accepted]
    assert {(row.reject_reason, row.judge) for row in rejected} == {("duplicate", None)}
    offered, before = asked.offered, files(settings)
    assert "Task: Round the total" in "".join(one.prompt for one in offered)
    (folder(settings) / "4.record.json").unlink()
    again = Asked(answer)
    assert run(settings, again, monkeypatch).digest == whole.digest
    assert again.offered == offered, "units that are done take their part in batches"
    assert 0 < len(again.wanted) < len(offered)
    assert files(settings) == before
    assert run(settings, again, monkeypatch).fresh == 0
    assert again.times == 2


def test_a_repository_that_the_judge_has_not_seen_whole_is_pending(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, reverse=replace(SMALL, judge=True))
    cloned(settings, 4)

    def answer(one: ChatRequest) -> ChatAnswer | None:
        return None if style_of(one) == "judge" else own_task(one)

    record = run(settings, Asked(answer), monkeypatch)
    assert record.counts.dropped == {"pending": 1}
    assert files(settings) == {}
    assert run(settings, Asked(rated("5")), monkeypatch).counts.dropped == {}


def test_without_a_judge_its_template_is_no_part_of_the_rows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned(settings, 4)
    run(settings, Asked(own_task), monkeypatch)
    judging = replace(settings, reverse=replace(SMALL, judge=True))
    with pytest.raises(UserError, match="judge was False"):
        run(judging, Asked(own_task), monkeypatch)
    assert "judge" not in unit(settings, 4).settings["templates"]


def test_a_real_model_is_asked_in_a_child_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny random model: its noise is refused with reasons."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model = save_tiny(settings.paths.root / "model", "llama")
    limits = Reverse(max_commits=6, max_prompt_tokens=640, max_new_tokens=6)
    settings = replace(settings, model=str(model), reverse=limits)
    cloned(settings, 4, 6)
    record = reverse.run(settings, "000")
    assert record.counts.dropped["length"] == 9
    assert {row.completion_tokens for row in rows(settings, 4)} == {0, 6}
    assert not place(settings, reverse.ARTIFACT, "000", {}).scratch.exists()
