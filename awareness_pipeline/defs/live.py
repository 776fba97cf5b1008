"""Work as it goes, on an asset's page: an observation now and then with the numbers it tells.

An observation reported from the run itself (`context.log_event`) reaches the event log when the
asset is done; these are reported to the instance at once, without a run. Dagster plots each number
over time. Limits: at most `OBSERVATIONS` of a piece of work; only training has numbers to tell.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from awareness_pipeline.progress import in_words, listening

OBSERVATIONS = 20
SHOWN = {
    "loss": "loss now",
    "S": "S on the probe",
    "tokens_per_second": "tokens per second",
    "mfu": "MFU",
    "memory_mib": "memory, MiB",
}


@contextmanager
def observed(context: dg.AssetExecutionContext, artifact: str) -> Iterator[None]:
    """Show the numbers of work inside the block on the page of `artifact`, and in the run's log."""
    shown = -1

    def listener(done: int, total: int, numbers: Mapping[str, float]) -> None:
        nonlocal shown
        if (part := done * OBSERVATIONS // max(total, 1)) == shown:
            return
        shown = part
        said = f"step {done} of {total}: {in_words(numbers)}"
        context.log.info(said)
        metadata: dict[str, dg.MetadataValue] = {"step": dg.MetadataValue.int(done)}
        for name, title in SHOWN.items():
            if name in numbers:
                metadata[title] = dg.MetadataValue.float(float(numbers[name]))
        seen = dg.AssetObservation(artifact, description=said, metadata=metadata)
        context.instance.report_runless_asset_event(seen)

    with listening(listener):
        yield
