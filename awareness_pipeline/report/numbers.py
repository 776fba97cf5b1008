"""The numbers of a version: ten stages, the evidence, the evaluation, and what weakens them.

The form is fixed, machines read it: `awareness report --json` prints `summary`.
"""

from collections.abc import Iterable
from typing import Any

from awareness_model.schema import LAYOUTS
from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.config import Paths
from awareness_pipeline.report.evidence import evidence_of
from awareness_pipeline.report.samples import funnels
from awareness_pipeline.standing import as_json, partition_records, standings

OUT_UNITS = {
    "discover": "repositories",
    "clone": "clones",
    "extract": "commits",
    "curate": "commits",
    "reverse": "prompts",
    "distil": "traces",
    "audit": "texts",
    "encode": "memory records",
    "train": "checkpoints",
    "evaluate": "items",
}
"""What `out` counts, by stage."""


def summary(paths: Paths, version: str) -> dict[str, Any]:
    """Return `{"version", "seconds_total", "stages": […]}` with `prompts` (`samples.funnels`), and
    with `evidence` and `evaluation`, each None where it has not run."""
    stages = as_json(standings(paths, version))
    return {
        "version": version,
        "seconds_total": round(sum(one["seconds"] for one in stages), 3),
        "stages": [{**one, "out_unit": OUT_UNITS[one["name"]]} for one in stages],
        "prompts": funnels(paths, version),
        "evidence": evidence_of(paths, version),
        "evaluation": evaluation_of(paths, version),
    }


def evaluation_of(paths: Paths, version: str) -> dict[str, Any] | None:
    """Return the evaluation by layout, or None where it has not run.

    `{"n_repos", "n_items", "kv": {"nll": {condition: nats per answer token}, "S", "S_ci": [low,
    high], "R"}, "latent": {…}}` and what else `awareness_model.evaluate` reports. A layout that was
    not measured is left out; R is None where the text gains nothing.
    """
    record = _record(paths, "evaluation", version)
    return None if record is None else dict(record.extra)


def caveats(paths: Paths, version: str) -> list[str]:
    """Return what a reader should know before quoting the numbers, as far as it can be told."""
    said = [
        "S compares memories by the likelihood of known answers; it says nothing about tasks.",
        "S also counts the harm of wrong memory, not only the good of the right one.",
        "R divides by what the text itself gains: where the text gains little, R is noise.",
    ]
    evaluation, record = evaluation_of(paths, version), _record(paths, "evaluation", version)
    evidence = evidence_of(paths, version) or {}
    if record and (visible := record.settings.get("visible_documents")):
        said.insert(
            0,
            f"The document that decides an answer is always among the {visible} the decoder may "
            "see: reading is measured, finding is not.",
        )
    if evaluation:
        said.append(
            f"Intervals resample {evaluation['n_repos']} repositories: with so few they are wide "
            "and themselves uncertain."
        )
        said += [line for name in LAYOUTS for line in _layout_caveats(evaluation, name)]
    said += [f"Not clear of 0: {line}." for line in evidence.get("unclear", ())]
    return said + _prompt_caveats(paths, version) + _training_caveats(paths, version)


def _layout_caveats(evaluation: dict[str, Any], layout: str) -> list[str]:
    if layout not in evaluation:
        return [f"{layout} was not measured."]
    router = evaluation[layout].get("router", {})
    chance = router.get("chance", 0.0)
    return [
        f"The router of {layout} finds the deciding document less often than blind choice."
        for name, recall in router.items()
        if name.startswith("recall_at_") and recall < chance
    ]


def _prompt_caveats(paths: Paths, version: str) -> list[str]:
    return [
        f"{steps['accepted']} of {steps['wanted']} {style} prompts could be used: commits that the "
        "model copes with are the easier ones."
        for style, steps in funnels(paths, version).items()
        if 2 * steps["accepted"] < steps["wanted"]
    ]


def _training_caveats(paths: Paths, version: str) -> list[str]:
    record = _record(paths, "gca_checkpoint", version)
    steps: Any = record.settings.get("steps") if record else None
    if not isinstance(steps, int) or steps >= 200:
        return []
    return [f"latent was trained for {steps} steps only: too few to read several documents."]


def repository_names(paths: Paths, version: str, repo_ids: Iterable[str]) -> dict[str, str]:
    """Return full names by repository id, as the clones' records have them; else the id itself."""
    folder, names = paths.artifact("clones") / version, {}
    for repo_id in repo_ids:
        records = (read_record(path) for path in folder.glob(f"*/{repo_id}.record.json"))
        found = [str(record.extra["full_name"]) for record in records if record and record.extra]
        names[repo_id] = found[0] if found else repo_id
    return names


def _record(paths: Paths, artifact: str, version: str) -> Record | None:
    """Return the record of an artifact that is one whole."""
    records = partition_records(paths, artifact, version)
    return records[0][1] if records else None
