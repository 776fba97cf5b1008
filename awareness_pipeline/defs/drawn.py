"""Pictures of an asset page, drawn once for the same numbers.

Drawing one takes 0.1 s, which would be most of a rerun that finds nothing to do, and loads
matplotlib. So the last one of each kind is kept beside the marks of `seen.py`, one for each
partition and plot; it may be deleted at any time.

    <root>/.seen/<version>/<artifact>/<partition>.<plot>    a mark of the numbers, then the picture
"""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from awareness_model.schema import digest
from awareness_pipeline import report
from awareness_pipeline.config import Settings


def drawn(
    settings: Settings, artifact: str, partition: str, plot: str, *given: Any
) -> dg.MetadataValue:
    """Return the picture that `report.plots.<plot>(*given)` draws, as Markdown."""
    folder = settings.paths.root / ".seen" / settings.version / artifact
    return dg.MetadataValue.md(f"![]({_uri(folder / f'{partition}.{plot}', plot, *given)})")


def _uri(kept: Path, plot: str, *given: Any) -> str:
    mark = digest(_code(), plot, repr(given))
    with suppress(OSError, ValueError):
        known, uri = kept.read_text(encoding="ascii").splitlines()
        if known == mark:
            return uri
    from awareness_pipeline.report import plots  # a second of start-up, and not needed by most runs

    uri = str(getattr(plots, plot)(*given))
    # Not synced: a picture that is torn, lost or has no room is drawn again.
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(f"{mark}\n{uri}\n", encoding="ascii")
    return uri


@cache
def _code() -> str:
    """Return a digest of what draws: another way of drawing gives other pictures."""
    return digest(Path(report.__file__).with_name("plots.py").read_text(encoding="utf-8"))
