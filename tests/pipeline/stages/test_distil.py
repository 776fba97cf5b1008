"""distil: the teacher reads the tree before the commit, and what it says becomes traces."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from awareness_model import align
from awareness_model.base import load_tokenizer
from awareness_model.schema import TRACE_COLUMNS, DistilAnswer, DistilRequest
from awareness_model.tiny import save_tiny
from awareness_pipeline.artifacts import Record, place, unit_records
from awareness_pipeline.config import Distil, Settings, Teacher, UserError
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.stages import distil
from awareness_pipeline.teacher import aligned
from awareness_pipeline.teacher.files import ask_files
from awareness_pipeline.teacher.local import Given
from awareness_pipeline.units import forget
from tests.pipeline.gitrepo import Snap
from tests.pipeline.stages.asking import Asked, history_of, trace
from tests.pipeline.stages.shelf import note_clone, put_clone, settings_at
from tests.pipeline.stages.tasking import STYLES, commits_of, put_tasks, task
from tests.pipeline.teacher.clock import FakeTime
from tests.pipeline.teacher.scripted import Script, serve, status
from tests.pipeline.teacher.vllm import vllm

SMALL = Distil(max_traces=99, max_reconstruction=8, max_state=8, top_k=2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(settings_at(tmp_path), model="some/model", distil=SMALL)


def with_tasks(settings: Settings, *repo_ids: int, styles: tuple[str, ...] = ("terse",)) -> None:
    """Leave clones with a task for every commit but the first, in every style."""
    for repo_id in repo_ids:
        put_clone(settings, repo_id, history_of(repo_id))
    for repo_id in repo_ids:
        commits = commits_of(settings, repo_id)[1:]
        put_tasks(settings, repo_id, [task(one, style) for one in commits for style in styles])


def limited(settings: Settings, **limits: Any) -> Settings:
    return replace(settings, distil=replace(settings.distil, **limits))


def run(settings: Settings, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setattr(distil, "ask_files", asked.files)
    return distil.run(settings, "000")


def folder(settings: Settings) -> Path:
    return place(settings, distil.ARTIFACT, "000", {}).folder


def traces(settings: Settings, repo_id: int, kind: str = "") -> list[dict[str, Any]]:
    rows = pq.read_table(folder(settings) / f"{repo_id}.parquet").to_pylist()
    return [row for row in rows if kind in ("", row["kind"])]


def about(asked: Asked, words: str) -> DistilRequest:
    return next(one for one in asked.wanted if words in one.prompt)


def extra(settings: Settings, repo_id: int) -> dict[str, Any]:
    return dict(next(one for one in distil_units(settings) if one.key == str(repo_id)).extra)


def distil_units(settings: Settings) -> list[Record]:
    return list(unit_records(place(settings, distil.ARTIFACT, "000", {})))


def test_the_teacher_reads_the_tree_before_the_commit_touched_files_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    request = about(asked, "Round the total")
    assert [file.path for file in request.files] == [
        "app/bill.py",
        "app/rates.py",
        "README.md",
        "docs/use.md",
    ]
    assert "round(" not in "".join(file.text for file in request.files)
    assert (request.response, request.raw) == (None, False)
    row = next(row for row in traces(settings, 4) if "Round" in row["prompt"])
    assert row["gold_paths"] == ["app/bill.py", "app/rates.py"]
    assert row["manifest_reasons"] == ["touched", "imported", "rest", "rest"]
    assert (row["kind"], row["style"], row["target"]) == ("instruction", "terse", "teacher")
    assert (row["hops"], row["language"], row["chain"]) == (1, "Python", "")
    assert row["sha"] != row["parent_sha"]
    assert row["repository_bytes"] == sum(len(file.text.encode()) for file in request.files)


def test_no_file_of_a_later_commit_is_seen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every object of the future is in the clone; none is reachable from the tree at hand."""
    later = {b"app/later.py": b"SECRET_OF_TOMORROW = 1\n", b"README.md": b"# Bills, later\n"}
    future = Snap(b"Add what comes later\n", dict(later))
    put_clone(settings, 4, [*history_of(4), future])
    rows = [task(one) for one in commits_of(settings, 4)[1:]]
    put_tasks(settings, 4, rows)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    tasks = [one for one in asked.wanted if not one.raw]
    assert len(tasks) == 4
    seen = {file.path for one in tasks for file in one.files}
    assert "app/later.py" not in seen
    assert "TOMORROW" not in str([one.files for one in tasks])
    assert "9662" not in str(about(asked, "Double the base rate").files)


