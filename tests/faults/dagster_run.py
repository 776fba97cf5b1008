"""A run of Dagster's as a process of its own, so that it can be killed, and a launcher that loses
runs: `python -m tests.faults.dagster_run HOME JOB ASSET…`. The environment says where files are.
"""

import sys
from collections.abc import Sequence

import dagster as dg
from dagster._core.launcher import LaunchRunContext
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher

from awareness_pipeline.defs import demo
from awareness_pipeline.defs.location import location
from awareness_pipeline.defs.partitions import whole_range
from awareness_pipeline.flow import step_named
from tests.pipeline.cluster.small_flow import settings

LOST = "tests/lost"
"""A run with this tag never starts, the first time that it is launched."""


def discover() -> dg.JobDefinition:
    """Return the job that finds repositories."""
    return location(settings()).resolve_job_def("discover")


def build() -> dg.JobDefinition:
    """Return the job of shards."""
    return location(settings()).resolve_job_def("build")


def execute(
    instance: dg.DagsterInstance, job: str, assets: Sequence[str], failed: str = ""
) -> dg.JobExecutionResult:
    """Run a job's assets over all their partitions, or what a failed run has left of it."""
    options = failed and dg.ReexecutionOptions.from_failure(failed, instance)
    return dg.execute_job(
        dg.reconstructable({"discover": discover, "build": build}[job]),
        instance=instance,
        tags={**demo.DEMO_TAG, **whole_range(step_named(assets[0]), settings())},
        asset_selection=None if failed else [dg.AssetKey(name) for name in assets],
        reexecution_options=options or None,
        raise_on_error=False,
    )


class Loses(SyncInMemoryRunLauncher):
    """Runs what it is given at once, in this process, but for runs that it loses."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Run it, unless its tag says that it gets lost."""
        run = context.dagster_run
        if LOST in run.tags and run.parent_run_id is None:
            return
        super().launch_run(context)


if __name__ == "__main__":
    home, job, *assets = sys.argv[1:]
    with dg.DagsterInstance.from_config(home) as instance:
        raise SystemExit(not execute(instance, job, assets).success)
