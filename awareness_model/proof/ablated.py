"""Ablations as a result: a row for each variant, a Markdown table, and bars (needs matplotlib)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from awareness_model.proof.report import machine
from awareness_model.proof.runs import Row
from awareness_model.proof.variants import SECTIONS

READ: Final = "8"
"""Visible documents at which variants are compared."""
COLOURS: Final = ("#4a4e57", "#2e9e6b", "#3d7bc4", "#c98a1b", "#8a5fb8", "#d1583f", "#6b7f3a")


def result(
    table: Sequence[Mapping[str, Any]], rows: Sequence[Row], command: str, device: str
) -> dict[str, Any]:
    """Return what is written to `results/`."""
    return {
        "command": command,
        "machine": machine(device),
        "cpu_seconds": round(sum(row["run"]["cpu_seconds"] for row in rows), 1),
        "base_plan": rows[0]["plan"] if rows else None,
        "rows": table,
    }


def variants(named: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Return a row for each variant that was run, of every run what it read at eight documents."""
    found = []
    for name, rows in named.items():
        if not rows:
            continue
        read = [row["read_at"][READ] for row in rows]
        exact = [one["own"]["exact"] for one in read]
        found.append(
            {
                "section": next((key for key, held in SECTIONS.items() if name in held), ""),
                "variant": name,
                "seeds": [row["plan"]["seed"] for row in rows],
                "steps": [row["steps"] for row in rows],
                "reached": [row["reached"] for row in rows],
                "exact": exact,
                "exact_mean": sum(exact) / len(exact),
                "nll": [one["own"]["nll"] for one in read],
                "shuffled_exact": [one["shuffled"]["exact"] for one in read],
                "text_exact": [row["text"] for row in rows],
                "works_at": [_works_at(row) for row in rows],
            }
        )
    return found


def _works_at(row: Row) -> int | None:
    """Return the first measured step at which half of the questions at eight were exact."""
    for point in row["curve"]:
        if str(point["visible"]) == READ and point["own"]["exact"] >= 0.5:
            return int(point["step"])
    return None


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the variants as a Markdown table, a value for each seed."""
    lines = [
        "| variant | exact at 8 | nats per digit | shuffled, exact | half exact at step |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        cells = [
            one["variant"],
            _each(one["exact"], ".2f"),
            _each(one["nll"], ".2f"),
            _each(one["shuffled_exact"], ".2f"),
            ", ".join(str(step or "never") for step in one["works_at"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def bars(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw exact match at eight documents: a bar for the mean, a dot for each seed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 0.9 + 0.24 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    sections = list(SECTIONS)
    for place, one in enumerate(found):
        colour = COLOURS[sections.index(one["section"])]
        axes.barh(place, one["exact_mean"], color=colour, alpha=0.55, height=0.72)
        axes.plot(one["exact"], [place] * len(one["exact"]), "o", color=colour, markersize=4)
    axes.set_yticks(range(len(found)), [one["variant"] for one in found], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("exact match at 8 visible documents; a dot is a seed")
    figure.savefig(path, dpi=90)


def _each(values: Sequence[float], form: str) -> str:
    return ", ".join(format(value, form) for value in values)