def test_the_true_diff_is_an_edit_that_the_teacher_is_forced_along(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, target="both", max_reconstruction=0, max_state=0)
    with_tasks(settings, 4)
    asked = Asked(trace)
    record = run(settings, asked, monkeypatch)
    own, forced = (one for one in asked.wanted if "Double" in one.prompt)
    assert own.response is None
    assert forced.response
    assert "BASE_RATE = 4831" in forced.response
    assert "BASE_RATE = 9662" in forced.response
    assert (forced.raw, forced.files) == (False, own.files)
    rows = [row for row in traces(settings, 4) if "Double" in row["prompt"]]
    assert [(row["target"], row["finish_reason"]) for row in rows] == [
        ("teacher", "length"),
        ("commit", "forced"),
    ]
    assert rows[1]["response_text"] == forced.response
    assert (record.counts.rows_in, record.counts.rows_out) == (6, 6)


def test_a_diff_can_be_written_in_its_own_form(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, target="commit", edit_form="unified", max_reconstruction=0)
    with_tasks(settings, 4)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    response = about(asked, "Double the base rate").response
    assert response
    assert "-BASE_RATE = 4831\n+BASE_RATE = 9662\n" in response


def test_what_cannot_be_an_edit_is_counted_by_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, target="both", max_response_tokens=60, max_state=0)
    long = b"".join(b"line_%d = %d\n" % (number, number) for number in range(40))
    snaps = [
        Snap(b"Begin\n", {b"a.py": b"A = 1\n", b"p.bin": b"\0\1"}),
        Snap(b"Much\n", {b"a.py": long}),
        Snap(b"Both\n", {b"a.py": b"A = 2\n", b"p.bin": b"\0\2"}),
        Snap(b"Small\n", {b"a.py": b"A = 3\n"}),
    ]
    put_clone(settings, 4, snaps)
    put_tasks(settings, 4, [task(one) for one in commits_of(settings, 4)[1:]])
    record = run(settings, Asked(trace), monkeypatch)
    assert record.counts.dropped == {"diff_too_long": 1, "diff_binary": 1}
    kept = [(row["prompt"], row["target"]) for row in traces(settings, 4, "instruction")]
    assert kept == [
        ("imperative: Much", "teacher"),
        ("imperative: Both", "teacher"),
        ("imperative: Small", "teacher"),
        ("imperative: Small", "commit"),
    ]
    assert record.counts.rows_in == record.counts.rows_out + 2


def test_the_file_that_a_task_names_is_given_to_the_student(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_clone(settings, 4, history_of(4))
    commit = commits_of(settings, 4)[-1]
    rows = [
        task(commit, "issue", prompt="bill.py gives totals with too many digits"),
        task(commit, "terse", prompt="round totals; rates.py stays"),
    ]
    put_tasks(settings, 4, rows)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    named, other = about(asked, "too many digits"), about(asked, "rates.py stays")
    assert named.student_file
    assert named.student_file.path == "app/bill.py"
    assert named.student_file.text.startswith("from app.rates import BASE_RATE\n")
    assert other.student_file is None, "the diff does not touch it"
    paths = {row["prompt"]: row["student_path"] for row in traces(settings, 4, "instruction")}
    assert paths == {named.prompt: "app/bill.py", other.prompt: ""}


def test_spans_are_rebuilt_from_the_deciding_file_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    rows = traces(settings, 4, "reconstruction")
    assert {row["response_text"] for row in rows} == {"BASE_RATE", "9662"}
    assert all(row["sha"] == row["parent_sha"] for row in rows)
    assert {tuple(row["gold_paths"]) for row in rows} == {("app/rates.py",)}
    assert {(row["target"], row["language"], row["hops"]) for row in rows} == {
        ("span", "Python", 0)
    }
    asks = [one for one in asked.wanted if one.raw]
    assert all([file.path for file in one.files] == ["app/rates.py"] for one in asks)
    assert {tuple(row["manifest_reasons"]) for row in rows} == {("gold",)}


def test_a_chain_asks_one_question_of_trees_that_answer_otherwise(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    rows = [row for row in traces(settings, 4, "state") if "BASE_RATE" in row["prompt"]]
    shas = [commit.sha for commit in commits_of(settings, 4)]
    assert [row["response_text"] for row in rows] == ["4831", "9662", "9662"]
    assert [row["parent_sha"] for row in rows] == [shas[0], shas[1], shas[3]]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert len({row["chain"] for row in rows}) == len({row["prompt"] for row in rows}) == 1
    assert rows[0]["chain"]
    assert {tuple(row["gold_paths"]) for row in rows} == {("app/rates.py",)}
    first = next(one for one in asked.wanted if one.response == "4831")
    assert first.files[0].text.startswith("BASE_RATE = 4831\n")


def test_a_trace_file_has_the_promised_columns(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)
    run(settings, Asked(trace), monkeypatch)
    found = pq.read_schema(folder(settings) / "4.parquet")
    names = {"list<element: ": "list<", "list<item: ": "list<"}
    kinds = {}
    for field in found:
        kind = str(field.type)
        for long, short in names.items():
            kind = kind.replace(long, short)
        kinds[field.name] = kind
    assert kinds == TRACE_COLUMNS
    assert list(kinds) == list(TRACE_COLUMNS)
    row = traces(settings, 4)[0]
    assert (row["topk_ids"], row["topk_logprobs"]) == ([[7, 9], [8, 9]], [[-0.5, -1.5]] * 2)
    assert (row["manifest_tokens"], row["tail_mass"]) == (
        [4] * len(row["manifest_paths"]),
        [0.25] * 2,
    )
    assert (row["repo_id"], row["top_k"]) == (4, 2)
    assert None not in row.values()


def test_different_commits_come_before_further_styles(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten tasks over two shards are five for this one: three commits, two of them twice."""
    settings = limited(settings, max_traces=10, max_reconstruction=0, max_state=0)
    with_tasks(settings, 4, styles=STYLES)
    record = run(settings, Asked(trace), monkeypatch)
    rows = traces(settings, 4)
    shas = [commit.sha for commit in commits_of(settings, 4)[1:]]
    found = {sha: [row["style"] for row in rows if row["sha"] == sha] for sha in shas}
    assert [len(styles) for styles in found.values()] == [2, 2, 1]
    assert [styles[0] for styles in found.values()] == ["issue", "imperative", "terse"]
    assert record.counts.dropped == {"over_cap": 7}
    assert record.counts.rows_in == 12


def test_caps_are_dealt_and_counted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three traces over two shards are two for this one, one each for its repositories; so are two
    spans and four traces of chains, of which every chain needs three."""
    settings = limited(settings, max_traces=3, max_reconstruction=2, max_state=4)
    with_tasks(settings, 4, 6)
    asked = Asked(trace)
    record = run(settings, asked, monkeypatch)
    assert [one.response is None for one in asked.wanted].count(True) == 2
    assert len(asked.wanted) == 3
    assert record.counts.dropped == {"over_cap": 4}
    assert (record.counts.rows_in, record.counts.rows_out) == (7, 3)


def test_styles_that_are_not_wanted_are_counted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, styles=("terse",), max_reconstruction=0, max_state=0)
    with_tasks(settings, 4, styles=("issue", "terse"))
    record = run(settings, Asked(trace), monkeypatch)
    assert {row["style"] for row in traces(settings, 4)} == {"terse"}
    assert record.counts.dropped == {"style": 3}


def test_only_tasks_that_need_two_more_files_where_that_is_wanted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, multi_hop_only=True, max_reconstruction=0, max_state=0)
    snaps = [
        Snap(
            b"Begin\n",
            {
                b"a.py": b"ALPHA = 111\n",
                b"b.py": b"BETA = 222\n",
                b"c.py": b"from a import ALPHA\nfrom b import BETA\n\nX = 1\n",
            },
        ),
        Snap(b"Alone\n", {b"a.py": b"ALPHA = 112\n"}),
        Snap(b"Add\n", {b"c.py": b"from a import ALPHA\nfrom b import BETA\n\nX = ALPHA + BETA\n"}),
    ]
    put_clone(settings, 4, snaps)
    put_tasks(settings, 4, [task(one) for one in commits_of(settings, 4)[1:]])
    record = run(settings, Asked(trace), monkeypatch)
    (row,) = traces(settings, 4)
    assert (row["prompt"], row["hops"]) == ("imperative: Add", 2)
    assert row["gold_paths"] == ["c.py", "a.py", "b.py"]
    assert record.counts.dropped == {"few_hops": 1}
    assert extra(settings, 4)["multi_hop"] == 1


def test_answers_that_make_no_trace_are_dropped_with_their_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)

    def answer(one: DistilRequest) -> DistilAnswer:
        if one.raw:
            return trace(replace(one, files=()))
        if "Round" in one.prompt:
            return replace(trace(one), finish_reason="content_filter")
        return replace(trace(one), response_ids=(), finish_reason="stop")

    record = run(settings, Asked(answer), monkeypatch)
    assert traces(settings, 4) == []
    dropped = record.counts.dropped
    assert (dropped["empty_answer"], dropped["content_filter"]) == (2, 1)
    assert dropped["no_context"] == record.counts.rows_in - 3


