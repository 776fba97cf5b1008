"""What an asset shows beside the counts that all of them have.

    clones            failures by class
    commits           commits by language and label, sizes of their diffs
    curated_commits   the funnel
    task_prompts      the funnel of each style, and the page of samples
    data_evidence     what another's prompt or files cost a text
    gca_checkpoint    the losses of the training
    evaluation        S, R and NLL of each layout

Floats are plotted over time by Dagster; the pictures are PNGs inside Markdown, which it shows on a
click. Drawn by `report.plots`, so that the report and Dagster agree. Empty where nothing was
written yet. Numbers of a shard come from the records of its units: no commit file is opened.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import dagster as dg

from awareness_model.schema import READINGS
from awareness_pipeline.artifacts import Record, upstream_records
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.drawn import drawn
from awareness_pipeline.evidence.verdicts import label
from awareness_pipeline.report import evaluation_of
from awareness_pipeline.report.evidence import intervals
from awareness_pipeline.report.samples import funnels, training_curve
from awareness_pipeline.stages import extract
from awareness_pipeline.teacher.funnel import STEPS

Metadata = Mapping[str, dg.MetadataValue]
MOST_LANGUAGES: Final = 20
"""Languages that have a row of their own; the rest is summed."""
FAILED: Final = "failed: "


def of_clones(settings: Settings, record: Record) -> Metadata:
    """Return why repositories are not cloned: for good, or now."""
    if not record.counts.dropped:
        return {}
    classes = {
        reason.removeprefix(FAILED) + (" (to be tried again)" if FAILED in reason else ""): number
        for reason, number in _most_first(record.counts.dropped).items()
    }
    return {
        "failures by class": table(classes, "class", "repositories"),
        "failures by class, drawn": _picture(settings, record, "ranked", classes, "repositories"),
    }


def of_commits(settings: Settings, record: Record) -> Metadata:
    """Return a shard's commits by language and by label, and the sizes of their diffs."""
    languages, labels, sizes = _extracted(settings, record.partition)
    if not languages:
        return {}
    shown = {"commits by language": table(_at_most(languages), "language", "commits")}
    if labels:
        shown["commits by label"] = table(_most_first(labels), "label", "commits")
    if sizes:
        said = ("size of the diff, each class from the one before", "commits")
        shown["sizes of diffs"] = _picture(settings, record, "classes", sizes, *said)
    return shown


def of_curated(settings: Settings, record: Record) -> Metadata:
    """Return what each reason took from the commits of a shard."""
    counts = record.counts
    if not counts.rows_in:
        return {}
    reasons = _most_first(counts.dropped)
    rows = {"in": counts.rows_in, **reasons, "out": counts.rows_out}
    return {
        "funnel": table(rows, "step", "commits"),
        "funnel, drawn": _picture(
            settings, record, "dropped", counts.rows_in, reasons, counts.rows_out
        ),
    }


def of_prompts(settings: Settings, record: Record) -> Metadata:
    """Return how many prompts of each style were accepted, what is left of them after each step,
    and a page with random ones of the shard."""
    found = funnels(settings.paths, settings.version, [record.partition])
    if not found:
        return {}
    from awareness_pipeline.report.prompts import write_samples

    page = write_samples(settings.paths, settings.version, record.partition)
    return {
        **{
            f"accepted: {name}": dg.MetadataValue.int(one[STEPS[-1]]) for name, one in found.items()
        },
        **{f"share: {name}": _number(_share(one)) for name, one in found.items()},
        "funnel": _steps(found),
        "funnel, drawn": _picture(settings, record, "steps", found),
        "random samples": dg.MetadataValue.path(str(page.absolute())),
    }


def of_evidence(settings: Settings, record: Record) -> Metadata:
    """Return every difference as a number, all of them with their intervals, and what is not clear
    of 0."""
    found = record.extra
    measured = {label(one): one["D"] for one in found.get("measures", ()) if one["D"] is not None}
    if not measured:
        return {}
    wide = intervals(found)
    return {
        **{f"D: {name}": _number(value) for name, value in measured.items()},
        **({"differences": _picture(settings, record, "differences", wide)} if wide else {}),
        "not clear of 0": dg.MetadataValue.md("\n".join(f"- {one}" for one in found["unclear"])),
    }


