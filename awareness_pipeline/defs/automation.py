"""What starts by itself once `AWARENESS_AUTOMATION=on`: one switch, off by default (`bounds.py`).

    schedules    refresh, refresh_incremental, liveness (`schedules.py`)
    downstream   clone … encode follow what is above them, in the hours that are open, and only if
                 the check `within_automatic_bounds` holds of `repositories`
    failures     a line to a webhook for each run that failed (`notice.py`)

Freshness policies stand on the assets only while it is on, so that a demo left alone does not turn
red. Auditing, training and evaluating never start by themselves: that is for a person to ask.

Limits: hours are counted from the first tick at which they open, so whoever switches it on within
them waits for the next day. A run that did nothing is an update too; what follows it does nothing.
"""

from datetime import timedelta

import dagster as dg

from awareness_pipeline import flow
from awareness_pipeline.defs.bounds import Bounds
from awareness_pipeline.defs.notice import tell

WITHIN_BOUNDS = dg.AssetCheckKey(dg.AssetKey("repositories"), "within_automatic_bounds")
FRESH = {
    "language": dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=8), warn_window=timedelta(days=2)
    ),
    "shard": dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=15), warn_window=timedelta(days=8)
    ),
}
"""By what the partitions are: the daily refresh was missed, the weekly one; and what follows."""
TICK_S = 60


def follows(step: flow.Step, allowed: Bounds) -> dg.AutomationCondition[dg.AssetKey] | None:
    """Return when a step starts by itself; None for one that never does."""
    if step.partitioned_by != "shard":
        return None
    opens, closes = (
        dg.AutomationCondition.cron_tick_passed(f"0 {hour} * * *")
        for hour in (allowed.opens, allowed.closes)
    )
    too_much = dg.AutomationCondition.any_checks_match(dg.AutomationCondition.check_failed()).allow(
        dg.AssetSelection.checks(WITHIN_BOUNDS)
    )
    return (
        dg.AutomationCondition.eager()
        & opens.since(closes).with_label("within its hours")
        & ~dg.AutomationCondition.any_deps_match(too_much).with_label("more than may start alone")
    )


def fresh(step: flow.Step, allowed: Bounds) -> dg.FreshnessPolicy | None:
    """Return how old an artifact may get while automation is on."""
    return FRESH.get(step.partitioned_by) if allowed.on else None


def sensors(allowed: Bounds) -> list[dg.SensorDefinition]:
    """Return what looks for changes and for failures."""
    status = dg.DefaultSensorStatus.RUNNING if allowed.on else dg.DefaultSensorStatus.STOPPED

    @dg.run_failure_sensor(
        name="failures",
        default_status=status,
        description="Tell the webhook of AWARENESS_WEBHOOK_URL of every run that failed.",
    )
    def failures(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        context.log.info(tell(f"Awareness: {run.job_name}, run {run.run_id}: {_why(context)}"))

    downstream = dg.AutomationConditionSensorDefinition(
        "downstream",
        target=dg.AssetSelection.all(),
        default_status=status,
        minimum_interval_seconds=TICK_S,
        description=(
            f"Clone to encode follow new repositories, from {allowed.opens} to {allowed.closes} "
            f"o'clock UTC, if at most {allowed.repositories:,} and {allowed.gigabytes} GB wait."
        ),
    )
    return [downstream, failures]


def _why(context: dg.RunFailureSensorContext) -> str:
    """Return which steps failed and the first line of each reason."""
    said = []
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error and error.cause:
            error = error.cause
        lines = (error.message if error else "failed").strip().splitlines()
        said.append(f"{event.step_key}: {lines[0] if lines else 'failed'}")
    return "; ".join(said) or (context.failure_event.message or "failed").splitlines()[0]