def test_what_is_cut_or_text_alone_is_counted_and_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)

    def answer(one: DistilRequest) -> DistilAnswer:
        if one.raw:
            return replace(trace(one), topk_ids=(), topk_logprobs=(), tail_mass=())
        return trace(one)

    run(settings, Asked(answer), monkeypatch)
    rows = traces(settings, 4)
    spans = [row for row in rows if row["target"] == "span"]
    assert {(row["top_k"], len(row["response_ids"])) for row in spans} == {(0, 2)}
    found = extra(settings, 4)
    assert (found["cut"], found["text_only"]) == (3, len(spans))
    assert found["instruction"] + found["reconstruction"] + found["state"] == len(rows)


def test_a_commit_that_nothing_of_the_tree_decides_is_not_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, max_reconstruction=0, max_state=0)
    snaps = [Snap(b"Begin\n", {b"a.py": b"A = 1\n"}), Snap(b"Add\n", {b"b.md": b"# B\n"})]
    put_clone(settings, 4, snaps)
    put_tasks(settings, 4, [task(one) for one in commits_of(settings, 4)[1:]])
    asked = Asked(trace)
    record = run(settings, asked, monkeypatch)
    assert (record.counts.dropped, asked.wanted) == ({"no_gold": 1}, [])


def test_held_out_repositories_make_no_traces(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4, 6)
    rows = [task(one) for one in commits_of(settings, 6)[1:]]
    put_tasks(settings, 6, rows, split="held_out")
    run(settings, Asked(trace), monkeypatch)
    assert sorted(path.name for path in folder(settings).glob("*.parquet")) == ["4.parquet"]


