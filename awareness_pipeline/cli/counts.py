"""What `awareness stats` counts, from the catalog and the records.

Every pass over a language is listed with what its first answer announced, what was got and what is
missing; a full pass before an incremental one only where something is missing from it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from awareness_pipeline.catalog import Catalog
from awareness_pipeline.cli.table import console, span
from awareness_pipeline.config import Settings
from awareness_pipeline.github.tiers import TIERS, UNKNOWN
from awareness_pipeline.report.coverage import (
    OTHER,
    askings,
    by_tier,
    tier_name,
    wanted,
)
from awareness_pipeline.report.pace import paces
from awareness_pipeline.standing import as_json, standings

COVERAGE = ("calls", "expected", "got", "missing", "queries")
"""The last columns of both tables on searches; all but the last two are numbers."""


def counted(settings: Settings) -> dict[str, Any]:
    """Return repositories by state, tier and language, what was asked and got, and stages.

    Raises:
        UserError: the settings name a language that no tier knows.
    """
    host = settings.source.host
    with Catalog(settings.paths.database_url) as catalog:
        languages = Counter(one.language for one in catalog.repositories(host))
        searches = catalog.searches(host)
        ranges, known = searches.ranges(), searches.passes()
        states, progress = catalog.states(host), catalog.progress(settings.version)
    found, wished = askings(ranges, known), wanted(settings)
    return {
        "host": host,
        "version": settings.version,
        "repositories": languages.total(),
        "states": states,
        "tiers": _by_tier(languages),
        "languages": dict(languages.most_common()),
        "ranges": _states(Counter((one.tier, one.state) for one in ranges)),
        "coverage": [_flat(one) for one in by_tier(found, wished, languages)],
        "passes": [_flat(one) for one in found],
        "never_asked": [name for name in wished if name not in known],
        "unknown_to_search": sorted(UNKNOWN),
        "progress": progress,
        "stages": as_json(standings(settings.paths, settings.version)),
        "pace": [asdict(one) for one in paces(settings)],
    }


def print_counts(found: Mapping[str, Any]) -> None:
    """Print what `counted` found, as tables."""
    out = console()
    states = ", ".join(f"{state} {number:,}" for state, number in found["states"].items())
    out.print(f"{found['repositories']:,} repositories of {found['host'] or 'no host'} ({states})")
    if found["coverage"]:
        out.print(_tiers(found))
    if found["languages"] or found["passes"]:
        out.print(_languages(found))
    if found["never_asked"]:
        out.print(f"never asked: {', '.join(found['never_asked'])}")
    out.print(_stages(found))
    for one in found["pace"]:
        if one["failures"]:
            reasons = ", ".join(f"{reason} {n:,}" for reason, n in one["failures"].items())
            out.print(f"failed in {one['stage']}: {reasons}", markup=False, soft_wrap=True)
            out.print(f"  try again: {one['retry']}", markup=False, soft_wrap=True)
    out.print(_when(found["pace"]))


def _tiers(found: Mapping[str, Any]) -> Table:
    table = _table("tier", "languages", "repositories", "pass")
    for one in found["coverage"]:
        asked = f"{one['finished']} of {one['languages']}"
        table.add_row(one["tier"], asked, f"{one['found']:,}", one["kind"], *_coverage(one))
    if other := found["tiers"][OTHER]:
        table.add_row(OTHER, "–", f"{other:,}", *("–" for _ in ("pass", *COVERAGE)))
    return table


def _languages(found: Mapping[str, Any]) -> Table:
    """Return a row per language, the one with most repositories first, and its passes."""
    table = _table("language", "repositories", "since", "finished", "pass")
    stored: Mapping[str, int] = found["languages"]
    passes: dict[str, list[Mapping[str, Any]]] = {name: [] for name in stored}
    for one in found["passes"]:
        if one["in_hand"] or one["missing"] or one["ranges_short"]:
            passes.setdefault(one["language"], []).append(one)
    for name in sorted(passes, key=lambda name: (-stored.get(name, 0), name)):
        first = [name or "(none)", f"{stored.get(name, 0):,}"]
        if not passes[name]:
            table.add_row(*first, *("–" for _ in ("since", "finished", "pass", *COVERAGE)))
        for one in passes[name]:
            times = (_time(one["started_at"]), _time(one["finished_at"]))
            table.add_row(*first, *times, one["kind"], *_coverage(one))
            first = ["", ""]
    return table


def _stages(found: Mapping[str, Any]) -> Table:
    """Return how far, how fast and how long to go, a row per stage."""
    names = ("stage", "done", "failed", "open", "rows out", "worked", "per hour")
    table = Table(title=f"version {found['version']}", title_justify="left")
    for name in (*names, "left", "state"):
        table.add_column(name, justify="left" if name in ("stage", "state") else "right")
    for one, pace in zip(found["stages"], found["pace"], strict=True):
        table.add_row(
            one["name"],
            *(f"{pace[name]:,}" if pace[name] else "–" for name in ("done", "failed", "open")),
            f"{one['out']:,}",
            span(pace["seconds"]),
            f"{pace['per_hour']:,.0f}" if pace["per_hour"] else "–",
            "–" if pace["left_s"] == 0 else span(pace["left_s"]),
            one["state"],
        )
    return table


def _when(pace: Iterable[Mapping[str, Any]]) -> str:
    """Return the line on when all of it is done."""
    left = [one for one in pace if one["open"] or one["failed"]]
    if not left:
        return "nothing is open"
    known = sum(one["left_s"] for one in left if one["left_s"] is not None)
    unknown = [one["stage"] for one in left if one["left_s"] is None]
    said = f"{span(known)} of work left, one process working" if known else "work is left"
    return f"{said}; no rate yet: {', '.join(unknown)}" if unknown else said


def _table(*names: str) -> Table:
    table = Table()
    for name in (*names, *COVERAGE):
        number = name in ("repositories", "calls", "expected", "got")
        table.add_column(name, justify="right" if number else "left")
    return table


def _coverage(one: Mapping[str, Any]) -> Iterable[str]:
    """Return the cells under `COVERAGE`."""
    yield from (f"{one[name]:,}" for name in ("calls", "expected", "got"))
    yield _missing(one)
    states = [f"{one[f'ranges_{name}']:,} {name}" for name in ("done", "short", "open")]
    yield ", ".join(state for state in states if not state.startswith("0 ")) or "–"


def _missing(one: Mapping[str, Any]) -> str:
    """Return how many are missing, and why. A negative drift is a gain and makes up for nothing."""
    named = {"short": "short", "unasked": "not asked", "drift": "drift"}
    why = [f"{one[name]:,} {said}" for name, said in named.items() if one[name]]
    return f"{one['missing']:,}: {', '.join(why)}" if len(why) > 1 else "".join(why) or "–"


def _time(text: str) -> str:
    """Return ISO 8601 to the minute, for the eye; the JSON has the seconds."""
    return text[:16].replace("T", " ") or "–"


def _flat(one: Any) -> dict[str, Any]:
    values = asdict(one)
    tally: Mapping[str, int] = values.pop("tally")
    return {**values, **tally}


def _by_tier(languages: Mapping[str, int]) -> dict[str, int]:
    tiers = dict.fromkeys((*(tier.name for tier in TIERS), OTHER), 0)
    for language, number in languages.items():
        tiers[tier_name(language)] += number
    return tiers


def _states(ranges: "Counter[tuple[str, str]]") -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (tier, state), number in sorted(ranges.items()):
        found.setdefault(tier, {"done": 0, "short": 0, "open": 0})[state] = number
    return found
