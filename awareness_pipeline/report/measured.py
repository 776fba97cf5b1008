"""Rates that were measured: what one repository, or one request, costs at each stage.

They come from the records of a version at hand, or from `results/*.json`, which benches and the
demo wrote: each figure says which. A figure is a mean over so many repositories with an interval of
two standard errors, not below the least value seen; one repository or one run has no interval of
its own, and counts between a half and twice its value.

Limits: repositories' sizes have heavy tails, so a mean over a few says little, and the interval is
too narrow; units that ran side by side share the time.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import PROJECT, Settings, demo
from awareness_pipeline.flow import step_named
from awareness_pipeline.gitio.space import bytes_of
from awareness_pipeline.standing import partition_records
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.ledger import account

RESULTS = PROJECT / "results"
DEMO, SAMPLE = "demo.json", "repositories.json"
PER_REPOSITORY = (
    "search calls",
    "clone bytes",
    "clone seconds",
    "commits",
    "commit bytes",
    "extract seconds",
    "curate seconds",
)
"""Figures of one repository."""
PER_ENCODED = ("tree tokens", "encode seconds", "memory bytes")
"""Figures of one repository that is encoded: not all are."""
PER_TOKEN = ("encode seconds a token",)
PER_ANSWER = tuple(
    f"{stage} {what}"
    for stage in ("reverse", "distil")
    for what in ("prompt tokens", "answer tokens", "seconds")
)
"""Figures of one request that the teacher answered."""
ONCE = ("audit seconds", "train seconds", "evaluate seconds")
"""Figures of a whole version: they are bounded by settings, not by repositories."""
UNSURE = 2.0
"""By which factor a figure without an interval may be off."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, with the interval it is thought to lie in."""

    low: float
    mean: float
    high: float
    n: int
    source: str

    def times(self, number: float) -> "Figure":
        """Return the figure for so many."""
        low, mean, high = (one * number for one in (self.low, self.mean, self.high))
        return Figure(low, mean, high, self.n, self.source)


def figure(values: Sequence[float], source: str) -> Figure:
    """Return the mean of values with its interval; of one value, with a factor of two."""
    mean = fmean(values)
    if len(values) < 2:
        return Figure(mean / UNSURE, mean, mean * UNSURE, 1, source)
    error = 2 * stdev(values) / sqrt(len(values))
    return Figure(max(min(values), mean - error), mean, mean + error, len(values), source)


def rates(settings: Settings) -> dict[str, Figure]:
    """Return every figure that is known: of the version at hand, else as committed."""
    usual = {name: _to_size(name, one, settings) for name, one in committed().items()}
    return {**usual, **_encoding(settings, usual), **of_version(settings)}


def _to_size(name: str, one: Figure, settings: Settings) -> Figure:
    """Return a figure of the demo at the sizes of these settings, where time goes by them."""
    small = demo()
    factor = {
        "audit seconds": settings.audit.max_commits / small.audit.max_commits,
        "train seconds": settings.train.steps
        * settings.train.batch_size
        / (small.train.steps * small.train.batch_size),
        "evaluate seconds": settings.evaluate.max_items / small.evaluate.max_items,
    }.get(name)
    if one.source != f"results/{DEMO}":
        return one
    return one.times(factor) if factor else one


