"""The three jobs that hold the flow; `schedules.py` has what refreshes it.

A job can't hold two kinds of partitions, so the flow is three: `discover` (a partition is a
language), `build` (clone … encode; a partition is a shard) and `learn` (audit, train, evaluate; one
whole). A job takes the checks of its assets along.
"""

import dagster as dg

from awareness_pipeline import flow

JOB_OF = {"language": "discover", "shard": "build", "": "learn"}
"""The job that holds a step, by what its partitions are; in flow order."""

JOBS = tuple(
    dg.define_asset_job(
        name=job,
        description=", ".join(step.name for step in flow.FLOW if step.partitioned_by == kind),
        selection=[step.artifact for step in flow.FLOW if step.partitioned_by == kind],
    )
    for kind, job in JOB_OF.items()
)
