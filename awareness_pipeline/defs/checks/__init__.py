"""What must hold of the files an asset left. Checks read files only: no network, no model.

A check is a function that yields one line per problem; `asset_checks` wraps them for Dagster. In a
run over some partitions a check looks at those that changed since it found them sound, otherwise
(started by hand) at all that are finished; its metadata says which. A file that cannot be read is a
problem like any other.

Limits: the newest verdict stands for the asset, so read it with the partitions it names.
"""

from collections.abc import Sequence
from itertools import islice

import dagster as dg

from awareness_pipeline import flow
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.checks import audit, collect, distil, encode, learn
from awareness_pipeline.defs.checks.check import Check

CHECKS: tuple[Check, ...] = (
    *collect.CHECKS,
    *distil.CHECKS,
    *audit.CHECKS,
    *encode.CHECKS,
    *learn.CHECKS,
)

SHOWN = 20
"""Problems listed; a check stops looking once it has so many."""


def asset_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the flow for these settings."""
    return [_asset_check(check, settings) for check in CHECKS]


def look(check: Check, settings: Settings, partitions: Sequence[str]) -> list[str]:
    """Return what a check finds wrong in these partitions; empty: nothing."""
    return list(islice(check.problems(settings, partitions), SHOWN))


def _asset_check(check: Check, settings: Settings) -> dg.AssetChecksDefinition:
    step = flow.step_named(check.artifact)

    def evaluate(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        partitions = _chosen(context, step, settings)
        in_run = _of_run(context, step)
        marks = check.open_marks(settings, partitions) if in_run else dict.fromkeys(partitions, "")
        found = look(check, settings, list(marks)) if marks else []
        if not found:
            check.found_sound(settings, marks)
        return dg.AssetCheckResult(
            passed=not found,
            severity=check.severity,
            description=found[0] if found else None,
            metadata={
                "partitions": dg.MetadataValue.text(", ".join(partitions) or "none finished"),
                "looked at": dg.MetadataValue.int(len(marks)),
                "sound and unchanged": dg.MetadataValue.int(len(partitions) - len(marks)),
                "problems": dg.MetadataValue.int(len(found)),
                **({"what is wrong": dg.MetadataValue.md(_bullets(found))} if found else {}),
            },
        )

    return dg.asset_check(asset=check.artifact, name=check.name, description=check.description)(
        evaluate
    )


def _bullets(found: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in found)


def _of_run(context: dg.AssetCheckExecutionContext, step: flow.Step) -> bool:
    operation = context.op_execution_context
    ranged = operation.has_partition_key or operation.has_partition_key_range
    return bool(step.partitioned_by) and ranged


def _chosen(
    context: dg.AssetCheckExecutionContext, step: flow.Step, settings: Settings
) -> Sequence[str]:
    """Return the partitions of the run, or all that have a record where it has none."""
    if _of_run(context, step):
        return context.op_execution_context.partition_keys
    folder = settings.paths.artifact(step.artifact) / settings.version
    keys = step.partitions(settings)
    return [key for key in keys if (folder / key / "record.json").exists()]
