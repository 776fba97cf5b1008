"""The sample page: 20 random prompts that were accepted beside 20 that were rejected.

It stands beside the report, needs nothing from outside, and is the same each time. All text comes
from models and repositories, and is escaped.
"""

from collections.abc import Collection, Sequence
from html import escape
from itertools import zip_longest
from pathlib import Path

from awareness_model.schema import write_atomic
from awareness_pipeline.config import Paths
from awareness_pipeline.records import TaskPrompt
from awareness_pipeline.report.html import absent, document
from awareness_pipeline.report.samples import Sample, drawn_prompts

__all__ = ["PAGE", "sample_page", "write_samples"]

PAGE = "prompts.html"
"""The page of a whole version; `prompts-<partition>.html` is that of one shard."""


def write_samples(paths: Paths, version: str, partition: str = "") -> Path:
    """Write the sample page of a version, or of one of its shards; return where it is."""
    name = f"prompts-{partition}.html" if partition else PAGE
    path = paths.root / "report" / version / name
    chosen = [partition] if partition else None
    write_atomic(path, sample_page(paths, version, chosen).encode())
    return path


def sample_page(paths: Paths, version: str, partitions: Collection[str] | None = None) -> str:
    """Return the sample page as HTML."""
    accepted, rejected = drawn_prompts(paths, version, partitions)
    shard = f", shard {', '.join(partitions)}" if partitions else ""
    title = f"Task prompts: version {version}{shard}"
    if not accepted and not rejected:
        return document(title, absent())
    said = (
        "<p>Random prompts that the model wrote, drawn by a hash: the same files show the same "
        "ones. Each stands above its commit's own message and its scores.</p>"
    )
    return document(title, said + _beside(accepted, rejected))


def _beside(accepted: Sequence[Sample], rejected: Sequence[Sample]) -> str:
    head = f"<tr><th>accepted ({len(accepted)})</th><th>rejected ({len(rejected)})</th></tr>"
    rows = (
        f"<tr><td>{_sample(left)}</td><td>{_sample(right)}</td></tr>"
        for left, right in zip_longest(accepted, rejected)
    )
    return f'<table class="beside">{head}{"".join(rows)}</table>'


def _sample(one: Sample | None) -> str:
    if one is None:
        return ""
    row = one.prompt
    told = f"{row.style}, {row.repo} {row.sha[:10]}"
    verdict = "accepted" if row.accepted else f"rejected: {row.reject_reason}"
    return (
        f'<p>{escape(told)}<br><span class="reason">{escape(verdict)}</span></p>'
        f"<blockquote>{escape(row.prompt or '(no text)')}</blockquote>"
        f'<p class="reason">commit message: {escape(one.message or "(none)")}<br>'
        f"{escape(_scores(row))}</p>"
    )


def _scores(row: TaskPrompt) -> str:
    found = {
        "leak": row.leak,
        "grounding": row.grounding,
        "copied": row.copy_overlap,
        "English": row.english,
        "self-contained": row.self_contained,
    }
    shown = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    judge = "" if row.judge is None else f", judge {row.judge:g}"
    return f"{row.words} words, {shown}{judge}"
