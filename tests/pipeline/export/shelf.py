"""A version on disk as curation leaves it, made of rows: what an export reads, in milliseconds."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from awareness_model.schema import write_rows
from awareness_pipeline.artifacts import Counts, place
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Paths, Settings, demo
from awareness_pipeline.export.columns import schema_of
from awareness_pipeline.records import (
    Commit,
    Decision,
    Finding,
    Repository,
    TaskPrompt,
    shard_of,
)
from awareness_pipeline.units import Outcome, Unit, close, finish_unit
from tests.pipeline.curation.rows import commit

HOST = "api.github.com"


def settings_at(root: Path) -> Settings:
    """Return the demo's settings with two shards under `root`."""
    return replace(demo(), shards=2, paths=Paths(root=root))


def repository(repo_id: int, **other: Any) -> Repository:
    """A Python repository under the MIT licence."""
    known: dict[str, Any] = {
        "host": HOST,
        "external_id": str(repo_id),
        "full_name": f"ann/r{repo_id}",
        "language": "Python",
        "stars": 10 * repo_id,
        "forks": 0,
        "size_kb": 1,
        "default_branch": "main",
        "licence": "MIT",
        "fork": False,
        "archived": False,
        "created_at": "2020-01-01T00:00:00Z",
        "pushed_at": "2024-01-01T00:00:00Z",
    }
    return Repository(repo_id=repo_id, **{**known, **other})


def put_catalog(settings: Settings, *rows: Repository) -> None:
    """Store repositories."""
    with Catalog(settings.paths.database_url) as catalog:
        catalog.upsert(rows)


def opt_out(settings: Settings, name: str) -> None:
    """Leave an owner or repository out from now on."""
    with Catalog(settings.paths.database_url) as catalog:
        catalog.opt_out(HOST, name)


def of_repository(repo_id: int, number: int, **other: Any) -> list[Commit]:
    """Commits of a repository that every filter keeps."""
    return [
        commit(repo=f"ann/r{repo_id}", repo_id=repo_id, sha=f"{repo_id:020x}{index:020x}", **other)
        for index in range(number)
    ]


def put_commits(
    settings: Settings,
    repo_id: int,
    commits: Sequence[Commit],
    *,
    split: str = "train",
    decided: Sequence[dict[str, Any]] = (),
) -> None:
    """Write commits with a decision for each: kept, but for what `decided` says, in order."""
    said = [*decided, *({} for _ in commits)]
    base = {"keep": True, "reason": "", "split": split, "licence": "MIT"}
    kind = {"licence_class": "permissive", "findings": ()}
    decisions = [
        Decision(repo_id=repo_id, sha=one.sha, **{**base, **kind, **other})
        for one, other in zip(commits, said, strict=False)
    ]
    put_unit(settings, "commits", repo_id, commits)
    put_unit(settings, "curated_commits", repo_id, decisions, extra={"split": split})


def put_unit(
    settings: Settings,
    artifact: str,
    repo_id: int,
    rows: Sequence[Any],
    extra: dict[str, Any] | None = None,
) -> None:
    """Write rows as a unit of an artifact."""
    here = place(settings, artifact, shard_of(repo_id, settings.shards), {})
    here.folder.mkdir(parents=True, exist_ok=True)
    name = f"{repo_id}.jsonl"
    write_rows(here.folder / name, rows)
    _finish(settings, artifact, repo_id, name, len(rows), extra or {})


def put_traces(settings: Settings, repo_id: int, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a trace file; return where it is."""
    here = place(settings, "teacher_traces", shard_of(repo_id, settings.shards), {})
    here.folder.mkdir(parents=True, exist_ok=True)
    path = here.folder / f"{repo_id}.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema_of("traces")), path)
    _finish(settings, "teacher_traces", repo_id, path.name, len(rows), {})
    return path


def _finish(
    settings: Settings, artifact: str, repo_id: int, name: str, rows: int, extra: dict[str, Any]
) -> None:
    here = place(settings, artifact, shard_of(repo_id, settings.shards), {})
    unit = Unit(str(repo_id), {})
    finish_unit(here, unit, Outcome(Counts(rows, rows), files=(name,), extra=extra))
    known = [Unit(path.name.split(".")[0], {}) for path in here.folder.glob("*.record.json")]
    close(here, [one for one in known if one.key != "record"], fresh=1)


def task(row: Commit, **other: Any) -> TaskPrompt:
    """An accepted task of a commit."""
    known = {
        "style": "imperative",
        "prompt": "Return an empty list when nothing was found.",
        "accepted": True,
        "reject_reason": "",
        "finish_reason": "stop",
        "model": "m",
        "prompt_fingerprint": "p",
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "leak": 0.0,
        "grounding": 1.0,
        "copy_overlap": 0.25,
        "words": 8,
        "english": 1.0,
        "self_contained": 1.0,
        "judge": None,
    }
    identity = {name: asdict(row)[name] for name in ("repo_id", "repo", "sha", "parent_sha")}
    return TaskPrompt(**{**identity, **known, **other})


def trace(row: Commit, **other: Any) -> dict[str, Any]:
    """A trace of two tokens."""
    return {
        "trace_id": f"t{row.sha[-4:]}",
        "repo_id": row.repo_id,
        "sha": row.sha,
        "parent_sha": row.parent_sha,
        "kind": "instruction",
        "style": "imperative",
        "target": "teacher",
        "prompt": "Return an empty list.",
        "student_path": "",
        "student_prompt_ids": [1, 2, 3],
        "response_ids": [3, 4],
        "response_text": "return []",
        "top_k": 2,
        "topk_ids": [[3, 5], [4, 6]],
        "topk_logprobs": [[-0.1, -3.0], [-0.000123, -9.5]],
        "tail_mass": [0.05, 0.0],
        "manifest_paths": ["src/app.py"],
        "manifest_tokens": [9],
        "manifest_reasons": ["touched"],
        "gold_paths": ["src/app.py"],
        "hops": 0,
        "chain": "",
        "step": 0,
        "language": "Python",
        "repository_bytes": 1_000,
        "finish_reason": "stop",
        "tokenizer_fingerprint": "f",
        **other,
    }


def found(kind: str, text: str, part: str, *, field: str = "message") -> Finding:
    """A finding where `part` stands in `text`."""
    start = text.index(part)
    return Finding(kind=kind, field=field, start=start, end=start + len(part))
