"""What N repositories will take: time, calls, disk, tokens and money, as ranges with their source.

A line is a measured figure (`measured.py`) times how many of it there will be; what is bounded by
settings (commits asked about, traces, training steps) is bounded here too. Times are those of one
process that does one thing at a time; stages run side by side or on more machines take less.

Limits: an estimate is as good as its figures, and those of a few repositories are rough; money is
tokens times the prices that are set, as the ledger counts it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from awareness_pipeline.config import Settings
from awareness_pipeline.flow import STAGES
from awareness_pipeline.report.measured import Figure, rates
from awareness_pipeline.report.pace import search_interval_s

FAST_MBIT, SLOW_MBIT = 1000.0, 50.0
"""Between these a line to the host is assumed, where no clone from it was timed."""
MILLION = 1e6
TRACE_SHARE = (0.5, 1.0)
"""Of the traces that are allowed, so many are asked for: the rest lacks a usable prompt."""


@dataclass(frozen=True, slots=True)
class Line:
    """One estimate."""

    what: str
    """`time`, `calls`, `disk`, `tokens` or `money`."""
    stage: str
    unit: str
    low: float
    middle: float
    high: float
    source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Estimates, sums by kind, and what they take for granted."""

    target: int
    lines: tuple[Line, ...]
    totals: tuple[Line, ...]
    unknown: tuple[str, ...]
    """What nothing was measured for."""
    assumptions: tuple[str, ...]


UNITS = {"time": "s", "calls": "calls", "disk": "B", "tokens": "tokens", "money": "currency"}


def planned(settings: Settings, target: int, known: Mapping[str, Figure] | None = None) -> Plan:
    """Return the estimates for `target` repositories by the figures `known`, else all measured."""
    known = rates(settings) if known is None else known
    lines = tuple(sorted(_lines(settings, target, known), key=lambda one: STAGES.index(one.stage)))
    said = {(line.what, line.stage) for line in lines}
    wanted = [("disk", "clone"), ("disk", "extract"), ("disk", "encode"), ("calls", "discover")]
    wanted += [("time", name) for name in ("discover", "clone", "extract", "curate", "reverse")]
    wanted += [("time", name) for name in ("distil", "audit", "encode", "train", "evaluate")]
    wanted += [("tokens", "reverse"), ("tokens", "distil")]
    unknown = tuple(f"{what} of {stage}" for what, stage in wanted if (what, stage) not in said)
    totals = tuple(
        _total(what, [line for line in lines if line.what == what])
        for what in UNITS
        if any(line.what == what for line in lines)
    )
    return Plan(target, lines, totals, unknown, tuple(_assumptions(settings, target, known)))


def _total(what: str, lines: list[Line]) -> Line:
    low, middle, high = (
        sum(getattr(line, name) for line in lines) for name in ("low", "middle", "high")
    )
    return Line(what, "all", UNITS[what], low, middle, high, "sum")


def _lines(settings: Settings, target: int, known: Mapping[str, Figure]) -> Iterator[Line]:
    if calls := known.get("search calls"):
        yield _line("calls", "discover", calls.times(target))
        yield _line("time", "discover", calls.times(target * search_interval_s(settings)))
    yield from _cloning(settings, target, known)
    for what, stage, name in (
        ("disk", "extract", "commit bytes"),
        ("time", "curate", "curate seconds"),
    ):
        if one := known.get(name):
            yield _line(what, stage, one.times(target))
    for what, name in (("time", "encode seconds"), ("disk", "memory bytes")):
        if one := known.get(name):
            yield _line(what, "encode", _between(one, _encoded(settings, target, known)))
    if one := known.get("extract seconds"):
        yield _line("time", "extract", one.times(target / settings.extract.workers))
    for stage, answers in _answers(settings, target, known).items():
        yield from _asking(settings, stage, answers, known)
    for stage in ("audit", "train", "evaluate"):
        if one := known.get(f"{stage} seconds"):
            yield _line("time", stage, one)


def _cloning(settings: Settings, target: int, known: Mapping[str, Figure]) -> Iterator[Line]:
    size = known.get("clone bytes")
    if size:
        yield _line("disk", "clone", size.times(target))
    if timed := known.get("clone seconds"):
        yield _line("time", "clone", timed.times(target / settings.clone.concurrency))
    elif size:
        per_second = [rate * MILLION / 8 for rate in (FAST_MBIT, SLOW_MBIT)]
        low, high = size.low * target / per_second[0], size.high * target / per_second[1]
        source = f"{size.source}, {SLOW_MBIT:.0f} to {FAST_MBIT:.0f} Mbit/s assumed"
        yield Line("time", "clone", "s", low, (low * high) ** 0.5, high, source)