def test_a_rejected_task_is_not_asked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put_clone(settings, 4, history_of(4))
    bad: list[TaskPrompt] = [
        task(one, accepted=False, reject_reason="leak") for one in commits_of(settings, 4)[1:]
    ]
    put_tasks(settings, 4, bad)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    assert all(one.raw for one in asked.wanted)


def test_a_second_run_asks_nothing_and_one_redone_gives_the_same_bytes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = limited(settings, target="both")
    with_tasks(settings, 4, 6, styles=STYLES)
    first = Asked(trace)
    record = run(settings, first, monkeypatch)
    idle = Asked(trace)
    assert run(settings, idle, monkeypatch).fresh == idle.times == 0
    before = (folder(settings) / "6.parquet").read_bytes()
    (folder(settings) / "6.parquet").unlink()
    second = Asked(trace)
    again = run(settings, second, monkeypatch)
    assert second.offered == first.offered
    assert 0 < len(second.wanted) < len(first.wanted)
    assert (folder(settings) / "6.parquet").read_bytes() == before
    assert again.digest == record.digest


def test_a_repository_with_an_open_answer_is_pending(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4, 6)
    whole = run(settings, Asked(trace), monkeypatch).digest
    forget(place(settings, distil.ARTIFACT, "000", {}))
    asked = Asked(lambda one: None if one is asked.wanted[0] else trace(one))
    record = run(settings, asked, monkeypatch)
    assert (record.counts.dropped["pending"], record.fresh) == (1, 1)
    assert run(settings, Asked(trace), monkeypatch).digest == whole


def test_an_endpoint_that_went_away_ends_the_run_once_all_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4, 6)
    asked = Asked(lambda one: trace(one) if "4" in str(one.files) else None)

    def files(*args: Any, **options: Any) -> "Given[DistilAnswer]":
        return replace(asked.files(*args, **options), stopped="it is gone", down=True)

    monkeypatch.setattr(distil, "ask_files", files)
    with pytest.raises(UserError, match="it is gone"):
        distil.run(settings, "000")
    assert [one.key for one in distil_units(settings)] == ["4"]


def test_a_new_head_redoes_the_repository(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4, 6)
    asked = Asked(trace)
    run(settings, asked, monkeypatch)
    parent = next(row["parent_sha"] for row in traces(settings, 6, "instruction"))
    note_clone(settings, 6, parent)
    assert run(settings, asked, monkeypatch).fresh == 1
    assert {row["sha"] for row in traces(settings, 6, "reconstruction")} == {parent}


def test_a_broken_repository_is_counted_and_the_others_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4, 6)
    note_clone(settings, 4, "0" * 40)
    record = run(settings, Asked(trace), monkeypatch)
    assert record.counts.dropped["failed: broken"] == 1
    assert traces(settings, 6)
    assert not (folder(settings) / "4.record.json").exists()


def test_another_teacher_under_the_same_version_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tasks(settings, 4)
    run(settings, Asked(trace), monkeypatch)
    with pytest.raises(UserError, match="model was 'some/model', now 'other/model'"):
        run(replace(settings, model="other/model"), Asked(trace), monkeypatch)


@pytest.mark.parametrize("target", ["commit", "both"])
def test_an_endpoint_that_scores_no_prompts_is_not_forced(settings: Settings, target: str) -> None:
    url = "http://127.0.0.1:9/v1"
    settings = replace(limited(settings, target=target), teacher=Teacher(url=url, model="big"))
    with pytest.raises(UserError, match=r"PROMPT_LOGPROBS .* or use --target teacher"):
        distil.run(settings, "000")
    able = replace(settings, teacher=replace(settings.teacher, prompt_logprobs=20))
    shape = distil.shape_of(able)
    assert (shape["model"], shape["student"], shape["prompt_logprobs"]) == ("big", "some/model", 20)


def at_endpoint(settings: Settings, url: str, model: Path, **teacher: Any) -> Settings:
    ids = '{"return_tokens_as_token_ids": true}'
    known = Teacher(url=url, model="big", prompt_logprobs=2, parameters=ids, concurrency=1)
    return replace(settings, model=str(model), teacher=replace(known, **teacher))


