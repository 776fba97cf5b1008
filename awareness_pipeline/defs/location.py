"""All that Dagster loads, assembled in the open: no folder is scanned for definitions."""

import os

import dagster as dg

from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.defs.assets import assets
from awareness_pipeline.defs.automation import sensors
from awareness_pipeline.defs.bounds import bounds
from awareness_pipeline.defs.checks import asset_checks
from awareness_pipeline.defs.jobs import JOBS
from awareness_pipeline.defs.schedules import liveness, refreshing, sweeping

EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}
"""A process per step costs 1.4 s or more each: worth it only where steps take minutes."""


def location(settings: Settings) -> dg.Definitions:
    """Return the definitions for these settings.

    Raises:
        UserError: `AWARENESS_EXECUTOR` names no executor, or a bound of automation has no meaning.
    """
    chosen = os.environ.get("AWARENESS_EXECUTOR") or "in_process"
    if chosen not in EXECUTORS:
        known = ", ".join(EXECUTORS)
        raise UserError(f"AWARENESS_EXECUTOR is {chosen!r}: choose one of {known}")
    allowed = bounds()
    return dg.Definitions(
        assets=assets(settings, allowed),
        asset_checks=asset_checks(settings),
        jobs=[*JOBS, liveness(settings)],
        schedules=[*refreshing(settings, allowed.on), sweeping(allowed.on)],
        sensors=sensors(allowed),
        executor=EXECUTORS[chosen],
    )
