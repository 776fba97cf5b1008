"""Quality against what memory costs in bytes: stored dtype, tokens in a slot, layers, reader.

Each point measures NLL, S and R on the same remote lines, with memory that went through the store's
own bytes (`memory.payload`). Bytes per token hold scales, and for `kv` only the layers that read.
One thing is varied at a time: dtypes for every reader; placements and tokens in a slot for the
untrained one, in the first dtype (a trained reader has its own). The honest lower line is raw text:
about four bytes a token, read in the context. Limits: no index, no routing vector counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from awareness_model.evaluation import perplexity
from awareness_model.evaluation.lines import Lines
from awareness_model.evaluation.readers import UNTRAINED, Piece, Reader

TEXT = "text in the context"


@dataclass(frozen=True, slots=True)
class Point:
    """What is stored and read."""

    reader: str
    """Folder, or `none`."""
    dtype: str
    placement: str = ""
    pooling: int = 1


def points(
    readers: Sequence[str],
    dtypes: Sequence[str],
    placements: Sequence[str],
    poolings: Sequence[int],
) -> Iterator[Point]:
    """Yield the points; the untrained reader's first is in the first placement and pooling."""
    for reader in readers:
        if reader != UNTRAINED:
            yield from (Point(reader, dtype) for dtype in dtypes)
            continue
        first, least = placements[0], poolings[0]
        yield from (Point(reader, dtype, first, least) for dtype in dtypes)
        yield from (Point(reader, dtypes[0], placement, least) for placement in placements[1:])
        yield from (Point(reader, dtypes[0], first, tokens) for tokens in poolings[1:])


def pieces_of(lines: Sequence[Lines]) -> list[Piece]:
    """Return what the lines read, each piece once."""
    found = {one.name: one for of in lines for line in of.lines for one in line.reads["own"]}
    return [found[name] for name in sorted(found)]


def text_row(
    pieces: Sequence[Piece], measured: dict[str, Any], machine: str, seed: int
) -> dict[str, Any]:
    """Return the point of the same pieces as text, its bytes a token counted in UTF-8.

    Args:
        measured: what `perplexity.measure` returned for `none` and `text`.
    """
    size = sum(len(one.text.encode()) for one in pieces) / max(sum(p.tokens for p in pieces), 1)
    classes = perplexity.summary(measured, seed)["classes"]
    nll = classes.get("remote", {}).get("nll")
    return {"reader": TEXT, "bytes_per_token": size, "nll": nll, "machine": machine, "missing": []}


def row(reader: Reader, parts: Sequence[dict[str, Any]], cost: float, seed: int) -> dict[str, Any]:
    """Return one point: bytes a token beside S, R and NLL on remote tokens, and harm in-file.

    Args:
        parts: what `perplexity.measure` returned for the reader.
        cost: bytes a token.
    """
    measured = perplexity.summary(perplexity.joined(parts), seed)
    classes = measured["classes"]
    remote = classes.get("remote", {})
    return {
        "bytes_per_token": cost,
        "pooling": reader.pooling,
        "layers": len(reader.decoder.reading_layers),
        "packages": measured["packages"],
        "lines": measured["lines"],
        "tokens": remote.get("tokens"),
        "nll": remote.get("nll"),
        "S": remote.get("S"),
        "R": remote.get("R"),
        "harm_own": classes.get("in_file", {}).get("harm_own"),
    }
