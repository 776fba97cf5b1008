"""Documents as memory with gradients kept, and the views that rows have of them.

Where gradients are on and the encoder is differentiable, the loss reaches the layers that made the
states. A document is encoded once, however many rows see it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from awareness_model.encoder import ContextEncoder
from awareness_model.memory.batch import Memory


def documents(encoder: ContextEncoder, texts: Sequence[str]) -> Memory:
    """Return a Memory with a row for each text, as `collate` makes it of one document a row; its
    backward is one pass over the batch, that of `collate` one for each chunk."""
    encoded = encoder.encode(texts, "latent")
    keys = _padded([torch.cat([chunk.keys for chunk in chunks]) for chunks in encoded])
    place = _padded(
        [torch.cat([torch.arange(len(c.keys)) + 1 for c in chunks]) for chunks in encoded]
    )
    return Memory(keys, keys, place > 0, torch.where(place > 0, 0, -1), place)


def _padded(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True)


def visible(held: Memory, views: Sequence[Sequence[int]]) -> Memory:
    """Return the Memory of rows that each see several rows of `held`, all views of one length.

    A row's documents lie in the order of `held`, whatever order they are given in, as those of
    `collate` lie in one of their content; `document` is the place in the view.
    """
    at, given = torch.tensor(views).sort(1)

    def taken(slots: Tensor) -> Tensor:
        return slots[at.to(slots.device)].flatten(1, 2)

    keys = taken(held.keys)
    mask = taken(held.mask)
    document = given.repeat_interleave(held.mask.shape[1], dim=1).to(mask.device)
    return Memory(
        keys,
        keys if held.values is held.keys else taken(held.values),
        mask,
        document.masked_fill(~mask, -1),
        taken(held.position),
    )
