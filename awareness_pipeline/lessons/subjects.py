"""Commits that a language model is asked about: which, what is shown of them, what is known.

Chosen are small changes of source files first. Signatures and names are read from the clone's
objects; nothing is checked out. Where an object is missing a commit is shown without signatures,
and of a tree that cannot be read nothing is known.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from awareness_model.schema import read_rows
from awareness_pipeline.gitio.commits import read_commits
from awareness_pipeline.gitio.labels import is_documentation, is_test
from awareness_pipeline.gitio.languages import language_of
from awareness_pipeline.gitio.repository import BrokenRepository, RepositoryError
from awareness_pipeline.gitio.touched import touched_files
from awareness_pipeline.gitio.vocabulary import names_at
from awareness_pipeline.records import Commit, Decision
from awareness_pipeline.symbols.signatures import touched_signatures
from awareness_pipeline.teacher.prompts import changed_lines
from awareness_pipeline.teacher.tasks import Draft, Subject

__all__ = ["known_names", "rank", "subjects_of"]

SMALL_DIFF_CHARACTERS: Final = 8_000
"""Larger diffs come after all small ones (R2E-Gym keeps patches below 10,000 characters)."""
MAX_SIGNATURES: Final = 24


def subjects_of(commits: Path, decisions: Path, clone: Path, limit: int) -> list[Subject]:
    """Return the first commits of a repository, by rank, that curation keeps.

    Args:
        commits: its commit file.
        decisions: what curation says of them.
        clone: where signatures are read; it may be missing.
        limit: most commits.
    """
    if not limit:
        return []
    kept = {row.sha for row in read_rows(Decision, decisions) if row.keep}
    rows = (commit for commit in read_commits(commits) if commit.sha in kept)
    chosen = heapq.nsmallest(limit, rows, key=rank)
    return [Subject(one, changed_lines(one.diff), _signatures(clone, one)) for one in chosen]


def rank(commit: Commit) -> tuple[bool, bool, bool, bool, str]:
    """Return a commit's place in its repository's queue: first those that change lines, that change
    source code, that change a file which was there before, that are small; among equals the hash
    decides."""
    return (
        not commit.additions + commit.deletions,
        not any(map(_is_source, commit.files_changed)),
        not any(change.status != "added" for change in commit.files),
        len(commit.diff) > SMALL_DIFF_CHARACTERS,
        commit.sha,
    )


def known_names(clone: Path, drafts: Iterable[Draft]) -> Mapping[str, Collection[str]]:
    """Return by parent which names of a repository's drafts are in its tree.

    Raises:
        NotARepository: the clone is not there.
    """
    wanted: dict[str, frozenset[str]] = {}
    for draft in drafts:
        if parent := draft.subject.commit.parent_sha:
            wanted[parent] = wanted.get(parent, frozenset()) | draft.wanted
    try:
        return names_at(clone, wanted) if wanted else {}
    except BrokenRepository:
        return {parent: _known_at(clone, parent, names) for parent, names in wanted.items()}


def _known_at(clone: Path, parent: str, names: Collection[str]) -> Collection[str]:
    try:
        return names_at(clone, {parent: names})[parent]
    except BrokenRepository:
        return frozenset()


def _is_source(path: str) -> bool:
    return bool(language_of(path)) and not is_test(path) and not is_documentation(path)


def _signatures(clone: Path, commit: Commit) -> tuple[str, ...]:
    """Return the signatures of what a commit touches; none where its objects are missing."""
    try:
        files = touched_files(clone, commit)
    except RepositoryError:
        return ()
    found = (
        signature
        for file in files
        for signature in touched_signatures(
            file.before, file.after, file.language, removed=file.removed, added=file.added
        )
    )
    return tuple(islice(dict.fromkeys(found), MAX_SIGNATURES))
