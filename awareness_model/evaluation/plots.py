"""Plots of an evaluation as PNG bytes, drawn without a display; plain numbers in.

Backgrounds are transparent and ink is a middle grey, so one picture serves light and dark pages.
"""

import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#7d8590"
COLOURS = ("#3b82c4", "#c78a1e", "#2e9e6b", "#d1583f", "#8b62b5", "#8b8f98")
MARKS = "osD^v"
WIDTH, HEIGHT, DPI = 8.4, 3.4, 130
LEGEND = 110
"""Characters a line of a legend holds."""

Estimate = tuple[float, float, float]
"""A value with the ends of its interval."""


def intervals(found: Mapping[str, Mapping[str, Estimate]], label: str) -> bytes:
    """Values with their intervals, in a row for each name, a colour for each series, and a line
    at zero.

    Args:
        found: by series, by the row's name; rows in the order of the first series.
    """
    names = list(dict.fromkeys(name for held in found.values() for name in held))

    def draw(axes: Axes) -> None:
        for number, (series, held) in enumerate(found.items()):
            shift = (number - (len(found) - 1) / 2) * 0.5 / len(found)
            places = [names.index(name) + shift for name in held]
            values = [value for value, _, _ in held.values()]
            reach = [[v - low for v, low, _ in held.values()], [h - v for v, _, h in held.values()]]
            axes.errorbar(
                values,
                places,
                xerr=reach,
                fmt=MARKS[number % len(MARKS)],
                markersize=4,
                capsize=2,
                color=COLOURS[number % len(COLOURS)],
                label=series,
            )
        axes.axvline(0, color=INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel(label)
        _legend(axes, len(found))

    return _png(draw, 0.24 * len(names) + 1.2)


def bars(groups: Mapping[str, Mapping[str, float]], label: str) -> bytes:
    """A bar for each name, in groups."""
    names = list(dict.fromkeys(name for held in groups.values() for name in held))

    def draw(axes: Axes) -> None:
        width = 0.8 / len(names)
        for number, name in enumerate(names):
            held = [(x, held[name]) for x, held in enumerate(groups.values()) if name in held]
            shift = (number - (len(names) - 1) / 2) * width
            colour = COLOURS[number % len(COLOURS)]
            places = [x + shift for x, _ in held]
            drawn = axes.bar(places, [y for _, y in held], 0.92 * width, color=colour, label=name)
            axes.bar_label(drawn, fmt="%.2f", color=INK, size=6, padding=2)
        axes.set_xticks(range(len(groups)), list(groups))
        axes.set_ylabel(label)
        _legend(axes, len(names))

    return _png(draw)


def curves(found: Mapping[str, Mapping[int, float]], across: str, label: str) -> bytes:
    """A line for each name over powers of two, from 0 to 1."""

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(found.items()):
            axes.plot(
                list(values),
                list(values.values()),
                marker=MARKS[number % len(MARKS)],
                markersize=4,
                color=COLOURS[number % len(COLOURS)],
                label=name,
            )
        ticks = sorted({k for values in found.values() for k in values})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.set_ylim(-0.05, 1.05)
        axes.set_xlabel(across)
        axes.set_ylabel(label)
        _legend(axes, 3)

    return _png(draw)


def frontier(
    found: Mapping[str, Sequence[tuple[str, float, float]]],
    levels: Mapping[str, float],
    across: str,
    label: str,
) -> bytes:
    """Named dots at each (name, x, y), a colour for each series, and a dashed line at each level;
    x is logarithmic."""

    def draw(axes: Axes) -> None:
        for number, (series, held) in enumerate(found.items()):
            colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
            across_all, up_all = [x for _, x, _ in held], [y for _, _, y in held]
            axes.plot(across_all, up_all, mark, color=colour, label=series)
            for place, (name, x, y) in enumerate(held):
                _beside(axes, name, (x, y), colour, (5, 4) if place % 2 else (5, -11))
        for name, level in levels.items():
            axes.axhline(level, color=INK, linewidth=0.8, linestyle="--")
            across_it = axes.get_yaxis_transform()
            axes.text(0.4, level, name, transform=across_it, color=INK, size=7, va="bottom")
        axes.set_xscale("log")
        axes.margins(x=0.15, y=0.12)
        axes.set_xlabel(across)
        axes.set_ylabel(label)
        _legend(axes, len(found))

    return _png(draw, 1.35 * HEIGHT)


def _beside(
    axes: Axes, name: str, at: tuple[float, float], colour: str, points: tuple[int, int]
) -> None:
    axes.annotate(name, at, points, textcoords="offset points", color=colour, size=7)


def _legend(axes: Axes, columns: int) -> None:
    longest = max((len(one) for one in axes.get_legend_handles_labels()[1]), default=1)
    fitting = max(min(columns, LEGEND // (longest + 6)), 1)
    axes.legend(
        frameon=False,
        labelcolor=INK,
        fontsize=8,
        ncols=fitting,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
    )


def _png(draw: Callable[[Axes], None], height: float = HEIGHT) -> bytes:
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(INK)
    held = io.BytesIO()
    figure.savefig(held, format="png", transparent=True, metadata={"Software": None})
    return held.getvalue()
