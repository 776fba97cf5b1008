"""The columns of what each asset holds, as Dagster shows them: names, types and meanings.

Read off the row classes, whose attribute docstrings are the descriptions, so the page can't differ
from the code; what these leave to the name is said as the card of an export says it. Artifacts that
are no tables show what a row of theirs tells.
"""

import ast
import dataclasses
import inspect
import re
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import get_args

import dagster as dg

from awareness_model.schema import traces
from awareness_pipeline import records
from awareness_pipeline.export.notes import NOTES

ROWS: dict[str, tuple[ModuleType, type]] = {
    "repositories": (records, records.Repository),
    "commits": (records, records.Commit),
    "curated_commits": (records, records.Decision),
    "task_prompts": (records, records.TaskPrompt),
}
TOLD: dict[str, dict[str, tuple[str, str]]] = {
    "clones": {
        "repo_id": ("int", "name of the folder, `<repo_id>.git`"),
        "full_name": ("string", "OWNER/NAME when it was cloned"),
        "language": ("string", "main language, by the host"),
        "stars": ("int", "when it was cloned"),
        "licence": ("string", "SPDX identifier, by the host"),
        "fork": ("bool", "of another repository"),
        "head": ("string", "commit of the default branch"),
        "rewritten": ("bool", "the branch did not only grow since the clone before"),
    },
    "data_evidence": {
        "kind": ("string", "what is compared: prompt, context, or gain over the message"),
        "group": ("string", "style of the prompts, or target of the traces"),
        "control": ("string", "whose text stands in place of the own one"),
        "D": ("float", "NLL behind another's text less NLL behind the own one, nats per token"),
        "D_ci": ("float", "95 % interval; repositories are resampled"),
        "n_repos": ("int", "repositories that were compared"),
        "n_items": ("int", "texts that were scored"),
        "n_tokens": ("int", "their tokens"),
    },
    "memory_shards": {
        "repo_id": ("int", "whose tree it is"),
        "sha": ("string", "commit of the tree"),
        "path": ("string", "of the document in that tree"),
        "content_hash": ("string", "what leads to the records of its memory"),
        "scope": ("string", "named scope that it belongs to"),
        "acl": ("string", "who may read it; asked before any tensor is loaded"),
    },
    "gca_checkpoint": {
        "step": ("int", "of the optimizer"),
        "loss": ("float", "what is minimised: the terms below, weighted"),
        "ce": ("float", "cross-entropy of the answer, nats per token"),
        "kl": ("float", "divergence from the teacher's alternatives, nats per token"),
        "citation": ("float", "-log of the attention mass on gold documents"),
        "null": ("float", "of the mass that goes nowhere where nothing fits"),
        "visible": ("int", "documents in memory at this step"),
    },
    "evaluation": {
        "layout": ("string", "kv or latent"),
        "nll": ("float", "nats per answer token: own, other, none, text"),
        "S": ("float", "NLL(other repository's memory) less NLL(own)"),
        "S_ci": ("float", "95 % interval of S; repositories are resampled"),
        "R": ("float", "S over what the same text in the context gives"),
    },
}

EXPORTED = {
    "repositories": "repositories",
    "commits": "commits",
    "curated_commits": "commits",
    "task_prompts": "tasks",
    "teacher_traces": "traces",
}
"""What an artifact is called in an export, whose notes hold for it too."""
OWN = {
    "message": "as it was committed",
    "diff": "unified diff to the parent, as git prints it; a merge has none unless it is asked for",
    "prompt": "the task, as text",
    "keep": "whether the commit goes on",
    "split": "`train` or `held_out`; a repository's side never moves",
    "style": "how the task is put: `issue`, `imperative`, `terse`, or `message`",
}
"""Columns that an export lacks, or writes otherwise: there, secrets are replaced."""

_MEANING = re.compile(r"- `(\w+)`: (.*?)(?= - `|$)")


def columns_of(artifact: str) -> dg.TableSchema:
    """Return the columns of an artifact."""
    if artifact in ROWS:
        told = _of_rows(*ROWS[artifact])
    elif artifact == "teacher_traces":
        told = _of_traces()
    else:
        told = TOLD[artifact]
    notes = NOTES.get(EXPORTED.get(artifact, ""), {})
    columns = [
        dg.TableColumn(name, kind, said or OWN.get(name) or notes.get(name))
        for name, (kind, said) in told.items()
    ]
    return dg.TableSchema(columns)


def _of_rows(module: ModuleType, row: type) -> dict[str, tuple[str, str]]:
    said = _docstrings(module).get(row.__name__, {})
    return {
        item.name: (_kind(item.type), said.get(item.name, "")) for item in dataclasses.fields(row)
    }


def _of_traces() -> dict[str, tuple[str, str]]:
    """Return the columns of the Parquet file; the string below them has a line for some."""
    said = dict(
        _MEANING.findall(_below(ast.parse(inspect.getsource(traces)).body)["TRACE_COLUMNS"])
    )
    return {name: (kind, said.get(name, "")) for name, kind in traces.TRACE_COLUMNS.items()}


def _kind(given: object) -> str:
    name = given.__name__ if isinstance(given, type) and not get_args(given) else str(given)
    return re.sub(r"\w+\.(?=\w)", "", name)


@cache
def _docstrings(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the strings below the attributes of a module's classes, by class and attribute."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = _below(node.body)
    return found


def _below(body: list[ast.stmt]) -> dict[str, str]:
    said = {}
    for one, after in pairwise(body):
        if not (isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            said[one.target.id] = " ".join(str(after.value.value).split())
    return said
