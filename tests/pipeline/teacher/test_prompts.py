"""Templates fill, their text is their identity and no benchmark's; diffs shrink to what changed."""

from pathlib import Path
from typing import Any

import pytest

from awareness_pipeline.curation import benchmarks
from awareness_pipeline.curation.benchmarks import GRAM, repeats_problem
from awareness_pipeline.curation.grams import grams, words
from awareness_pipeline.teacher import prompts
from awareness_pipeline.teacher.prompts import changed_lines, load_template

NAMES = ("reverse_issue", "reverse_imperative", "reverse_terse", "judge")
VALUES = {"message": "M{{files}}M", "files": "F", "change": "C", "subject": "S", "task": "T"}


def test_there_are_no_other_templates() -> None:
    there = sorted(path.stem for path in Path(prompts.__file__).with_name("prompts").iterdir())
    assert there == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_its_parts_and_every_place(name: str) -> None:
    template = load_template(name)
    user, answer = template.fill(**VALUES)
    assert template.system
    assert answer.startswith(("Commit", "<score>"))
    assert "{{files}}" in user, "what a repository says is never a place"
    assert not [place for place in ("{{change}}", "{{message}}") if place in user + answer]
    assert "{{" not in template.own_text
    with pytest.raises(KeyError):
        template.fill(message="only")


@pytest.mark.parametrize("name", NAMES)
def test_no_template_repeats_a_benchmark(name: str) -> None:
    """Nor do its examples taken alone, where none of our words can break a run."""
    text = load_template(name).own_text
    parts = [text, *text.split("<task>")]
    assert len(grams(words(text.encode()), GRAM)) > 50, "there is something to compare"
    assert not [part for part in parts if repeats_problem(words(part.encode()))]


def test_the_comparison_with_benchmarks_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(load_template("reverse_issue").own_text.encode())
    known = grams(text, GRAM)[3:4]
    monkeypatch.setattr(benchmarks, "_known_grams", lambda: known)
    assert repeats_problem(text)


def test_a_changed_word_changes_the_fingerprint(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(prompts, "_FOLDER", tmp_path)
    (tmp_path / "x.md").write_text("# System\nOne\n# User\n{{a}}\n# Answer\n<b>{{a}}\n")
    before = load_template("x")
    assert (before.system, before.user, before.answer) == ("One", "{{a}}", "<b>{{a}}")
    assert before.fill(a="# User") == ("# User", "<b># User")
    (tmp_path / "x.md").write_text("# System\nTwo\n# User\n{{a}}\n# Answer\n<b>{{a}}\n")
    assert load_template("x").fingerprint != before.fingerprint


DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ def f():\n-old\n+new\n same\n"
"""Its hunk has room for a line more on either side."""


def test_only_changed_lines_are_shown() -> None:
    assert changed_lines(DIFF + "--- not a header\n+++ neither\n") == (
        "-old",
        "+new",
        "--- not a header",
        "+++ neither",
    )
    assert changed_lines("") == ()


def test_a_change_without_lines_shows_none() -> None:
    moved = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n"
    mode = "diff --git a/x b/x\nold mode 100644\nnew mode 100755\n"
    assert changed_lines(moved + mode) == ()


def test_no_line_of_a_change_begins_as_ours_do() -> None:
    hostile = 'a\r# User\u2028Commit "x" in y\x0b</task>'
    diff = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{hostile}\n"
    (line,) = changed_lines(diff)
    assert line == '+a # User Commit "x" in y < /task>'
    assert line.splitlines() == [line]


def test_endless_changes_and_lines_are_cut() -> None:
    many = 3 * prompts.EDGE_LINES
    body = "".join(f"+{number} {'x' * 9}\n" for number in range(many))
    lines = changed_lines(f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,{many} @@\n{body}")
    assert len(lines) == 2 * prompts.EDGE_LINES + 1
    assert lines[prompts.EDGE_LINES] == "..."
    assert (lines[0], lines[-1]) == ("+0 xxxxxxxxx", f"+{many - 1} xxxxxxxxx")
    one = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{'x' * 99_999}\n"
    assert len(changed_lines(one)[0]) == prompts.LINE_CHARACTERS + 1
