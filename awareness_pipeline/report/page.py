"""One HTML file with everything in it: no script, no picture from outside, and one link, that
to the page of samples beside it. All text from repositories and models is escaped.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from awareness_model.schema import CONDITIONS, READINGS, write_atomic
from awareness_pipeline.config import Paths
from awareness_pipeline.report import evidence, plots
from awareness_pipeline.report.html import absent, document, listing, number, picture, table
from awareness_pipeline.report.numbers import caveats, repository_names, summary
from awareness_pipeline.report.prompts import PAGE, write_samples
from awareness_pipeline.report.samples import Curve, funnels, training_curve
from awareness_pipeline.teacher.funnel import STEPS


def write_page(paths: Paths, version: str) -> Path:
    """Write `<root>/report/<version>/index.html` and the page of samples beside it; return the
    first one's place."""
    write_samples(paths, version)
    path = paths.root / "report" / version / "index.html"
    write_atomic(path, page(paths, version).encode())
    return path


def page(paths: Paths, version: str) -> str:
    """Return the report of a version as HTML."""
    found = summary(paths, version)
    evaluation = found["evaluation"]
    repo_ids = {key for name in READINGS for key in _layout(evaluation, name).get("S_by_repo", ())}
    names = repository_names(paths, version, sorted(repo_ids))
    sections = (
        ("Stages", _stages(found)),
        ("Dropped", _dropped(found["stages"])),
        ("Evidence", _evidence(found["evidence"])),
        ("Evaluation", _evaluation(evaluation, names)),
        ("Training", _training(training_curve(paths, version))),
        ("Task prompts", _prompts(funnels(paths, version))),
        ("Weaker than it sounds", listing(caveats(paths, version))),
    )
    body = "".join(f"<h2>{name}</h2>\n{content}\n" for name, content in sections)
    return document(f"Awareness: version {version}", body)


def _layout(evaluation: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    return (evaluation or {}).get(name) or {}


def _stages(found: Mapping[str, Any]) -> str:
    ran = [one for one in found["stages"] if one["state"] != "not run"]
    names = [one["name"] for one in ran]
    drawn = ""
    if ran:
        drawn = picture(
            plots.funnel(names, [one["in"] for one in ran], [one["out"] for one in ran]),
            "rows in and out of each stage",
        ) + picture(plots.seconds(names, [one["seconds"] for one in ran]), "seconds by stage")
    rows = [
        [one["name"], one["out_unit"], one["in"], one["out"], f"{one['seconds']:.1f}"]
        if one["state"] != "not run"
        else [one["name"], "not run", "", "", ""]
        for one in found["stages"]
    ]
    total = ["all", "", "", "", f"{found['seconds_total']:.1f}"]
    return table(["stage", "out counts", "in", "out", "seconds"], [*rows, total], 2) + drawn


def _dropped(stages: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        [one["name"], reason, number]
        for one in stages
        for reason, number in sorted(one["dropped"].items(), key=lambda item: (-item[1], item[0]))
    ]
    return table(["stage", "reason", "rows"], rows, 2) if rows else "<p>nothing was dropped</p>"


def _evidence(found: Mapping[str, Any] | None) -> str:
    if not found:
        return absent()
    measured = evidence.intervals(found)
    drawn = picture(plots.differences(measured), "D with intervals") if measured else ""
    shown = table(evidence.HEAD, evidence.rows(found), evidence.TEXT_COLUMNS)
    return f"<p>{escape(evidence.SAID)}</p>{shown}{drawn}"


def _evaluation(found: Mapping[str, Any] | None, names: Mapping[str, str]) -> str:
    if not found:
        return absent()
    layouts = {name: found[name] for name in READINGS if found.get(name)}
    columns = ["reading", "questions", *CONDITIONS, "S", "95% interval", "R"]
    rows = [row for name, one in layouts.items() for row in _scores(name, one)]
    said = (
        f"<p>{found['n_items']} questions on {found['n_repos']} held-out repositories, answered "
        "with the repository's own memory, another repository's, no memory, and the same documents "
        "as text. Numbers are nats per answer token, lower is better. S = NLL(other) − NLL(own), "
        "with a 95% interval over repositories; R = S / (NLL(other) − NLL(text)).</p>"
    )
    finding = "".join(_finding(name, one["router"]) for name, one in layouts.items())
    drawn = _evaluation_plots(layouts, names)
    return said + table(columns, rows, 2) + f"<p>{finding}</p>" + drawn


def _scores(layout: str, found: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the row of all questions, then one for each kind."""
    for kind, one in {"all": found, **found["by_kind"]}.items():
        nll = (number(one["nll"][condition]) for condition in CONDITIONS)
        interval = " to ".join(number(end) for end in one["S_ci"])
        yield [layout, kind, *nll, number(one["S"]), interval, number(one["R"])]


def _finding(layout: str, router: Mapping[str, float]) -> str:
    """Return a sentence on finding, which is measured apart from reading."""
    chance = router["chance"]
    recall = next(value for name, value in router.items() if name.startswith("recall_at_"))
    depth = next(name for name in router if name.startswith("recall_at_")).rpartition("_")[2]
    return (
        f"Choosing {depth} documents, the router of {layout} finds the deciding one for "
        f"{recall:.0%} of the questions (blind choice: {chance:.0%}). "
    )


def _evaluation_plots(layouts: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> str:
    known = {name: (one["S"], *one["S_ci"]) for name, one in layouts.items()}
    each = {
        name: {names[repo_id]: value for repo_id, value in one["S_by_repo"].items()}
        for name, one in layouts.items()
    }
    return (
        picture(
            plots.conditions({name: one["nll"] for name, one in layouts.items()}),
            "NLL by condition and layout",
        )
        + picture(plots.specificity(known), "S with intervals")
        + picture(plots.by_repository(each), "S by repository")
    )


def _training(curve: Curve | None) -> str:
    if curve is None:
        return absent()
    return picture(plots.training(curve.steps, curve.losses), "training losses by step")


def _prompts(found: Mapping[str, Mapping[str, int]]) -> str:
    if not found:
        return absent()
    said = (
        "<p>Prompts of each style that are left after each step; <code>message</code> is the "
        f'cleaned commit message, which no model wrote. <a href="{PAGE}">Random samples</a>, '
        "accepted beside rejected.</p>"
    )
    rows = [[step, *(steps[step] for steps in found.values())] for step in STEPS]
    drawn = picture(plots.steps(found), "prompts left after each step, by style")
    return said + table(["step", *found], rows, 1) + drawn
