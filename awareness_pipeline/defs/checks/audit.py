"""What must hold of the evidence on prompts and traces."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from awareness_pipeline.artifacts import read_record
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.checks.check import Check, Problems
from awareness_pipeline.evidence.verdicts import label

ROUNDING = 1e-5


def differences(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Every difference measured is finite, is the difference of its two NLLs, and lies in its
    interval; one that was not measured says why."""
    for one in _measures(settings, partitions):
        yield from (f"{label(one)}: {problem}" for problem in _of_measure(one))


def clear(settings: Settings, partitions: Sequence[str]) -> Problems:
    """Own prompts predict the true change better than another commit's, in every style, and own
    files the response better than another repository's: the intervals lie above 0."""
    for one in _measures(settings, partitions):
        if one["headline"] and not one["clear"]:
            interval = f"D {one['D']:.3f} in {one['D_ci']}, " if one["D_ci"] else ""
            yield f"{label(one)}: {interval}{one['why']}"


def _of_measure(one: Mapping[str, Any]) -> Problems:
    if one["D"] is None:
        if not one["why"]:
            yield "was not measured, and does not say why"
        return
    nll = one.get("nll")
    if not all(math.isfinite(value) for value in (one["D"], *(one["D_ci"] or ()))):
        yield "a number is not finite"
    if nll and abs(one["D"] - (nll["control"] - nll["own"])) > ROUNDING:
        yield f"D is {one['D']}, but {nll['control']} - {nll['own']} is not"
    low, high = one["D_ci"] or (one["D"], one["D"])
    if not low - ROUNDING <= one["D"] <= high + ROUNDING:
        yield f"D {one['D']} lies outside its interval [{low}, {high}]"


def _measures(settings: Settings, partitions: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for partition in partitions:
        folder = settings.paths.artifact("data_evidence") / settings.version / partition
        if record := read_record(folder / "record.json"):
            yield from record.extra["measures"]


CHECKS = (
    Check("data_evidence", "differences_sound", differences),
    Check("data_evidence", "clear_of_zero", clear, dg.AssetCheckSeverity.WARN),
)