def _encoding(settings: Settings, known: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the seconds that encoding a repository takes: the tokens of real trees, up to the
    bound of the settings, at the encoder's measured rate."""
    path, a_token = RESULTS / SAMPLE, known.get("encode seconds a token")
    if not a_token or not path.is_file():
        return {}
    most = settings.encode.max_repository_tokens
    rows = json.loads(path.read_bytes())["repositories"]
    tokens = figure([min(row["tree tokens"], most) for row in rows], f"results/{SAMPLE}")
    return {"tree tokens": tokens, "encode seconds": _product(a_token, tokens)}


def of_version(settings: Settings) -> dict[str, Figure]:
    """Return the figures that a version's records, catalog and ledger give; makes nothing."""
    if not settings.paths.root.is_dir() and not settings.paths.database:
        return {}
    source = f"version {settings.version}"
    found = dict(_collected(settings))
    found |= {f"{stage} seconds": _seconds(settings, stage) for stage in ("curate", "encode")}
    store = settings.paths.artifact("memory_shards") / settings.version / "store"
    units = sum(1 for _ in _units(settings, "memory_shards"))
    if units:
        total = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        found["memory bytes"] = [total / units]
    found |= dict(_asked(settings))
    for name in ONCE:
        records = partition_records(
            settings.paths, step_named(name.split()[0]).artifact, settings.version
        )
        found[name] = [record.seconds for _, record in records if record.seconds]
    return {name: figure(values, source) for name, values in found.items() if values}


def _collected(settings: Settings) -> Iterator[tuple[str, list[float]]]:
    """Yield what clones and commits say, a value a repository."""
    clones = [
        (folder / f"{record.key}.git", record)
        for folder, record in _units(settings, "clones")
        if record.counts.rows_out
    ]
    yield "clone bytes", [float(bytes_of(path)) for path, _ in clones]
    if not settings.source.local:
        yield "clone seconds", [record.seconds for _, record in clones]
    commits = [record for _, record in _units(settings, "commits") if record.files]
    yield "commits", [float(record.counts.rows_out) for record in commits]
    yield "commit bytes", [float(sum(size for size, _ in one.files.values())) for one in commits]
    yield "extract seconds", [record.seconds for record in commits]
    with Catalog(settings.paths.database_url) as catalog:
        searches = catalog.searches(settings.source.host)
        calls = sum(one.calls for one in searches.passes().values())
        rows = searches.found()
    yield "search calls", [calls / rows] if calls and rows else []


def _seconds(settings: Settings, stage: str) -> list[float]:
    """Return seconds by repository, a value a partition: its units were worked on together."""
    found = []
    for folder, record in partition_records(
        settings.paths, step_named(stage).artifact, settings.version
    ):
        units = sum(1 for _ in folder.glob("*.record.json"))
        if units and record.seconds:
            found.append(record.seconds / units)
    return found


def _asked(settings: Settings) -> Iterator[tuple[str, list[float]]]:
    """Yield what an answer cost, all runs and models together."""
    for stage in ("reverse", "distil"):
        rows = [one for one in account(ledger_folder(settings)) if one.stage == stage]
        answers = sum(one.requests for one in rows)
        if answers:
            yield f"{stage} prompt tokens", [sum(one.prompt_tokens for one in rows) / answers]
            yield f"{stage} answer tokens", [sum(one.completion_tokens for one in rows) / answers]
            yield f"{stage} seconds", [sum(one.seconds for one in rows) / answers]


def _units(settings: Settings, artifact: str) -> Iterator[tuple[Path, Record]]:
    folder = settings.paths.artifact(artifact) / settings.version
    for path in sorted(folder.glob("*/*.record.json")):
        if record := read_record(path):
            yield path.parent, record


def committed(folder: Path = RESULTS) -> dict[str, Figure]:
    """Return the figures of the benches' and the demo's results, as far as the files are there."""
    found: dict[str, Figure] = {}
    for name, read in _READ.items():
        path = folder / name
        if path.is_file():
            said = dict(read(json.loads(path.read_bytes()), f"results/{name}"))
            found |= {key: one for key, one in said.items() if key not in found}
    for stage in ("extract", "curate"):
        one = found.pop(f"{stage} seconds a commit", None)
        if one and (commits := found.get("commits")):
            found[f"{stage} seconds"] = _product(one, commits)
    return found


def _product(one: Figure, other: Figure) -> Figure:
    numbers = (one.low * other.low, one.mean * other.mean, one.high * other.high)
    return Figure(*numbers, min(one.n, other.n), f"{one.source}, {other.source}")


def _discovery(result: Mapping[str, Any], source: str) -> Iterator[tuple[str, Figure]]:
    """Ours, over all the worlds of the bench: the range is that of the worlds."""
    ours = [
        row["per_repository"]
        for world in result["worlds"]
        for row in world["rows"]
        if row["method"] == "ours"
    ]
    yield "search calls", Figure(min(ours), fmean(ours), max(ours), len(ours), source)


def _sample(result: Mapping[str, Any], source: str) -> Iterator[tuple[str, Figure]]:
    """Real repositories, a row each."""
    rows: list[dict[str, float]] = result["repositories"]
    for name in PER_REPOSITORY:
        if values := [row[name] for row in rows if name in row]:
            yield name, figure(values, source)


def _extraction(result: Mapping[str, Any], source: str) -> Iterator[tuple[str, Figure]]:
    """Real histories, one process: processor time, which is the wall time of a quiet machine."""
    found = [one["commits_per_cpu_second"]["full"] for one in result["repositories"].values()]
    yield "extract seconds a commit", figure([1 / one for one in found], source)


def _encoder(result: Mapping[str, Any], source: str) -> Iterator[tuple[str, Figure]]:
    """The decoder of 135M reading chunk after chunk: seconds of one core."""
    yield "encode seconds a token", figure([1 / result["batches"]["1"]["tokens_per_cpu_s"]], source)


def _demo(result: Mapping[str, Any], source: str) -> Iterator[tuple[str, Figure]]:
    """One run of the demo: 24 small repositories, a model of 135M on two cores."""
    stages = {one["name"]: one for one in result["report"]["stages"]}
    curated = stages["curate"]["seconds"] / stages["curate"]["in"]
    yield "curate seconds a commit", figure([curated], source)
    prompts = result["report"]["prompts"]
    asked = sum(one["answered"] for style, one in prompts.items() if style != "message")
    yield "reverse seconds", figure([stages["reverse"]["seconds"] / asked], source)
    yield "distil seconds", figure([stages["distil"]["seconds"] / stages["distil"]["out"]], source)
    for name in ONCE:
        yield name, figure([stages[name.split()[0]]["seconds"]], source)


_READ: Mapping[str, Callable[[Any, str], Iterable[tuple[str, Figure]]]] = {
    "discovery_cost.json": _discovery,
    SAMPLE: _sample,
    "encoder.json": _encoder,
    "extract.json": _extraction,
    DEMO: _demo,
}
