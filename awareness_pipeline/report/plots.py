"""Plots as PNG data URIs, drawn without a display.

Backgrounds are transparent and ink is a middle grey, so one picture serves light and dark pages.
Every function takes plain numbers and returns a `data:image/png;base64,…` string.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#7d8590"
BLUE = "#3b82c4"
COLOURS = {"own": "#2e9e6b", "other": "#d1583f", "none": "#8b8f98", "text": BLUE}
LAYOUT_COLOURS = {"kv": BLUE, "kv_trained": "#2a7f62", "latent": "#c78a1e"}
DPI = 130
WIDTH = 7.2  # inches


def funnel(stages: Sequence[str], rows_in: Sequence[int], rows_out: Sequence[int]) -> str:
    """Rows in and out of each stage, on a logarithmic axis; zero shows as no bar."""

    def draw(axes: Axes) -> None:
        places = range(len(stages))
        axes.barh([y - 0.2 for y in places], rows_in, 0.4, color=INK, alpha=0.45, label="in")
        axes.barh([y + 0.2 for y in places], rows_out, 0.4, color=BLUE, label="out")
        for y, number in zip(places, rows_out, strict=True):
            axes.annotate(f" {number:,}", (max(number, 1), y + 0.2), va="center", color=INK, size=8)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, 4 * max(*rows_in, *rows_out, 1))
        _rows(axes, stages, "rows")
        axes.legend(loc="lower right", frameon=False, labelcolor=INK)

    return _png(draw, height=0.42 * len(stages) + 0.9)


def dropped(rows_in: int, reasons: Mapping[str, int], rows_out: int) -> str:
    """Rows in, what each reason took away of them, and rows out: each bar starts where the rows
    that are left end."""
    names = ["in", *reasons, "out"]
    widths = [rows_in, *reasons.values(), rows_out]
    starts = [0]
    left = rows_in
    for number in reasons.values():
        left -= number
        starts.append(left)
    starts.append(0)

    def draw(axes: Axes) -> None:
        colours = [INK, *[COLOURS["other"]] * len(reasons), BLUE]
        axes.barh(range(len(names)), widths, 0.6, left=starts, color=colours)
        for y, (start, width) in enumerate(zip(starts, widths, strict=True)):
            axes.annotate(f" {width:,}", (start + width, y), va="center", color=INK, size=8)
        axes.set_xlim(0, 1.12 * max(rows_in, 1))
        _rows(axes, names, "rows")

    return _png(draw, height=0.3 * len(names) + 0.9)


def ranked(numbers: Mapping[str, int], label: str) -> str:
    """Numbers by name as bars, in the order given; the axis is logarithmic above 1."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(numbers)), list(numbers.values()), 0.6, color=BLUE)
        for y, number in enumerate(numbers.values()):
            axes.annotate(f" {number:,}", (max(number, 1), y), va="center", color=INK, size=8)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, 4 * max(*numbers.values(), 1))
        _rows(axes, list(numbers), label)

    return _png(draw, height=0.3 * len(numbers) + 0.9)


def classes(numbers: Mapping[str, int], label: str, counted: str) -> str:
    """How many things fall into each of some ordered classes; the axis is logarithmic above 1."""

    def draw(axes: Axes) -> None:
        bars = axes.bar(range(len(numbers)), list(numbers.values()), 0.9, color=BLUE)
        axes.bar_label(bars, fmt="{:,.0f}", color=INK, size=8, padding=2)
        axes.set_xticks(range(len(numbers)), list(numbers))
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, 3 * max(*numbers.values(), 1))
        axes.set_xlabel(label)
        axes.set_ylabel(counted)

    return _png(draw)


def steps(left: Mapping[str, Mapping[str, int]]) -> str:
    """What is left after each step, a bar for each style: `{style: {step: number}}`."""
    names = list(next(iter(left.values())))
    width = 0.8 / len(left)

    def draw(axes: Axes) -> None:
        for number, (style, steps) in enumerate(left.items()):
            places = [y + (number - (len(left) - 1) / 2) * width for y in range(len(names))]
            bars = axes.barh(places, list(steps.values()), 0.9 * width, label=style)
            axes.bar_label(bars, fmt=" {:,.0f}", color=INK, size=7)
        axes.set_xlim(0, 1.12 * max(*(max(one.values()) for one in left.values()), 1))
        _rows(axes, names, "prompts")
        axes.margins(y=0.01)
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": len(left)}
        axes.legend(frameon=False, labelcolor=INK, **place)

    return _png(draw, height=0.16 * len(names) * len(left) + 1.2)


