"""The evidence that the data is no toy, as rows and intervals to show. Nothing is measured here.

D is what another's reading costs a text: NLL(text | another's) − NLL(text | own), in nats per token
of the text; a gain is a style's D beside that of the cleaned message. See `evidence.verdicts`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from awareness_pipeline.config import Paths
from awareness_pipeline.evidence.verdicts import sides
from awareness_pipeline.standing import partition_records

__all__ = ["HEAD", "SAID", "evidence_of", "intervals", "rows"]

HEAD: Final = (
    "compared",
    "against",
    "verdict",
    "texts",
    "repositories",
    "NLL own",
    "other",
    "D",
    "95% interval",
)
TEXT_COLUMNS: Final = 3
SAID: Final = (
    "How much likelier is the true change behind its own prompt than behind another commit's, and "
    "a trace's response behind files of its own repository than behind as many tokens of another "
    "one's? D = NLL(another's) − NLL(own), in nats per token of the text, with a 95% interval over "
    "repositories; the model of this version scores. The teacher wrote its answers with its own "
    "files in view, so that their D is above 0 is all but given: the true diff is the test."
)

Measure = Mapping[str, Any]


def evidence_of(paths: Paths, version: str) -> dict[str, Any] | None:
    """Return what the audit found, or None where it has not run.

    `{"measures": [{"kind", "group", "control", "D", "D_ci", "nll", "n_items", "n_repos",
    "headline", "clear", "why", …}], "unclear": [line]}`; D is None where nothing was measured.
    """
    records = partition_records(paths, "data_evidence", version)
    return dict(records[0][1].extra) if records else None


def rows(evidence: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield a row of `HEAD` for every measure."""
    for one in evidence["measures"]:
        low, high = one["D_ci"] or (None, None)
        interval = f"{number(low)} to {number(high)}" if one["D_ci"] else "–"
        nll = one.get("nll") or {}
        verdict = one["why"] or ("clear of 0" if one["D"] > 0 else "clear of 0, and below it")
        shown = (number(nll.get("own")), number(nll.get("control")), number(one["D"]), interval)
        yield [*sides(one), verdict, one["n_items"], one["n_repos"], *shown]


def intervals(evidence: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return D with its interval by what is compared, of all that have one."""
    return {
        "\n".join(sides(one)): (one["D"], *one["D_ci"])
        for one in evidence["measures"]
        if one["D_ci"]
    }


def number(value: float | None) -> str:
    """Return a difference to three places; small ones count here."""
    # Adding 0.0 turns -0.0 into 0.0.
    return "–" if value is None else f"{round(value, 3) + 0.0:.3f}"
