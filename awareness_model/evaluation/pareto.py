"""Quality against what memory costs in bytes: stored dtype, layers that read, reader.

Each cell measures S and R on the same remote lines, with memory that went through the store's own
bytes (`memory.payload`). Bytes per token hold scales, and for `kv` only the layers that read.
Pooling is a trained reader's own, so it varies with the readers given. The honest lower line is raw
text: about four bytes a token, read in the context. Limits: no index, no routing vector counted.
"""

from collections.abc import Sequence
from typing import Any

from awareness_model.evaluation import perplexity
from awareness_model.evaluation.lines import Lines
from awareness_model.evaluation.readers import Piece, Reader

CONDITIONS = ("none", "own", "other", "text")


def pieces_of(lines: Sequence[Lines]) -> list[Piece]:
    """Return what the lines read, each piece once."""
    found = {one.name: one for of in lines for line in of.lines for one in line.reads["own"]}
    return [found[name] for name in sorted(found)]


def text_bytes(pieces: Sequence[Piece]) -> float:
    """Return what the pieces are as text, in bytes a token."""
    return sum(len(one.text.encode()) for one in pieces) / max(sum(one.tokens for one in pieces), 1)


def row(reader: Reader, parts: Sequence[dict[str, Any]], cost: float, seed: int) -> dict[str, Any]:
    """Return one point: bytes a token beside S, R and NLL on remote tokens, and harm in-file.

    Args:
        parts: what `perplexity.measure` returned for the reader.
        cost: bytes a token.
    """
    classes = perplexity.summary(perplexity.joined(parts), seed)["classes"]
    remote = classes.get("remote", {})
    return {
        "bytes_per_token": cost,
        "pooling": reader.encoder.config.pooling,
        "layers": len(reader.decoder.reading_layers),
        "nll": remote.get("nll"),
        "S": remote.get("S"),
        "R": remote.get("R"),
        "harm_own": classes.get("in_file", {}).get("harm_own"),
    }