def of_training(settings: Settings, record: Record) -> Metadata:
    """Return the last losses as numbers and all of them as a curve."""
    curve = training_curve(settings.paths, settings.version)
    if curve is None:
        return {}
    last = {f"final {name}": values[-1] for name, values in curve.losses.items()}
    return {
        **{name: _number(value) for name, value in last.items()},
        "steps": dg.MetadataValue.int(curve.steps[-1]),
        "loss curve": _picture(settings, record, "training", curve.steps, curve.losses),
    }


def of_evaluation(settings: Settings, record: Record) -> Metadata:
    """Return S with its interval and R of each layout, every NLL, and the NLLs as bars."""
    found = evaluation_of(settings.paths, settings.version)
    layouts = [name for name in READINGS if found and name in found]
    if not found or not layouts:
        return {}
    nll = {layout: found[layout]["nll"] for layout in layouts}
    numbers = {name: value for layout in layouts for name, value in _numbers(layout, found)}
    return {
        **{name: _number(value) for name, value in numbers.items()},
        "NLL by condition": _picture(settings, record, "conditions", nll),
    }


PICTURES: dict[str, Callable[[Settings, Record], Metadata]] = {
    "clones": of_clones,
    "commits": of_commits,
    "curated_commits": of_curated,
    "task_prompts": of_prompts,
    "data_evidence": of_evidence,
    "gca_checkpoint": of_training,
    "evaluation": of_evaluation,
}


def table(numbers: Mapping[str, int], name: str, counted: str) -> dg.MetadataValue:
    """Return numbers by name as a table, in the order given."""
    columns = [dg.TableColumn(name, "string"), dg.TableColumn(counted, "int")]
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: one, counted: number}) for one, number in numbers.items()],
        schema=dg.TableSchema(columns=columns),
    )


def _steps(found: Mapping[str, Mapping[str, int]]) -> dg.MetadataValue:
    """Return what is left after each step as a table with a column for each style."""
    columns = [dg.TableColumn("step", "string"), *(dg.TableColumn(one, "int") for one in found)]
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({"step": step, **{one: left[step] for one, left in found.items()}})
            for step in STEPS
        ],
        schema=dg.TableSchema(columns=columns),
    )


def _share(steps: Mapping[str, int]) -> float:
    return steps[STEPS[-1]] / max(steps[STEPS[0]], 1)


def _extracted(
    settings: Settings, partition: str
) -> tuple[Counter[str], Counter[str], dict[str, int]]:
    """Return a shard's commits by language, by label, and by size of the diff."""
    languages: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    clones = upstream_records(settings, "clones", (partition,))
    spoken = {one.key: str(one.extra.get("language") or "") for _, one in clones}
    for _, unit in upstream_records(settings, "commits", (partition,)):
        languages[spoken.get(unit.key) or "unknown"] += unit.counts.rows_out
        labels.update(unit.extra["labels"])
        sizes.update(unit.extra["sizes"])
    ordered = (*(name for _, name in extract.SIZES), extract.LARGEST)
    return languages, labels, {name: sizes[name] for name in ordered} if sizes else {}


def _at_most(numbers: "Counter[str]") -> dict[str, int]:
    """Return the largest numbers, and the sum of the others."""
    largest = dict(list(_most_first(numbers).items())[:MOST_LANGUAGES])
    others = numbers.total() - sum(largest.values())
    return {**largest, **({"others": others} if others else {})}


def _most_first(numbers: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))


def _numbers(layout: str, found: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return what a layout measured, by the name people read; what has no value is left out."""
    one = found[layout]
    low, high = one["S_ci"]
    named = {"S": one["S"], "S low": low, "S high": high, "R": one["R"]}
    named |= {f"NLL {condition}": value for condition, value in one["nll"].items()}
    return [(f"{layout} {name}", float(v)) for name, v in named.items() if v is not None]


def _number(value: float) -> dg.MetadataValue:
    """Rounded for the eye; the record holds every digit."""
    return dg.MetadataValue.float(round(value, 4))


def _picture(settings: Settings, record: Record, plot: str, *given: Any) -> dg.MetadataValue:
    return drawn(settings, record.artifact, record.partition, plot, *given)
