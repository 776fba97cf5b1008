"""Asking again: two refresh schedules, the liveness sweep and its schedule. All are off at first.

A refresh is one run over all languages, so that it is one round: a retry goes on with it, and what
it has finished is not asked twice. The sweep is a job of its own, which shows its numbers as
observations of `repositories`. Clones and what depends on them follow with the jobs `discover` and
`build`, which remove what the sweep found blocked or private.

Limits: times are UTC. Runs that meet on a host wait for one another.
"""

import dagster as dg

from awareness_pipeline import flow
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.assets import CARDS
from awareness_pipeline.defs.partitions import whole_range
from awareness_pipeline.stages.liveness import AFTER_DAYS, sweep

CRONS = {"refresh": "0 3 * * 1", "incremental": "0 5 * * *"}
"""Everything on Mondays at three; what was pushed since, every day at five."""
LIVENESS_CRON = "0 9 * * 1"
"""After the refresh, which has heard of most repositories by then."""
STATES = ("alive", "renamed", "archived", "gone", "blocked", "private", "refused")
AFTER = dg.Field(
    float, default_value=float(AFTER_DAYS), description="Not heard of for so many days."
)


def refreshing(settings: Settings, on: bool = False) -> list[dg.ScheduleDefinition]:
    """Return the schedules that ask for repositories again; `on`: they run until someone stops
    them."""
    return [
        _refresh("refresh", "refresh", "Weekly: ask everything again.", settings, on),
        _refresh(
            "refresh_incremental",
            "incremental",
            "Daily: ask for what was pushed since the last finished pass.",
            settings,
            on,
        ),
    ]


def _refresh(
    name: str, mode: str, says: str, settings: Settings, on: bool
) -> dg.ScheduleDefinition:
    step = flow.step_named("discover")

    @dg.schedule(
        name=name,
        job_name="discover",
        cron_schedule=CRONS[mode],
        description=f"{says} One run over all languages.",
        default_status=_status(on),
    )
    def request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(
            run_key=context.scheduled_execution_time.date().isoformat(),
            run_config={"ops": {step.artifact: {"config": {"mode": mode}}}},
            tags=whole_range(step, settings),
        )

    return request


def liveness(settings: Settings) -> dg.JobDefinition:
    """Return the job that looks up, one by one, what no search has shown for a while."""

    @dg.op(
        pool=CARDS["repositories"].pool,
        config_schema={"after_days": AFTER},
        out=dg.Out(dg.Nothing),
        description="Look up what was not heard of; note what came of it on `repositories`.",
    )
    def look_up(context: dg.OpExecutionContext) -> None:
        found = sweep(settings, context.op_config["after_days"])
        numbers = {"looked up": sum(found.values())}
        numbers |= {f"looked up, {state}": found.get(state, 0) for state in STATES}
        metadata = {name: dg.MetadataValue.int(number) for name, number in numbers.items()}
        said = ", ".join(f"{number:,} {state}" for state, number in found.items())
        context.log_event(
            dg.AssetObservation("repositories", description=said or "none", metadata=metadata)
        )

    @dg.job(name="liveness", description="The state of repositories that no search shows.")
    def job() -> None:
        look_up()

    return job


def sweeping(on: bool = False) -> dg.ScheduleDefinition:
    """Return the schedule of the liveness sweep."""
    return dg.ScheduleDefinition(
        name="liveness",
        job_name="liveness",
        cron_schedule=LIVENESS_CRON,
        description="Weekly: look up what no search has shown for a while.",
        default_status=_status(on),
    )


def _status(on: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED
