"""Plots of an evaluation as PNG data URIs, drawn without a display; plain numbers in.

Backgrounds are transparent and ink is a middle grey, so one picture serves light and dark pages.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#7d8590"
COLOURS = ("#3b82c4", "#c78a1e", "#2e9e6b", "#d1583f", "#8b62b5", "#8b8f98")
WIDTH, HEIGHT, DPI = 7.2, 3.2, 130


def intervals(found: Mapping[str, tuple[float, float, float]], label: str) -> str:
    """Values with their intervals (value, low, high), a row each, and a line at zero."""

    def draw(axes: Axes) -> None:
        for y, (value, low, high) in enumerate(found.values()):
            reach = [[value - low], [high - value]]
            axes.errorbar(value, y, xerr=reach, fmt="o", capsize=5, color=COLOURS[0])
        axes.axvline(0, color=INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.set_yticks(range(len(found)), list(found))
        axes.invert_yaxis()
        axes.set_xlabel(label)

    return _png(draw, 0.4 * len(found) + 1.1)


def bars(groups: Mapping[str, Mapping[str, float]], label: str) -> str:
    """A bar for each name, in groups."""
    names = list(dict.fromkeys(name for held in groups.values() for name in held))

    def draw(axes: Axes) -> None:
        width = 0.8 / len(names)
        for number, name in enumerate(names):
            values = [held.get(name, 0.0) for held in groups.values()]
            places = [x + (number - (len(names) - 1) / 2) * width for x in range(len(groups))]
            colour = COLOURS[number % len(COLOURS)]
            drawn = axes.bar(places, values, 0.92 * width, color=colour, label=name)
            axes.bar_label(drawn, fmt="%.2f", color=INK, size=6, padding=2)
        axes.set_xticks(range(len(groups)), list(groups))
        axes.set_ylabel(label)
        axes.margins(y=0.25)
        axes.legend(frameon=False, labelcolor=INK, ncols=min(len(names), 6), loc="upper center")

    return _png(draw)


def curves(found: Mapping[str, Mapping[int, float]], across: str, label: str) -> str:
    """A line for each name over powers of two, from 0 to 1."""

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(found.items()):
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(list(values), list(values.values()), "o-", color=colour, label=name)
        axes.set_xscale("log", base=2)
        axes.set_ylim(-0.05, 1.05)
        axes.set_xlabel(across)
        axes.set_ylabel(label)
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)

    return _png(draw)


def scatter(found: Sequence[tuple[str, float, float]], across: str, label: str) -> str:
    """A named dot at each (name, x, y); x is logarithmic."""

    def draw(axes: Axes) -> None:
        for number, (name, x, y) in enumerate(found):
            axes.plot(x, y, "o", color=COLOURS[number % len(COLOURS)])
            axes.annotate(f" {name}", (x, y), color=INK, size=7)
        axes.axhline(0, color=INK, linewidth=0.8, linestyle="--")
        axes.set_xscale("log")
        axes.margins(x=0.25)
        axes.set_xlabel(across)
        axes.set_ylabel(label)

    return _png(draw)


def _png(draw: Callable[[Axes], None], height: float = HEIGHT) -> str:
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
