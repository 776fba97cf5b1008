"""What automation may do by itself: switched on or not, when, and how much. Plain Python.

    AWARENESS_AUTOMATION                    on: schedules and sensors run; off (the default): none
    AWARENESS_AUTOMATION_HOURS              6-12: hours of the day, UTC, when downstream may start
    AWARENESS_AUTOMATION_MAX_REPOSITORIES   1,000 that are not cloned yet; more wait for a person
    AWARENESS_AUTOMATION_MAX_GB             50, as the host states their sizes

The size guard holds work back, never stops it: who starts the job `build` by hand is not asked.

Limits: a switch flipped in Dagster's own pages stands over the variable from then on. Clones that
only grew are not counted.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from awareness_pipeline import store
from awareness_pipeline.artifacts import place, read_record
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Settings, UserError

KB_IN_GB = 1024**2


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of automation."""

    on: bool = False
    opens: int = 6
    """Hour of the day, UTC."""
    closes: int = 12
    repositories: int = 1_000
    gigabytes: int = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """Repositories chosen to be cloned and not tried yet."""

    repositories: int
    gigabytes: float


def bounds(env: Mapping[str, str] | None = None) -> Bounds:
    """Return the bounds that the environment sets.

    Raises:
        UserError: a value that cannot be read.
    """
    env = os.environ if env is None else env
    usual = Bounds()
    opens, closes = _hours(env.get("AWARENESS_AUTOMATION_HOURS") or "6-12")
    most = env.get("AWARENESS_AUTOMATION_MAX_REPOSITORIES") or str(usual.repositories)
    size = env.get("AWARENESS_AUTOMATION_MAX_GB") or str(usual.gigabytes)
    for name, said in (("MAX_REPOSITORIES", most), ("MAX_GB", size)):
        if not re.fullmatch(r"\d{1,12}", said, re.ASCII):
            raise UserError(f"AWARENESS_AUTOMATION_{name} must be a whole number")
    return Bounds(_switch(env), opens, closes, int(most), int(size))


def _switch(env: Mapping[str, str]) -> bool:
    said = (env.get("AWARENESS_AUTOMATION") or "off").lower()
    if said not in ("on", "off"):
        raise UserError("AWARENESS_AUTOMATION must be on or off")
    return said == "on"


def _hours(said: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", said, re.ASCII)
    opens, closes = (int(found[1]), int(found[2])) if found else (24, 24)
    if opens > 23 or closes > 23 or opens == closes:
        raise UserError(
            "AWARENESS_AUTOMATION_HOURS must be two hours of the day such as 6-12, not the same"
        )
    return opens, closes


def _cloned(settings: Settings) -> Iterator[str]:
    """Yield the keys of the units of clones: in a store, as its finished partitions name them."""
    home = settings.paths.artifact("clones") / settings.version
    if not settings.paths.store:
        yield from (path.name.split(".")[0] for path in home.glob("*/*.record.json"))
        return
    places = [place(settings, "clones", key, {}) for key in settings.shard_keys]
    store.bring_records(places)
    for here in places:
        if record := read_record(here.folder / "record.json"):
            yield from record.inputs


def waiting(settings: Settings) -> Waiting:
    """Return what is chosen to be cloned and has no record of a clone yet."""
    host = settings.source.host
    done = set(map(int, _cloned(settings)))
    with Catalog(settings.paths.database_url) as catalog:
        chosen = catalog.selected(host) - done
        rows = [row for row in catalog.repositories(host) if row.repo_id in chosen]
    return Waiting(len(rows), sum(row.size_kb for row in rows) / KB_IN_GB)
