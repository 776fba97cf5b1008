"""Commits that are asked about: small changes of source files first, each with what it touches."""

from dataclasses import replace
from pathlib import Path

import pytest

from awareness_pipeline.lessons.subjects import rank, subjects_of
from awareness_pipeline.records import FileChange, shard_of
from tests.pipeline.stages.asking import ALL_TRAIN, history_of, prepared
from tests.pipeline.stages.shelf import put_clone, settings_at
from tests.pipeline.teacher.test_tasks import commit_of

CODE = commit_of()


@pytest.mark.parametrize(
    "later",
    [
        replace(CODE, additions=0),
        replace(CODE, files_changed=("docs/use.md",)),
        replace(CODE, files_changed=("tests/test_table.py",)),
        replace(CODE, files=(FileChange("app/table.py", None, "added", "text", 1, 0),)),
        replace(CODE, diff=CODE.diff + "+x\n" * 9_000),
        replace(CODE, sha="f" * 40),
    ],
)
def test_small_changes_of_code_that_was_there_come_first(later: object) -> None:
    assert sorted([later, CODE], key=rank) == [CODE, later]  # type: ignore[arg-type]


def test_a_subject_has_the_lines_and_signatures_of_its_commit(tmp_path: Path) -> None:
    settings = replace(settings_at(tmp_path), curate=ALL_TRAIN)
    put_clone(settings, 4, history_of(4))
    prepared(settings)
    shard = shard_of(4, settings.shards)
    folders = {
        name: settings.paths.artifact(name) / settings.version / shard
        for name in ("commits", "curated_commits", "clones")
    }
    commits = folders["commits"] / "4.jsonl.zst"
    decisions, clone = folders["curated_commits"] / "4.jsonl", folders["clones"] / "4.git"
    found = subjects_of(commits, decisions, clone, 9)
    assert [one.message for one in found][-1] == "Explain the use"
    rounded = next(one for one in found if one.message == "Round the total")
    assert rounded.signatures == ("def total()",)
    assert "+    return round(BASE_RATE)" in rounded.lines
    assert subjects_of(commits, decisions, clone, 1) == found[:1]
    assert subjects_of(commits, decisions, clone, 0) == []
    bare = subjects_of(commits, decisions, tmp_path / "none.git", 9)
    assert [one.commit for one in bare] == [one.commit for one in found]
    assert {one.signatures for one in bare} == {()}