def in_this_process(entry: str, args: list[str], label: str, log: Path) -> None:
    """The aligning process's own entry point, without the seconds that a process takes."""
    assert (entry, align.main(args)) == ("align", 0)


def test_an_endpoint_that_dies_in_the_middle_is_gone_on_with_to_the_same_bytes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligned, "run_model", in_this_process)
    monkeypatch.setattr(distil, "ask_files", partial(ask_files, clock=FakeTime().clock))
    model = save_tiny(tmp_path / "student", "llama")
    settings = limited(settings, target="both", max_context_tokens=300)
    with_tasks(settings, 4, 6)
    answers = vllm(load_tokenizer(str(model)))
    with serve(Script(answer=answers)) as served:
        whole = distil.run(at_endpoint(settings, served.url, model), "000")
        asked = len(served.script.seen)
    assert whole.counts.rows_out == whole.counts.rows_in > 12
    rows = traces(settings, 4)
    assert {row["top_k"] for row in rows} == {2}
    assert {row["finish_reason"] for row in rows} == {"stop", "forced"}
    files = {path.name: path.read_bytes() for path in folder(settings).glob("*.parquet")}
    shutil.rmtree(settings.paths.root / "teacher")
    shutil.rmtree(folder(settings))

    def dies(payload: Any) -> Any:
        if len(dying.seen) > asked // 2:
            dying.faults += [status(500)] * 99
        return answers(payload)

    dying = Script(answer=dies)
    with serve(dying) as served, pytest.raises(UserError, match="does not answer"):
        distil.run(at_endpoint(settings, served.url, model), "000")
    with serve(Script(answer=answers)) as served:
        again = distil.run(at_endpoint(settings, served.url, model), "000")
        assert 0 < len(served.script.seen) < asked
    assert again.digest == whole.digest
    found = {path.name: path.read_bytes() for path in folder(settings).glob("*.parquet")}
    assert found == files


def test_an_endpoint_of_another_vocabulary_teaches_by_text_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be forced either: spans stay the true text that they are."""
    monkeypatch.setattr(aligned, "run_model", in_this_process)
    model = save_tiny(tmp_path / "student", "llama")
    with_tasks(settings, 4)
    answers = vllm(load_tokenizer(str(model)), shift=1)
    with serve(Script(answer=answers)) as served:
        record = distil.run(at_endpoint(settings, served.url, model, prompt_logprobs=0), "000")
        assert len(served.script.seen) == 3
    rows = traces(settings, 4)
    assert record.counts.rows_out == record.counts.rows_in == len(rows)
    assert {row["top_k"] for row in rows} == {0}
    assert extra(settings, 4)["text_only"] == len(rows)
    assert {row["finish_reason"] for row in rows} == {"stop", "given"}
    assert all(row["response_ids"] and row["student_prompt_ids"] for row in rows)


def test_a_real_teacher_is_asked_in_a_child_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model = save_tiny(settings.paths.root / "model", "qwen3")
    settings = replace(settings, model=str(model))
    settings = limited(
        settings, max_traces=4, target="both", max_reconstruction=4, max_new_tokens=5, top_k=4
    )
    with_tasks(settings, 4)
    record = distil.run(settings, "000")
    assert record.counts.rows_out == record.counts.rows_in - 4
    rows = traces(settings, 4)
    assert [row["finish_reason"] for row in rows] == ["length", *["forced"] * (len(rows) - 1)]
    assert [row["target"] for row in rows[:2]] == ["teacher", "commit"]
    assert all(len(row["topk_ids"]) == len(row["response_ids"]) > 0 for row in rows)
    assert {row["top_k"] for row in rows} == {4}
    assert rows[0]["manifest_paths"][0] in rows[0]["gold_paths"]
    assert not place(settings, distil.ARTIFACT, "000", {}).scratch.exists()
