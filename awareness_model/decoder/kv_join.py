"""One softmax over memory and a row's own keys, whose logits are made apart.

Memory may be asked by other queries than own keys are, and is never copied for the rows and heads
that share it. Shapes as in `kv_corrected`. Limit: logits are held in full.
"""

import torch
from torch import Tensor

from awareness_model.gca import pack, unpack


def join(
    queries: tuple[Tensor, Tensor],
    memory: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    added: tuple[Tensor, Tensor | None],
) -> tuple[Tensor, Tensor]:
    """Return what is read `[C, H, T, D]` and the mass on memory `[C, H, T, N]`, float32.

    Args:
        queries: scaled ones that ask memory, and that ask the row's own keys, `[C, H, T, D]`.
        memory: keys and values `[B, G, N, D]`.
        own: keys and values `[C, G, S, D]`.
        added: to the logits over memory and over own keys; what goes with `[C, H, T, N]` and
            `[C, H, T, S]`. None: nothing is.
    """
    far, near = (
        unpack(pack(query, keys) @ keys.mT, query)
        for query, keys in zip(queries, (memory[0], own[0]), strict=True)
    )
    far = far + added[0].to(far.dtype)
    if added[1] is not None:
        near = near + added[1].to(near.dtype)
    share = torch.cat([far, near], dim=-1).softmax(-1, dtype=torch.float32)
    on_memory, on_own = share.split([far.shape[-1], near.shape[-1]], dim=-1)
    read = [
        unpack(pack(part.to(values.dtype), values) @ values, queries[0])
        for part, values in ((on_memory, memory[1]), (on_own, own[1]))
    ]
    return read[0] + read[1], on_memory