def seconds(stages: Sequence[str], spent: Sequence[float]) -> str:
    """Seconds of each stage, all runs together."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(stages)), spent, 0.6, color=BLUE)
        for y, number in enumerate(spent):
            axes.annotate(f" {number:.1f}", (number, y), va="center", color=INK, size=8)
        axes.set_xlim(0, 1.12 * max(*spent, 1e-9))
        _rows(axes, stages, "seconds")

    return _png(draw, height=0.34 * len(stages) + 0.9)


def stars(bands: Sequence[str], numbers: Sequence[int]) -> str:
    """Repositories in each band of stars, fewest stars first, on a logarithmic axis."""

    def draw(axes: Axes) -> None:
        bars = axes.barh(range(len(bands)), numbers, 0.7, color=BLUE)
        axes.bar_label(bars, [f" {number:,}" for number in numbers], color=INK, size=8)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, 4 * max(*numbers, 1))
        axes.set_ylabel("stars")
        _rows(axes, bands, "repositories")

    return _png(draw, height=0.28 * len(bands) + 0.9)


def training(steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> str:
    """Losses over optimiser steps, one line each."""

    def draw(axes: Axes) -> None:
        for name, values in curves.items():
            axes.plot(steps, values, label=name, linewidth=1.4)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("loss (nats per token)")
        axes.legend(frameon=False, labelcolor=INK)

    return _png(draw)


def conditions(nll: Mapping[str, Mapping[str, float]]) -> str:
    """Negative log-likelihood of the answers, by layout and by what the decoder may read."""

    def draw(axes: Axes) -> None:
        layouts, width = list(nll), 0.8 / len(COLOURS)
        for number, (name, colour) in enumerate(COLOURS.items()):
            places = [x + (number - 1.5) * width for x in range(len(layouts))]
            values = [nll[layout][name] for layout in layouts]
            bars = axes.bar(places, values, 0.92 * width, color=colour, label=name)
            axes.bar_label(bars, fmt="%.2f", color=INK, size=8, padding=2)
        axes.set_xticks(range(len(layouts)), layouts)
        axes.set_ylabel("NLL (nats per answer token)")
        axes.margins(y=0.12)
        axes.legend(frameon=False, labelcolor=INK, ncols=4, loc="upper center")
        axes.set_ylim(0, 1.2 * max(max(values.values()) for values in nll.values()))

    return _png(draw)


def specificity(found: Mapping[str, tuple[float, float, float]]) -> str:
    """S of each layout with its interval (S, low, high); right of the line, memory helps."""
    return _intervals(found, "S: NLL with another repository's memory − with its own (nats)")


def differences(found: Mapping[str, tuple[float, float, float]]) -> str:
    """D, NLL behind another's reading − behind its own, with intervals (D, low, high); right of the
    line, own helps."""
    return _intervals(found, "D (nats per token)")


def by_repository(found: Mapping[str, Mapping[str, float]]) -> str:
    """S of every repository, a dot per layout: `{layout: {repository: S}}`."""
    names = sorted({name for values in found.values() for name in values})

    def draw(axes: Axes) -> None:
        for layout, values in found.items():
            known = [name for name in names if name in values]
            dots = [values[name] for name in known], [names.index(name) for name in known]
            axes.plot(*dots, "o", color=LAYOUT_COLOURS.get(layout, BLUE), label=layout)
        _zero_line(axes)
        axes.set_ylim(-0.6, len(names) - 0.4)
        _rows(axes, names, "S (nats)")
        axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    return _png(draw, height=0.3 * len(names) + 1.3)


def _intervals(found: Mapping[str, tuple[float, float, float]], label: str) -> str:
    def draw(axes: Axes) -> None:
        for y, (name, (value, low, high)) in enumerate(found.items()):
            reach = [[value - low], [high - value]]
            axes.errorbar(
                value, y, xerr=reach, fmt="o", capsize=5, color=LAYOUT_COLOURS.get(name, BLUE)
            )
        _zero_line(axes)
        axes.set_ylim(-0.6, len(found) - 0.4)
        _rows(axes, list(found), label)

    return _png(draw, height=0.45 * len(found) + 1.1)


def _rows(axes: Axes, names: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(label)


def _zero_line(axes: Axes) -> None:
    axes.axvline(0, color=INK, linewidth=0.8, linestyle="--")


def _png(draw: Callable[[Axes], None], height: float = 3.2) -> str:
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(INK)
    held = io.BytesIO()
    figure.savefig(held, format="png", transparent=True, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()