def _encoded(settings: Settings, target: int, known: Mapping[str, Figure]) -> tuple[float, float]:
    """Return the least and most repositories that are encoded: those held out, and of the others
    as many as have traces."""
    held_out = settings.curate.held_out_fraction * target
    _, traces = _answers(settings, target, known)["distil"]
    return held_out, held_out + min(target - held_out, traces)


def _answers(
    settings: Settings, target: int, known: Mapping[str, Figure]
) -> dict[str, tuple[float, float]]:
    """Return the least and most answers by stage, as the settings and the commits bound them."""
    commits = known["commits"].mean * target if "commits" in known else float("inf")
    asked = min(settings.reverse.max_commits, commits) * len(settings.reverse.styles)
    traces = min(settings.distil.max_traces, asked)
    most = traces * (2 if settings.distil.target == "both" else 1)
    return {"reverse": (asked, asked), "distil": (TRACE_SHARE[0] * most, TRACE_SHARE[1] * most)}


def _asking(
    settings: Settings, stage: str, answers: tuple[float, float], known: Mapping[str, Figure]
) -> Iterator[Line]:
    """Yield tokens, money and time of a stage that asks the teacher."""
    prices = {"prompt": settings.teacher.price_in, "answer": settings.teacher.price_out}
    for side, price in prices.items():
        bound = known.get(f"{stage} {side} tokens") or _allowed(settings, stage, side)
        spent = _between(bound, answers)
        yield replace(_line("tokens", stage, spent), unit=f"{side} tokens")
        if price:
            yield _line("money", stage, spent.times(price / MILLION))
    if (one := known.get(f"{stage} seconds")) and not settings.teacher.url:
        yield _line("time", stage, _between(one, answers))


def _between(one: Figure, number: tuple[float, float]) -> Figure:
    """Return a figure times a number that is known between two bounds only."""
    middle = one.mean * sum(number) / 2
    return Figure(one.low * number[0], middle, one.high * number[1], one.n, one.source)


def _allowed(settings: Settings, stage: str, side: str) -> Figure:
    """Return the tokens that the settings allow for one request: a bound where none was counted."""
    reverse, distil = settings.reverse, settings.distil
    most = {
        ("reverse", "prompt"): reverse.max_prompt_tokens,
        ("reverse", "answer"): reverse.max_new_tokens,
        ("distil", "prompt"): distil.max_context_tokens,
        ("distil", "answer"): distil.max_new_tokens,
    }[stage, side]
    return Figure(0.1 * most, 0.5 * most, most, 0, "bound of the settings")


def _line(what: str, stage: str, one: Figure) -> Line:
    return Line(what, stage, UNITS[what], one.low, one.mean, one.high, one.source)


def _assumptions(settings: Settings, target: int, known: Mapping[str, Figure]) -> Iterator[str]:
    tokens = len(settings.source.tokens)
    yield (
        f"one search every {search_interval_s(settings):g} s "
        f"({tokens or 'no'} token{'' if tokens == 1 else 's'}; more tokens do not search faster)"
    )
    yield (
        f"{settings.clone.concurrency} clones and {settings.extract.workers} extractions at a "
        "time, all else one at a time on one machine, stages one after another"
    )
    least, most = _encoded(settings, target, known)
    yield (
        f"{least:,.0f} to {most:,.0f} repositories are encoded: those held out, and those with "
        f"traces; at most {settings.encode.max_repository_tokens:,} tokens of each"
    )
    reverse, distil = settings.reverse, settings.distil
    yield (
        f"tasks of at most {reverse.max_commits:,} commits in {len(reverse.styles)} styles, at "
        f"most {distil.max_traces:,} traces: settings, whatever the number of repositories"
    )
    if settings.teacher.url:
        yield "the endpoint's time is not known: it is set by its limits and its load"
    elif not (settings.teacher.price_in or settings.teacher.price_out):
        yield "the model on this machine answers, or no price is set: no money"
    if any(one.source.startswith("results/") for one in known.values()):
        yield (
            "times from results/ are those of CPU cores and a model of 135M, which says nothing of "
            "a GPU: measure a pilot on your machine"
        )
    few = sorted({name for one in known.values() if one.n < 30 for name in one.source.split(", ")})
    if few:
        yield f"fewer than 30 measurements stand behind figures of {', '.join(few)}: rough"
    yield "repositories of the target are like those measured; large ones are rare and dear"
