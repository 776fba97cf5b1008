"""What is asked about prompts: each beside one of its repository and one of another."""

import random
from pathlib import Path
from typing import Any

import pytest

from awareness_pipeline.config import Audit
from awareness_pipeline.evidence.plan import Plan
from awareness_pipeline.evidence.prompts import Prompted, changed_text, plan_prompts
from awareness_pipeline.gitio.commits import write_commits
from awareness_pipeline.records import Commit

STYLES = ("issue", "terse", "message")
DIFF = """diff --git a/{name}.sql b/{name}.sql
index 1..2 100644
--- a/{name}.sql
+++ b/{name}.sql
@@ -1,3 +1,3 @@
 SELECT 1;
--- old {name}
+++ new {name}
 SELECT 2;
@@ -9 +9 @@ function
-a
+b
\\ No newline at end of file
"""


def commit(repo_id: int, sha: str, diff: str) -> Commit:
    return Commit(
        repo=f"owner/r{repo_id}",
        sha=sha,
        parent_sha="p" * 40,
        message="m",
        language="SQL",
        files_changed=("x.sql",),
        additions=1,
        deletions=1,
        diff=diff,
        repo_id=repo_id,
        parents=("p" * 40,),
        author_date="",
        committer_date="",
        files=(),
        labels=(),
        truncated=False,
        encoding_lossy=False,
    )


def prompted(repo_id: int, sha: str, styles: tuple[str, ...] = STYLES) -> Prompted:
    return Prompted(repo_id, sha, {style: f"{style} of {sha}" for style in styles})


@pytest.fixture
def rows(tmp_path: Path) -> dict[int, Path]:
    """Commit files of three repositories with four commits each."""
    found = {}
    for repo_id in (1, 2, 3):
        found[repo_id] = tmp_path / f"{repo_id}.jsonl"
        kept = [commit(repo_id, f"{repo_id}{n}", DIFF.format(name=f"{repo_id}{n}")) for n in "abcd"]
        write_commits(found[repo_id], kept, plain=True)
    return found


def plan(rows: dict[int, Path], *commits: Prompted, **changes: Any) -> Plan:
    return plan_prompts(STYLES, commits, rows, Audit(**changes), "model")


def reads(found: Plan) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (one.sha, one.group): {reading.name: reading.prompt for reading in one.readings}
        for one in found.requests
    }


def test_a_change_is_its_signed_lines_and_content_that_looks_like_a_header_is_content() -> None:
    assert changed_text(DIFF.format(name="x")) == "--- old x\n+++ new x\n-a\n+b"
    assert changed_text("") == ""


def test_every_style_is_read_beside_the_same_commits(rows: dict[int, Path]) -> None:
    everyone = [prompted(repo, f"{repo}{n}") for repo in (1, 2, 3) for n in "abcd"]
    found = reads(plan(rows, *everyone))
    assert len(found) == 12 * 3
    for (sha, style), prompts in found.items():
        assert prompts["own"] == f"{style} of {sha}"
        same, other = (prompts[name].removeprefix(f"{style} of ") for name in ("same", "other"))
        assert (same[0], same == sha) == (sha[0], False)
        assert other[0] != sha[0]
        for beside in STYLES:
            assert found[sha, beside]["same"] == f"{beside} of {same}"


def test_the_order_of_rows_plays_no_part(rows: dict[int, Path]) -> None:
    everyone = [prompted(repo, f"{repo}{n}") for repo in (1, 2, 3) for n in "abcd"]
    mixed = random.Random(3).sample(everyone, len(everyone))
    assert plan(rows, *mixed, max_commits=5) == plan(rows, *everyone, max_commits=5)
    assert reads(plan(rows, *everyone, seed=1)) != reads(plan(rows, *everyone))


def test_commits_that_can_be_compared_in_full_come_first(rows: dict[int, Path]) -> None:
    found = plan(
        rows,
        prompted(1, "1a"),
        prompted(1, "1b"),
        prompted(1, "1c", ("terse",)),
        prompted(2, "2a"),
        max_commits=2,
    )
    assert {one.sha for one in found.requests} == {"1a", "1b"}
    assert found.dropped == {
        ("terse", "over_cap"): 2,
        ("issue", "over_cap"): 1,
        ("message", "over_cap"): 1,
    }


def test_everything_offered_is_asked_about_or_dropped(rows: dict[int, Path]) -> None:
    found = plan(
        rows,
        prompted(1, "1a"),
        prompted(1, "gone"),
        prompted(2, "2a", ("issue",)),
        prompted(7, "no file"),
    )
    assert found.offered.total() == 10
    assert len(found.requests) + found.dropped.total() == 10
    assert found.dropped["issue", "no_change"] == 2


def test_a_commit_without_partners_is_left_out_and_one_control_is_enough(
    rows: dict[int, Path],
) -> None:
    alone = plan(rows, prompted(1, "1a"))
    assert alone.requests == []
    assert alone.dropped == {(style, "no_other_prompt"): 1 for style in STYLES}
    found = reads(plan(rows, prompted(1, "1a"), prompted(2, "2a", ("terse",))))
    assert found["1a", "terse"].keys() == {"own", "other"}
    near = reads(plan(rows, prompted(1, "1a"), prompted(1, "1b")))
    assert near["1a", "issue"].keys() == {"own", "same"}
