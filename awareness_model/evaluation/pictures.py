"""Which plots an evaluation's report has, by file name. Takes the report as JSON gives it."""

from collections.abc import Mapping, Sequence
from typing import Any

from awareness_model.evaluation import plots
from awareness_model.evaluation.page import CONDITIONS
from awareness_model.evaluation.pareto import TEXT

Row = Mapping[str, Any]


def pictures(report: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the plots of what a report holds."""
    return {
        **_perplexity(report.get("perplexity", ())),
        **_needle(report.get("needle", ())),
        **_pareto(report.get("pareto", ())),
    }


def _perplexity(rows: Sequence[Row]) -> dict[str, bytes]:
    made = {}
    remote = {row["reader"]: row["classes"].get("remote", {}).get("nll", {}) for row in rows}
    by_condition = {
        name: {reader: nll[name] for reader, nll in remote.items() if name in nll}
        for name in CONDITIONS
    }
    groups = {name: held for name, held in by_condition.items() if held}
    if groups:
        made["remote.png"] = plots.bars(groups, "NLL of remote tokens (nats)")
    by_package = {row["reader"]: _s_by_package(row) for row in rows}
    if any(by_package.values()):
        made["packages.png"] = plots.intervals(by_package, "S (nats per remote token)")
    return made


def _s_by_package(row: Row) -> dict[str, plots.Estimate]:
    """Return S of all packages, and of each, largest first."""
    held = {"all packages": row["classes"].get("remote", {}), **row.get("by_package", {})}
    found = {
        name: (one["S"]["value"], *one["S"]["ci"])
        for name, one in held.items()
        if (one.get("S") or {}).get("ci")
    }
    return dict(sorted(found.items(), key=lambda one: (one[0] != "all packages", -one[1][0])))


def _needle(rows: Sequence[Row]) -> dict[str, bytes]:
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        for one in row["table"]:
            if one["condition"] == "given":
                held = found.setdefault(f"{row['reader']}: {one['task']}", {})
                held[one["visible"]] = one["em"]["value"]
    if not found:
        return {}
    return {"needle.png": plots.curves(found, "documents visible", "exact match")}


def _pareto(rows: Sequence[Row]) -> dict[str, bytes]:
    dots: dict[str, list[tuple[str, float, float]]] = {}
    levels = {}
    for row in rows:
        nll = row.get("nll") or {}
        if row["reader"] == TEXT and "text" in nll:
            dots[TEXT] = [("", row["bytes_per_token"], nll["text"])]
            levels = {"no memory": nll["none"], TEXT: nll["text"]}
        elif "own" in nll:
            series = row["reader"].removesuffix(f", {row['placement']}")
            name = _short(row)
            dots.setdefault(series, []).append((name, row["bytes_per_token"], nll["own"]))
    if not dots:
        return {}
    label = "NLL of remote tokens, own memory (nats)"
    return {"pareto.png": plots.frontier(dots, levels, "bytes per token, stored", label)}


def _short(row: Row) -> str:
    """Return what tells a point from the others of its reader."""
    parts = [row["dtype"]]
    if row.get("placement") not in ("", "all"):
        parts = [f"{row['placement']} ({row['layers']} layers)"]
    if row["pooling"] != 1:
        parts = [f"{row['pooling']} tokens a slot"]
    return " ".join(parts)
