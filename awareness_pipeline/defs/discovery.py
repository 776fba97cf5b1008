"""What Dagster shows of a language: calls, found, expected against got, stars, and its tier.

Read from the catalog once for all partitions of a run. A partition shows the pass in hand; ranges
that are short or open count whatever pass they belong to. The progress by tier is that of the whole
catalog and stands with every partition, as Dagster's page shows the one reported last. Whole
numbers and floats are plotted over time by Dagster.

Limits: for a folder or a list of names nothing is searched, so nothing is added to the counts.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import dagster as dg

from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Settings
from awareness_pipeline.defs.drawn import drawn
from awareness_pipeline.defs.pictures import Metadata
from awareness_pipeline.github.sampling import BANDS, band_of
from awareness_pipeline.report.coverage import Asking, TierProgress, askings, by_tier, wanted

TIER_COLUMNS = {
    **dict.fromkeys(("tier", "pass", "languages done"), "string"),
    **dict.fromkeys(("queries done", "short", "open", "found", "expected", "got"), "int"),
}
BAND_NAMES = (
    f"below {BANDS[1]}",
    *(f"{low:,} to {high - 1:,}" for low, high in pairwise(BANDS[1:])),
    f"{BANDS[-1]:,} and more",
)
"""Stars, in the bands that the stratified choice draws from."""


def of_run(settings: Settings, languages: Sequence[str]) -> Mapping[str, Metadata]:
    """Return what to show of each language beside its record."""
    if settings.source.local or settings.source.listing:
        return {}
    host = settings.source.host
    with Catalog(settings.paths.database_url) as catalog:
        searches = catalog.searches(host)
        found = askings(searches.ranges(), searches.passes())
        rows = catalog.repositories(host)
    stars: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        stars[row.language][band_of(row.stars)] += 1
    stored = {language: bands.total() for language, bands in stars.items()}
    tiers = _tiers(by_tier(found, wanted(settings), stored))
    return {
        language: {
            "found": dg.MetadataValue.int(stored.get(language, 0)),
            **_passes([one for one in found if one.language == language]),
            "progress by tier": tiers,
            **_stars(settings, language, stars[language]),
        }
        for language in languages
    }


def _passes(found: Sequence[Asking]) -> Metadata:
    """Return the numbers of the pass in hand; nothing for a language that was never asked."""
    shown: dict[str, dg.MetadataValue] = {}
    for one in found:
        if one.in_hand:
            shown |= _numbers(one)
            shown["pass"] = dg.MetadataValue.text(one.kind)
            times = {"pass started": one.started_at, "pass finished": one.finished_at}
            shown |= {name: _time(time) for name, time in times.items() if time}
    if found:
        shown["short ranges"] = dg.MetadataValue.int(sum(one.tally.ranges_short for one in found))
        shown["open ranges"] = dg.MetadataValue.int(sum(one.tally.ranges_open for one in found))
    return shown


def _numbers(one: Asking) -> dict[str, dg.MetadataValue]:
    tally = one.tally
    numbers = {
        "search calls": tally.calls,
        "expected": tally.expected,
        "expected by ranges": tally.expected - tally.drift,
        "got": tally.got,
        "missing": tally.missing,
        "missing: short": tally.short,
        "missing: not asked": tally.unasked,
        "drift": tally.drift,
    }
    shown = {name: dg.MetadataValue.int(number) for name, number in numbers.items()}
    if not tally.got:
        return dict(shown)
    each = dg.MetadataValue.float(round(tally.calls / tally.got, 4))
    return {**shown, "calls per repository": each}


def _stars(settings: Settings, language: str, bands: Mapping[int, int]) -> Metadata:
    """Return how many repositories lie in each band of stars, as a picture and as a table."""
    if not bands:
        return {}
    numbers = [bands.get(band, 0) for band in range(len(BAND_NAMES))]
    rows = zip(BAND_NAMES, numbers, strict=True)
    columns = [dg.TableColumn("stars", "string"), dg.TableColumn("repositories", "int")]
    return {
        "stars": drawn(settings, "repositories", language, "stars", BAND_NAMES, numbers),
        "stars by band": dg.MetadataValue.table(
            [dg.TableRecord({"stars": band, "repositories": number}) for band, number in rows],
            dg.TableSchema(columns),
        ),
    }


def _tiers(found: Sequence[TierProgress]) -> dg.MetadataValue:
    columns = [dg.TableColumn(name, kind) for name, kind in TIER_COLUMNS.items()]
    return dg.MetadataValue.table([_record(one) for one in found], dg.TableSchema(columns))


def _record(one: TierProgress) -> dg.TableRecord:
    tally, done = one.tally, f"{one.finished} of {one.languages}"
    queries = (tally.ranges_done, tally.ranges_short, tally.ranges_open)
    values = (one.tier, one.kind, done, *queries, one.found, tally.expected, tally.got)
    return dg.TableRecord(dict(zip(TIER_COLUMNS, values, strict=True)))


def _time(text: str) -> dg.MetadataValue:
    return dg.MetadataValue.timestamp(datetime.fromisoformat(text))
