"""What is usual of a token's value: how alike the most like slot of an arbitrary document is.

The mean and the log of the deviation of a token's best cosine over arbitrary documents, both linear
in its value of length 1 and fitted by ridge regression on documents to learn from. `kv_match` takes
from it how far a document is above the usual. Limits: documents are cut to `CUT` slots.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.decoder.kv_reader import KVReader
from awareness_model.reader.rows import Shelf

CUT = 128
"""Slots of a document that count, at least so many in each."""
ARBITRARY = 24
"""Documents that stand for all others."""
ASKED = 128
"""Documents whose slots are the tokens that ask."""
RIDGE = 1e-2
LEAST_SPREAD = 1e-3


@torch.no_grad()
def fit_usual(reader: KVReader, shelf: Shelf, names: Sequence[str]) -> None:
    """Fit what is usual in the layers that compare.

    Args:
        names: documents in an order that says nothing.

    Raises:
        ValueError: fewer long ones than stand for all others, and one more.
    """
    long = [name for name in names if len(shelf[name][0].values) >= CUT]
    if len(long) <= ARBITRARY:
        raise ValueError(f"{len(long)} documents of {CUT} tokens, {ARBITRARY + 1} are needed")
    for number, layer in enumerate(reader.match_layers):
        held = [
            F.normalize(shelf[name][0].values[:, layer].flatten(1).float(), dim=-1)
            for name in long[: ARBITRARY + ASKED]
        ]
        made = _fitted(torch.cat(held[ARBITRARY:]), [one[:CUT] for one in held[:ARBITRARY]])
        reader.usual[number] = made.to(reader.usual)


def _fitted(asked: Tensor, arbitrary: Sequence[Tensor]) -> Tensor:
    """Return weights `[d + 1, 2]` for tokens `[n, d]` against documents `[CUT, d]`."""
    best = torch.stack([(asked @ one.T).amax(1) for one in arbitrary], dim=1)
    spread = best.std(1).clamp(min=LEAST_SPREAD).log()
    known = F.pad(asked, (0, 1), value=1.0)
    square = known.T @ known + RIDGE * torch.eye(known.shape[1], device=known.device)
    return torch.linalg.solve(square, known.T @ torch.stack([best.mean(1), spread], dim=1))
