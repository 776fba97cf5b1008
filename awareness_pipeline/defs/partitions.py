"""Languages and shards as Dagster sees them, and which partition depends on which.

Static keys only, never one per repository: each key costs two event writes per asset and run, which
at 100,000 repositories is days of bookkeeping. What is done inside a shard is known to the records
beside the files.

A backfill is one run, in which an asset finishes all its partitions before the next one starts.
Where runs are containers on many machines, AWARENESS_PARTITIONS_PER_RUN says how many shards each
takes; Dagster then waits for all of `commits` before any run of `curated_commits`. `dg launch
--partition-range` works only without it.
"""

import os
import re

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from awareness_pipeline import flow
from awareness_pipeline.config import Settings, UserError

READS_EVERY_SHARD = frozenset({"curated_commits"})
"""Artifacts of which one shard depends on all shards: duplicates are looked for everywhere."""


def partitions_def(step: flow.Step, settings: Settings) -> dg.StaticPartitionsDefinition | None:
    """Return the partition keys of a step; None for a step that is one whole."""
    if not step.partitioned_by:
        return None
    return dg.StaticPartitionsDefinition(list(step.partitions(settings)))


def backfill_policy(step: flow.Step) -> dg.BackfillPolicy | None:
    """Return how many partitions one run of a backfill takes; discovery's are always one round.

    Raises:
        UserError: `AWARENESS_PARTITIONS_PER_RUN` is no number from 1 up.
    """
    said = os.environ.get("AWARENESS_PARTITIONS_PER_RUN") or ""
    if said and not re.fullmatch(r"[1-9]\d{0,5}", said, re.ASCII):
        raise UserError("AWARENESS_PARTITIONS_PER_RUN must be a whole number from 1 up")
    if not step.partitioned_by:
        return None
    if said and step.partitioned_by == "shard":
        return dg.BackfillPolicy.multi_run(int(said))
    return dg.BackfillPolicy.single_run()


def whole_range(step: flow.Step, settings: Settings) -> dict[str, str]:
    """Return the run tags that ask for all partitions of a step in one run."""
    if not step.partitioned_by:
        return {}
    keys = step.partitions(settings)
    return {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}


def dependencies(step: flow.Step) -> list[dg.AssetDep]:
    """Return the artifacts a step reads, each with its partition mapping spelled out."""
    return [
        dg.AssetDep(artifact, partition_mapping=_mapping(step, flow.step_named(artifact)))
        for artifact in step.upstream
    ]


def _mapping(step: flow.Step, upstream: flow.Step) -> dg.PartitionMapping | None:
    if not upstream.partitioned_by:
        return None
    same_kind = step.partitioned_by == upstream.partitioned_by
    if same_kind and step.artifact not in READS_EVERY_SHARD:
        return dg.IdentityPartitionMapping()
    return dg.AllPartitionMapping()
