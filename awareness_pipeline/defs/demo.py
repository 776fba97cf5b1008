"""`make demo`: the three jobs in this process, on the instance that `make ui` shows.

Each job is one run over the range of all its partitions, so an asset finishes every partition
before the next asset starts (curation sees every shard), every partition shows as materialized with
its own metadata, and Dagster's bookkeeping stays at three runs. A second demo makes three runs more
that find everything done. Files and final table are those of `awareness demo`.

A demo that was killed leaves runs that look alive and hold places in pools; the next one, which
holds the lock, reports them failed and frees the places. Limits: runs that something else started
and lost (a killed `dg launch`) are left to Dagster's daemon.
"""

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import cast

import dagster as dg

from awareness_pipeline import config, flow
from awareness_pipeline.cli.errors import line_for
from awareness_pipeline.cli.serve import dagster_home
from awareness_pipeline.cli.work import Work, tell
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.defs.jobs import JOB_OF
from awareness_pipeline.defs.location import location
from awareness_pipeline.defs.partitions import whole_range
from awareness_pipeline.defs.reports import UNITS_DONE
from awareness_pipeline.demo import demo_model, demo_settings, sandbox
from awareness_pipeline.doctor import require_git
from awareness_pipeline.locks import hold
from awareness_pipeline.standing import standings

DEMO_TAG = {"awareness/demo": "in process"}
RUN_TAGS = {
    **DEMO_TAG,
    # By this tag Dagster lists a run under its job, as it does runs that it launched itself.
    ".dagster/repository": "__repository__@awareness",
    # A killed demo is started again by a person; the daemon could not, it has no way in here.
    "dagster/max_retries": "0",
}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class _Screen(io.TextIOBase):
    """The real stderr without its file descriptor, which is what Dagster would divert to a file:
    progress bars stay on the terminal."""

    def write(self, text: str) -> int:
        assert sys.__stderr__ is not None
        return sys.__stderr__.write(text)

    def flush(self) -> None:
        assert sys.__stderr__ is not None
        sys.__stderr__.flush()

    def isatty(self) -> bool:
        assert sys.__stderr__ is not None
        return sys.__stderr__.isatty()


def main() -> int:
    """Run the demo. Returns 0; 1 when an asset check failed; 2 for what the user can mend."""
    try:
        require_git()
        root = config.load("demo").paths.root
        demo_model()
        with redirect_stderr(_Screen()), sandbox(root) as url, instance_of_demo() as instance:
            settings = demo_settings(url)
            started = time.monotonic()
            fresh, failed = materialize(settings, instance)
            stages = tuple(standings(settings.paths, settings.version, fresh))
            tell(settings, Work(stages, time.monotonic() - started), as_machine=False)
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        print("error: interrupted; `make demo` goes on where it stopped", file=sys.stderr)
        return 2
    except Exception as error:
        said = line_for(error)
        if said is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        return 2
    for line in failed:
        print(f"check failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def materialize(
    settings: Settings, instance: dg.DagsterInstance, until: str = flow.STAGES[-1]
) -> tuple[dict[str, int], list[str]]:
    """Run the jobs over all their partitions, in flow order, to the stage `until`.

    Returns the units done now, by stage, and a line per failed check (warnings left out).

    Raises:
        UserError and whatever else a stage raises; the run is then recorded as failed.
    """
    definitions = location(settings)
    chosen = flow.FLOW[: flow.STAGES.index(until) + 1]
    fresh: dict[str, int] = {}
    failed: list[str] = []
    for kind, name in JOB_OF.items():
        steps = [step for step in chosen if step.partitioned_by == kind]
        if not steps:
            continue
        result = definitions.resolve_job_def(name).execute_in_process(
            instance=instance,
            run_config=QUIET,
            tags={**RUN_TAGS, **whole_range(steps[0], settings)},
            asset_selection=[dg.AssetKey(step.artifact) for step in steps],
        )
        for step in steps:
            events = result.asset_materializations_for_node(step.artifact)
            fresh[step.name] = sum(_fresh(event) for event in events)
        failed += [_line(found) for found in result.get_asset_check_evaluations() if _bad(found)]
    return fresh, failed


def _fresh(event: dg.AssetMaterialization) -> int:
    return int(cast("int", event.metadata[UNITS_DONE].value))


def _bad(found: dg.AssetCheckEvaluation) -> bool:
    return not found.passed and found.severity is dg.AssetCheckSeverity.ERROR


def _line(found: dg.AssetCheckEvaluation) -> str:
    return f"{found.asset_key.to_user_string()} {found.check_name}: {found.description}"


@contextmanager
def instance_of_demo() -> Iterator[dg.DagsterInstance]:
    """Open the instance for this process alone, free of what a killed demo left.

    Raises:
        UserError: another demo is at work on it, or its folder is not there.
    """
    home = dagster_home()
    if not home.is_dir():
        raise UserError(f"DAGSTER_HOME is {home}, but there is no such folder")
    os.environ["DAGSTER_HOME"] = str(home)
    with hold(home / ".demo.lock", wait=False) as held:
        if not held:
            raise UserError(f"another demo is running on {home}: let it end first")
        with dg.DagsterInstance.get() as instance:
            bury(instance)
            yield instance


def bury(instance: dg.DagsterInstance) -> int:
    """Report the runs of killed demos failed and free their places in pools. Returns how many.

    Only for the holder of the lock: to others a run at work looks the same.
    """
    lost = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=DEMO_TAG))
    for run in lost:
        instance.report_run_failed(run, "the process of this demo was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(lost)


if __name__ == "__main__":
    sys.exit(main())
