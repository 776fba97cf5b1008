"""Commits and their accepted prompts, as questions to the audit.

How likely is the true change behind its own prompt, behind that of another commit of the same
repository, behind that of a commit of another repository? All three are of one style. The partner
commits are the same for all styles as far as they have them, so that styles can be compared.
Commits with every style, and a partner with every style in their repository, are asked about first.

The change is what a diff adds and removes, line by line with its sign. Limits: headers, hunk marks
and unchanged lines are left out, so nothing names a file that the change does not.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from awareness_model.schema import AuditRequest, Reading, digest, read_rows
from awareness_pipeline.artifacts import Record
from awareness_pipeline.config import Audit
from awareness_pipeline.evidence.partners import chosen, ranked
from awareness_pipeline.evidence.plan import Plan
from awareness_pipeline.gitio.commits import read_commits
from awareness_pipeline.patch.hunks import read_patch
from awareness_pipeline.records import TaskPrompt

__all__ = ["Prompted", "changed_text", "plan_prompts", "read_prompts"]

CHARACTERS_PER_TOKEN = 16
"""More text than this per token is never sent: it would not be scored."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A commit with its accepted prompts, by style."""

    repo_id: int
    sha: str
    prompts: Mapping[str, str]

    @property
    def key(self) -> str:
        """Return its name."""
        return f"{self.repo_id}:{self.sha}"


def read_prompts(
    tasks: Iterable[tuple[Path, Record]],
) -> tuple[tuple[str, ...], list[Prompted]]:
    """Return the styles that were asked for, and the commits that have accepted prompts."""
    styles: dict[str, None] = {}
    found: dict[tuple[int, str], dict[str, str]] = {}
    for folder, record in tasks:
        for name in sorted(record.files):
            for row in read_rows(TaskPrompt, folder / name):
                styles.setdefault(row.style)
                if row.accepted:
                    found.setdefault((row.repo_id, row.sha), {})[row.style] = row.prompt
    commits = [Prompted(repo_id, sha, prompts) for (repo_id, sha), prompts in found.items()]
    return tuple(styles), commits


def plan_prompts(
    styles: tuple[str, ...],
    commits: Sequence[Prompted],
    rows: Mapping[int, Path],
    settings: Audit,
    model: str,
) -> Plan:
    """Return what is asked about prompts.

    Args:
        styles: all that were asked for; one without any accepted prompt is not waited for.
        rows: file of commit rows, by repository.
        model: identity of the model that scores.
    """
    plan = Plan("prompt", styles)
    had = {style for one in commits for style in one.prompts}
    for one in commits:
        plan.offered.update(one.prompts.keys())
    whole = {one.key for one in commits if had <= one.prompts.keys()}
    company = Counter(one.repo_id for one in commits if one.key in whole)
    pairs = {one.key for one in commits if one.key in whole and company[one.repo_id] > 1}
    taken = chosen(commits, settings.max_commits, settings.seed, lambda one: one.key not in pairs)
    texts = _texts(taken, rows, settings.max_text_tokens * CHARACTERS_PER_TOKEN)
    asked = {one.key for one in taken}
    for one in sorted(commits, key=lambda one: one.key):
        if one.key not in asked:
            plan.dropped.update((style, "over_cap") for style in one.prompts)
        elif not (text := texts.get(one.key, "")):
            plan.dropped.update((style, "no_change") for style in one.prompts)
        else:
            _ask(plan, one, text, commits, whole, settings, model)
    return plan


def changed_text(diff: str) -> str:
    """Return the added and removed lines of a diff with their signs, in order."""
    lines = (one for file in read_patch(diff) for hunk in file.hunks for one in hunk.lines)
    return "\n".join(sign + line.removesuffix("\n") for sign, line in lines if sign != " ")


def _texts(taken: Iterable[Prompted], rows: Mapping[int, Path], most: int) -> dict[str, str]:
    """Return what each commit changes, cut at `most` characters."""
    wanted: dict[int, set[str]] = {}
    for one in taken:
        wanted.setdefault(one.repo_id, set()).add(one.sha)
    return {
        f"{repo_id}:{commit.sha}": changed_text(commit.diff)[:most]
        for repo_id, shas in wanted.items()
        if repo_id in rows
        for commit in read_commits(rows[repo_id])
        if commit.sha in shas
    }


def _ask(
    plan: Plan,
    own: Prompted,
    text: str,
    commits: Sequence[Prompted],
    whole: Collection[str],
    settings: Audit,
    model: str,
) -> None:
    """Ask about every style of a commit that another commit has too."""
    near = [one for one in commits if one.repo_id == own.repo_id and one.key != own.key]
    far = [one for one in commits if one.repo_id != own.repo_id]
    order = {
        name: ranked(own, candidates, settings.seed, lambda one: one.key not in whole)
        for name, candidates in (("same", near), ("other", far))
    }
    for style in (name for name in plan.groups if name in own.prompts):
        readings = [Reading("own", own.prompts[style])]
        for name, candidates in order.items():
            held = (one.prompts[style] for one in candidates if style in one.prompts)
            readings += [Reading(name, prompt) for prompt in held][:1]
        if len(readings) == 1:
            plan.dropped[style, "no_other_prompt"] += 1
        else:
            plan.requests.append(_request(own, style, text, tuple(readings), settings, model))


def _request(
    own: Prompted,
    style: str,
    text: str,
    readings: tuple[Reading, ...],
    settings: Audit,
    model: str,
) -> AuditRequest:
    limits = (str(settings.max_text_tokens), str(settings.max_prompt_tokens))
    read = (part for one in readings for part in (one.name, one.prompt))
    return AuditRequest(
        id=digest(model, own.key, "prompt", style, text, *limits, *read),
        kind="prompt",
        group=style,
        repo_id=own.repo_id,
        sha=own.sha,
        text=text,
        readings=readings,
        max_text_tokens=settings.max_text_tokens,
        max_prompt_tokens=settings.max_prompt_tokens,
        max_context_tokens=0,
    )
