"""Rows of runs as a result: one JSON, a verdict, Markdown tables, and a plot (needs matplotlib)."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from awareness_model.proof.plan import OWN, SHUFFLED
from awareness_model.proof.runs import Row

WANTED: Final = 0.95
"""Exact match with own memory that proves the wiring."""
MOST_BY_CHANCE: Final = 0.02
"""Exact match with wrong memory that is still chance (5 of 256 questions; expected is 10^-4)."""
HEAD: Final = (
    "family",
    "seed",
    "trained on",
    "steps",
    "own",
    "shuffled",
    "none, exact",
    "edited, exact",
    "written, exact",
    "permuted and turned, max Δlogit",
)
MOST_MOVED: Final = 1e-5
"""Change of a logit by the order of documents that is still rounding."""
LEAST_CHANCE_NATS: Final = 2.2
"""Nats per digit below which a control knows something: chance is ln 10 = 2.303."""


def result(rows: Sequence[Row], command: str, device: str) -> dict[str, Any]:
    """Return what is written to `results/`: verdict, machine, command and every run."""
    return {
        "command": command,
        "machine": machine(device),
        "chance": {"exact": 1e-4, "digits": 0.1, "nll": 2.3026},
        "proved": not failures(rows),
        "failures": failures(rows),
        "runs": rows,
    }


def machine(device: str) -> dict[str, Any]:
    """Return what the numbers were made on."""
    import torch

    return {
        "system": platform.machine(),
        "cores": os.cpu_count(),
        "device": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def failures(rows: Sequence[Row]) -> list[str]:
    """Return what speaks against the wiring, a line each; none: it is proved."""
    found = []
    for row in rows:
        name = (
            f"{row['plan']['family']} seed {row['plan']['seed']} trained on {row['plan']['memory']}"
        )
        found += [f"{name}: {line}" for line in _broken(row)]
    return found


def _broken(row: Row) -> list[str]:
    seen = row["controls"]
    lines = [
        f"{key} exact {seen[key]['exact']:.3f}"
        for key in ("shuffled", "none", "stale")
        if seen[key]["exact"] > MOST_BY_CHANCE
    ]
    if row["plan"]["memory"] == OWN:
        needed = {
            "own": seen["own"]["exact"],
            "edited": seen["edited"]["exact"],
            "written": seen["written"],
        }
        lines += [f"{key} exact {value:.3f}" for key, value in needed.items() if value < WANTED]
        lines += [
            f"the order of documents ({key}) moves a logit by {seen[key]:.1e}"
            for key in ("permuted", "turned")
            if seen[key] > MOST_MOVED
        ]
    elif seen["own"]["exact"] > MOST_BY_CHANCE or seen["own"]["nll"] < LEAST_CHANCE_NATS:
        lines.append(f"own exact {seen['own']['exact']:.3f}, nll {seen['own']['nll']:.3f}")
    return lines


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown row for each run; scores are exact match, digits, nats per digit."""
    lines = [
        f"| {' | '.join(HEAD)} |",
        "|" + "---|" * len(HEAD),
    ]
    for row in rows:
        plan, seen = row["plan"], row["controls"]
        cells = [
            plan["family"],
            plan["seed"],
            plan["memory"],
            row["steps"],
            _score(seen["own"]),
            _score(seen["shuffled"]),
            f"{seen['none']['exact']:.3f}",
            f"{seen['edited']['exact']:.3f}",
            f"{seen['written']:.3f}",
            f"{seen['permuted']:.1e}, {seen['turned']:.1e}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw exact match and nats with own and shuffled memory against steps, a column a family."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    families = sorted({row["plan"]["family"] for row in rows})
    figure = Figure(figsize=(4.2 * len(families), 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(families), sharex=True, sharey="row", squeeze=False)
    for column, family in enumerate(families):
        axes[0][column].set_title(family)
        axes[1][column].set_xlabel("steps")
        for row in rows:
            if row["plan"]["family"] == family:
                _draw(axes[0][column], row, "exact")
                _draw(axes[1][column], row, "nll")
        axes[1][column].axhline(2.3026, color="#8b8f98", linewidth=0.8, linestyle=":")
    axes[0][0].set_ylabel("exact match")
    axes[1][0].set_ylabel("nats per digit")
    figure.savefig(path, dpi=90)


def _draw(axes: Any, row: Row, what: str) -> None:
    """Draw a run's curves; a run trained on shuffled memory is dashed."""
    control = row["plan"]["memory"] == SHUFFLED
    for key, colour in (("own", "#2e9e6b"), ("shuffled", "#d1583f")):
        axes.plot(
            [point["step"] for point in row["curve"]],
            [point[key][what] for point in row["curve"]],
            color=colour,
            linestyle="--" if control else "-",
            linewidth=1.2,
        )


def _score(one: Mapping[str, float]) -> str:
    return f"{one['exact']:.3f}, {one['digits']:.3f}, {one['nll']:.3f}"
