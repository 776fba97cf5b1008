"""What reverse leaves, on disk: task prompts of clones, for tests of the stages after it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from awareness_model.schema import write_rows
from awareness_pipeline.artifacts import Counts, Record, place, upstream_records
from awareness_pipeline.config import Settings
from awareness_pipeline.gitio.commits import commit_file, read_commits
from awareness_pipeline.records import Commit, TaskPrompt, shard_of
from awareness_pipeline.stages import extract
from awareness_pipeline.units import Outcome, Unit, close, finish_unit

STYLES = ("issue", "imperative", "terse", "message")


def commits_of(settings: Settings, repo_id: int) -> list[Commit]:
    """Return a clone's commits, oldest first; they are extracted if need be."""
    shard = shard_of(repo_id, settings.shards)
    extract.run(settings, shard)
    folder = place(settings, "commits", shard, {}).folder
    return list(read_commits(commit_file(folder, str(repo_id))))


def task(commit: Commit, style: str = "imperative", **changes: Any) -> TaskPrompt:
    """Return an accepted task that names its style and its commit's message."""
    found: dict[str, Any] = {
        "repo_id": commit.repo_id,
        "repo": commit.repo,
        "sha": commit.sha,
        "parent_sha": commit.parent_sha,
        "style": style,
        "prompt": f"{style}: {commit.message.strip()}",
        "accepted": True,
        "reject_reason": "",
        "finish_reason": "stop",
        "model": "m",
        "prompt_fingerprint": "p",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "leak": 0.0,
        "grounding": 1.0,
        "copy_overlap": 0.0,
        "words": 4,
        "english": 1.0,
        "self_contained": 1.0,
        "judge": None,
    }
    return TaskPrompt(**found | changes)


def put_tasks(
    settings: Settings, repo_id: int, rows: Sequence[TaskPrompt], split: str = "train"
) -> Record:
    """Leave the tasks of a repository."""
    here = place(settings, "task_prompts", shard_of(repo_id, settings.shards), {})
    here.folder.mkdir(parents=True, exist_ok=True)
    name = f"{repo_id}.jsonl"
    write_rows(here.folder / name, rows)
    styles = Counter(row.style for row in rows if row.accepted)
    extra = {"accepted": styles.total(), "by_style": dict(sorted(styles.items())), "split": split}
    counts = Counts(len(rows), styles.total())
    record = finish_unit(here, Unit(str(repo_id), {}), Outcome(counts, (name,), extra))
    known = [
        Unit(one.key, {})
        for _, one in upstream_records(settings, "task_prompts", (here.partition,))
    ]
    close(here, known, fresh=1)
    return record
