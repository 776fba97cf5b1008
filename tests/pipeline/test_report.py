"""The report: numbers in a fixed form, and a page that needs nothing and trusts nothing."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from awareness_model.schema import write_rows
from awareness_pipeline.artifacts import Counts, place
from awareness_pipeline.config import Paths, Settings, UserError, demo
from awareness_pipeline.flow import FLOW, STAGES
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.report import evaluation_of, summary
from awareness_pipeline.report.numbers import caveats, repository_names
from awareness_pipeline.report.page import page, write_page
from awareness_pipeline.report.prompts import sample_page, write_samples
from awareness_pipeline.report.samples import drawn_prompts
from awareness_pipeline.standing import chosen_version, standings, versions
from awareness_pipeline.teacher.funnel import STEPS
from awareness_pipeline.units import Outcome, Unit, close, finish_unit

HOSTILE = "<script>alert('x')</script> <img src=https://host/x>"
EVALUATION: dict[str, Any] = {
    "n_repos": 3,
    "n_items": 12,
    "kv": {
        "nll": {"own": 1.06, "other": 2.54, "none": 2.92, "text": 0.69},
        "S": 1.48,
        "S_ci": [1.1, 1.9],
        "R": 0.83,
        "S_by_repo": {"7": 1.2, "8": 1.9, "9": 1.3},
        "by_kind": {},
        "router": {"recall_at_4": 0.75, "chance": 0.4},
    },
    "latent": {
        "nll": {"own": 2.5, "other": 2.6, "none": 2.92, "text": 0.69},
        "S": 0.1,
        "S_ci": [-0.1, 0.3],
        "R": None,
        "S_by_repo": {"7": 0.2, "8": -0.1, "9": 0.2},
        "by_kind": {
            "needle": {
                "nll": {"own": 2.4, "other": 2.7, "none": 3.0, "text": 0.5},
                "S": -0.001,
                "S_ci": [0.25, 0.35],
                "R": 0.14,
            }
        },
        "router": {"recall_at_4": 0.25, "chance": 0.4},
    },
}
EVIDENCE: dict[str, Any] = {
    "measures": [
        {
            "kind": "prompt",
            "group": "issue",
            "control": "same",
            "D": 0.2,
            "D_ci": [0.1, 0.3],
            "nll": {"own": 1.0, "control": 1.2},
            "n_repos": 9,
            "n_items": 1200,
            "headline": True,
            "clear": True,
            "why": "",
        },
        {
            "kind": "context",
            "group": "commit",
            "control": "other",
            "D": None,
            "D_ci": None,
            "n_repos": 0,
            "n_items": 0,
            "headline": True,
            "clear": False,
            "why": "nothing to measure: <none>",
        },
    ],
    "unclear": ["true diffs, against files of another repository: nothing to measure: <none>"],
}


FUNNEL = {
    "message": dict.fromkeys(STEPS, 300),
    "imperative": {**dict.fromkeys(STEPS, 900), "wanted": 1_200, "accepted": 400},
}
FUNNEL_OF_FEW = {
    "issue": {**dict.fromkeys(STEPS, 4), "wanted": 10},
    "terse": {**dict.fromkeys(STEPS, 7), "wanted": 10},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(demo(), paths=Paths(root=tmp_path / "data"))


def leave(
    settings: Settings,
    artifact: str,
    partition: str,
    counts: Counts,
    *,
    files: Mapping[str, list[Any]] | None = None,
    extra: Mapping[str, Any] | None = None,
    seconds: float = 1.5,
) -> Path:
    """Leave what a stage leaves: one unit with its files, its record, the partition's record."""
    here = place(settings, artifact, partition, {"visible_documents": 4, "steps": 40})
    for name, rows in (files or {}).items():
        write_rows(here.folder / name, rows)
    here.folder.mkdir(parents=True, exist_ok=True)
    unit = Unit("7", {})
    finish_unit(here, unit, Outcome(counts, tuple(files or ()), extra or {}), seconds)
    close(here, [unit], fresh=1, extra=extra, seconds=seconds)
    return here.folder


