"""What Dagster shows of a record: counts that it plots over time, a table, links, an identity.

One mapping per partition. Whole numbers and floats are plotted over time by Dagster itself, so each
count stands alone, each reason for dropping and the teacher's cost among them; the reasons stand in
a table too, as they come and go. Paths are those of this machine: metadata is a view, never an
input.
"""

from functools import cache

import dagster as dg

from awareness_pipeline.artifacts import Record
from awareness_pipeline.config import PROJECT, Settings
from awareness_pipeline.defs.pictures import PICTURES, Metadata, table
from awareness_pipeline.flow import step_named
from awareness_pipeline.gitio.repository import RepositoryError, head_sha, open_repository
from awareness_pipeline.teacher.books import ledger_folder
from awareness_pipeline.teacher.ledger import account

UNITS_DONE = "units done now"
ASKING = ("reverse", "distil")
"""The stages that ask a teacher, and so have lines in the ledger."""


def metadata_of(record: Record, settings: Settings, *, detailed: bool = True) -> Metadata:
    """Return what to show of one partition; `detailed`: also what only its kind has, drawn."""
    folder = settings.paths.artifact(record.artifact) / record.version / record.partition
    counts = record.counts
    reasons = dict(sorted(counts.dropped.items(), key=lambda item: (-item[1], item[0])))
    pictures = PICTURES.get(record.artifact) if detailed else None
    return {
        **(pictures(settings, record) if pictures else {}),
        "dagster/row_count": dg.MetadataValue.int(counts.rows_out),
        "rows in": dg.MetadataValue.int(counts.rows_in),
        "rows out": dg.MetadataValue.int(counts.rows_out),
        "rows dropped": dg.MetadataValue.int(sum(counts.dropped.values())),
        **({"dropped by reason": table(reasons, "reason", "rows")} if reasons else {}),
        **{f"dropped: {why}": dg.MetadataValue.int(number) for why, number in reasons.items()},
        **_cost(record, settings),
        "units": dg.MetadataValue.int(len(record.inputs)),
        UNITS_DONE: dg.MetadataValue.int(record.fresh),
        "seconds": dg.MetadataValue.float(round(record.seconds, 3)),
        "folder": dg.MetadataValue.path(str(folder.absolute())),
        "record": dg.MetadataValue.path(str((folder / "record.json").absolute())),
        "version": dg.MetadataValue.text(record.version),
        "fingerprint": dg.MetadataValue.text(record.fingerprint),
        "digest": dg.MetadataValue.text(record.digest),
        "git commit": dg.MetadataValue.text(code_commit()),
    }


def _cost(record: Record, settings: Settings) -> Metadata:
    """Return what a stage's answers cost so far, over all runs and shards: the ledger's sums."""
    stage = step_named(record.artifact).name
    if stage not in ASKING:
        return {}
    spent = [one for one in account(ledger_folder(settings)) if one.stage == stage]
    if not spent:
        return {}
    return {
        "teacher: requests": dg.MetadataValue.int(sum(one.requests for one in spent)),
        "teacher: from the cache": dg.MetadataValue.int(sum(one.cached for one in spent)),
        "teacher: tokens": dg.MetadataValue.int(sum(one.tokens for one in spent)),
        "teacher: cost": dg.MetadataValue.float(round(sum(one.cost for one in spent), 6)),
    }


@cache
def code_commit() -> str:
    """Return the commit of this code: fingerprints say which settings, not which code."""
    try:
        return head_sha(open_repository(PROJECT)) or "none yet"
    except RepositoryError:
        return "installed without its history"