def prompt(text: str, *, accepted: bool, style: str = "imperative") -> TaskPrompt:
    return TaskPrompt(
        repo_id=7,
        repo="owner/name",
        sha="a" * 40,
        parent_sha="b" * 40,
        style=style,
        prompt=text,
        accepted=accepted,
        reject_reason="" if accepted else "too_short",
        finish_reason="stop",
        model="m",
        prompt_fingerprint="f",
        prompt_tokens=10,
        completion_tokens=5,
        leak=0.0,
        grounding=1.0,
        copy_overlap=0.1,
        words=5,
        english=1.0,
        self_contained=1.0,
        judge=None,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A version in which every stage has run."""
    settings = replace(demo(), paths=Paths(root=tmp_path_factory.mktemp("whole") / "data"))
    for step in FLOW:
        key = {"language": "Go", "shard": "000"}.get(step.partitioned_by, "all")
        files: dict[str, list[Any]] = {}
        extra: dict[str, Any] = {}
        if step.name == "reverse":
            message = prompt("original message", accepted=False, style="message")
            tasks = [prompt(HOSTILE, accepted=True), prompt("Fix", accepted=False)]
            files["7.jsonl"] = [*tasks, message]
            extra = {"funnel": FUNNEL}
        if step.name == "clone":
            extra = {"full_name": "owner/name"}
        if step.name == "audit":
            extra = EVIDENCE
        if step.name == "evaluate":
            extra = EVALUATION
        folder = leave(
            settings, step.artifact, key, Counts(5, 4, {"bot": 1}), files=files, extra=extra
        )
        if step.name == "train":
            rows = [{"step": n, "loss": 3.0 / n, "ce": 2.0 / n, "lr": 0.1} for n in range(1, 6)]
            (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    leave(settings, "commits", "001", Counts(10, 7, {"bot": 2, "merge": 1}), seconds=2.0)
    return settings


@pytest.fixture(scope="module")
def shown(whole: Settings) -> str:
    """Its page, as it was written."""
    return write_page(whole.paths, "demo").read_text()


class Parsed(HTMLParser):
    """Collects what a page refers to, and insists that every element is closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_numbers_have_the_promised_form_and_sum_over_partitions(whole: Settings) -> None:
    found = summary(whole.paths, "demo")
    assert [one["name"] for one in found["stages"]] == list(STAGES)
    extract = found["stages"][2]
    assert {"name", "in", "out", "dropped", "seconds"} <= extract.keys()
    assert (extract["in"], extract["out"]) == (15, 11)
    assert extract["dropped"] == {"bot": 3, "merge": 1}
    assert extract["seconds"] == 3.5
    assert found["seconds_total"] == len(FLOW) * 1.5 + 2.0
    assert found["evidence"]["measures"][0]["D_ci"] == [0.1, 0.3]
    assert found["evaluation"]["kv"]["S_ci"] == [1.1, 1.9]
    assert found["evaluation"]["latent"]["nll"].keys() == {"own", "other", "none", "text"}
    assert json.loads(json.dumps(found)) == found


def test_stages_that_have_not_run_are_zero_and_say_so(settings: Settings) -> None:
    leave(settings, "repositories", "Go", Counts(3, 3))
    found = summary(settings.paths, "demo")
    states = {one["name"]: (one["out"], one["state"]) for one in found["stages"]}
    assert states["discover"] == (3, "done")
    assert states["evaluate"] == (0, "not run")
    assert found["evidence"] is None
    assert found["evaluation"] is None


def test_the_newest_work_is_the_version_that_is_read(settings: Settings) -> None:
    for age, version in ((30, "old"), (10, "new"), (20, "middle")):
        folder = leave(replace(settings, version=version), "commits", "000", Counts())
        os.utime(folder / "record.json", (1e9 - age, 1e9 - age))
    assert versions(settings.paths) == ["new", "middle", "old"]
    assert chosen_version(settings.paths, None) == "new"
    assert chosen_version(settings.paths, "old") == "old"
    with pytest.raises(UserError, match="no version 'other'"):
        chosen_version(settings.paths, "other")


def test_moved_folders_are_read_where_they_are(settings: Settings, tmp_path: Path) -> None:
    moved = replace(settings, paths=replace(settings.paths, commits=tmp_path / "training"))
    leave(moved, "commits", "000", Counts(2, 2))
    assert chosen_version(moved.paths, None) == "demo"
    assert standings(moved.paths, "demo")[2].counts == Counts(2, 2)


def test_the_page_stands_alone_and_is_whole(whole: Settings, shown: str) -> None:
    assert (whole.paths.root / "report" / "demo" / "index.html").read_text() == shown
    parsed = Parsed(shown)
    assert parsed.open == []
    assert "script" not in parsed.seen
    assert "link" not in parsed.seen
    pictures = [link for link in parsed.links if link.startswith("data:image/png;base64,")]
    assert [link for link in parsed.links if link not in pictures] == ["prompts.html"]
    assert len(pictures) == 8


def test_the_page_shows_what_is_left_of_each_style_and_leads_to_samples(
    whole: Settings, shown: str
) -> None:
    assert "<th>step</th><th class=number>imperative</th><th class=number>message</th>" in shown
    numbers = "".join(f"<td class=number>{number}</td>" for number in ("1,200", "300"))
    assert f"<td>wanted</td>{numbers}" in shown
    assert (whole.paths.root / "report" / "demo" / "prompts.html").exists()
    assert summary(whole.paths, "demo")["prompts"]["imperative"]["accepted"] == 400


def test_text_from_models_is_shown_and_not_obeyed(whole: Settings) -> None:
    shown = sample_page(whole.paths, "demo")
    parsed = Parsed(shown)
    assert (parsed.open, parsed.links) == ([], [])
    assert "script" not in parsed.seen
    assert "&lt;script&gt;" in shown
    assert "rejected: too_short" in shown
    assert "commit message: original message" in shown
    assert "leak 0.00, grounding 1.00" in shown


def prompts_of(number: int) -> list[TaskPrompt]:
    """A hundred prompts, every second one accepted, each with its message."""
    names = [(f"{number}-{n}", f"{number:04d}{n:036d}") for n in range(100)]
    return [
        row
        for n, (name, sha) in enumerate(names)
        for row in (
            replace(prompt(f"prompt {name}", accepted=n % 2 == 0), sha=sha),
            replace(prompt(f"message {name}", accepted=True, style="message"), sha=sha),
        )
    ]


def test_twenty_random_prompts_of_both_kinds_stand_side_by_side(settings: Settings) -> None:
    for shard in range(2):
        files = {"7.jsonl": prompts_of(shard)}
        leave(settings, "task_prompts", f"00{shard}", Counts(200, 150), files=files)
    accepted, rejected = drawn_prompts(settings.paths, "demo")
    assert (len(accepted), len(rejected)) == (20, 20)
    assert all(one.prompt.accepted for one in accepted)
    assert not any(one.prompt.accepted for one in rejected)
    texts = [one.prompt.prompt for one in accepted]
    assert len(set(texts)) == 20
    assert {text.split("-")[0] for text in texts} == {"prompt 0", "prompt 1"}
    assert texts != sorted(texts), "not the first ones"
    assert all(one.message == one.prompt.prompt.replace("prompt", "message") for one in accepted)
    shown = sample_page(settings.paths, "demo")
    assert "<th>accepted (20)</th><th>rejected (20)</th>" in shown
    assert shown.count("<tr>") == 21
    assert sample_page(settings.paths, "demo") == shown


def test_a_shard_has_a_page_of_its_own(settings: Settings) -> None:
    for shard in range(2):
        files = {"7.jsonl": prompts_of(shard)}
        leave(settings, "task_prompts", f"00{shard}", Counts(200, 150), files=files)
    path = write_samples(settings.paths, "demo", "001")
    assert path.name == "prompts-001.html"
    assert "prompt 1-" in path.read_text()
    assert "prompt 0-" not in path.read_text()


def test_prompts_that_were_never_written_have_an_empty_page(settings: Settings) -> None:
    assert "not run" in sample_page(settings.paths, "demo")


def test_a_page_of_the_first_stage_alone_calls_the_others_not_run(settings: Settings) -> None:
    leave(settings, "repositories", "Go", Counts(3, 3))
    shown = page(settings.paths, "demo")
    assert Parsed(shown).open == []
    assert shown.count("not run") >= 9 + 4


def test_the_page_says_what_is_weaker_than_it_sounds(whole: Settings, shown: str) -> None:
    said = " ".join(caveats(whole.paths, "demo"))
    assert "among the 4" in said
    assert "resample 3 repositories" in said
    assert "40 steps only" in said
    assert "router of latent" in said
    assert "router of kv" not in said
    assert [line for line in caveats(whole.paths, "demo") if line not in unescape(shown)] == []


def test_repositories_have_their_names_where_clones_tell_them(whole: Settings) -> None:
    assert repository_names(whole.paths, "demo", ["7", "8"]) == {"7": "owner/name", "8": "8"}


def test_the_evaluation_shows_kinds_of_questions_and_finding_beside_reading(shown: str) -> None:
    assert "<td>latent</td><td>needle</td>" in shown
    assert "0.25 to 0.35" in shown
    assert "-0.00" not in shown
    assert "kv finds the deciding one for 75% of the questions (blind choice: 40%)" in shown


def test_the_evidence_shows_differences_and_why_they_are_not_clear(shown: str) -> None:
    one = "<td>issue prompts</td><td>another commit of the repository</td>"
    assert f"{one}<td>clear of 0</td><td class=number>1,200</td>" in shown
    assert "0.100 to 0.300" in shown
    assert "nothing to measure: &lt;none&gt;" in shown


def test_evidence_without_numbers_has_no_picture(settings: Settings) -> None:
    extra = {**EVIDENCE, "measures": EVIDENCE["measures"][1:]}
    leave(settings, "data_evidence", "all", Counts(0, 0), extra=extra)
    shown = page(settings.paths, "demo")
    assert "D with intervals" not in shown
    assert Parsed(shown).open == []


def test_a_layout_that_was_not_measured_is_left_out(settings: Settings) -> None:
    extra = {name: value for name, value in EVALUATION.items() if name != "latent"}
    leave(settings, "evaluation", "all", Counts(12, 12), extra=extra)
    assert set(evaluation_of(settings.paths, "demo") or {}) == {"n_repos", "n_items", "kv"}
    assert "latent was not measured." in caveats(settings.paths, "demo")
    assert Parsed(page(settings.paths, "demo")).open == []


def test_the_same_records_give_the_same_page(whole: Settings, shown: str) -> None:
    assert page(whole.paths, "demo") == shown


def test_a_style_that_mostly_fails_is_owned_up_to(settings: Settings) -> None:
    leave(settings, "task_prompts", "000", Counts(20, 11), extra={"funnel": FUNNEL_OF_FEW})
    said = [line for line in caveats(settings.paths, "demo") if "prompts could be used" in line]
    assert [line.split(":")[0] for line in said] == ["4 of 10 issue prompts could be used"]
