"""A user's batch made ready: which tokens are scored, what each row reads, what the teacher reads.

A batch is a mapping of tensors; B rows, T tokens, M memory slots, N scored tokens of all rows:

    input_ids, attention_mask                   [B, T]
    memory, or memory_key and memory_value      a Memory, or [B, M, S, E] or [M, S, E]
    labels                                      [B, T], optional; −100 is not scored
    gold                                        [B, M] bool, optional: slots of deciding documents
    teacher_input_ids, teacher_attention_mask   [B, T'], optional: the same tokens behind context
    teacher_positions                           [B, T], optional: the teacher's column of a token,
                                                −1 for none

Without labels every attended token is scored. Labels stand at the token they name (the shift is
made here); one whose predecessor is not attended has nothing to be predicted from, and does not
count. Without positions the teacher's rows must end with the student's tokens. Limits: slots given
by key and value are all visible; a batch of different lengths comes as a Memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.memory.batch import Memory, from_slots

NOT_SCORED = -100
"""transformers' label of a token that does not count."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What the teacher reads, and where it predicts what the student predicts."""

    input_ids: Tensor
    attention_mask: Tensor
    positions: Tensor
    """[N]; −1 where the teacher says nothing."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch ready for the decoder, on its device; the memory moves when it is read."""

    input_ids: Tensor
    attention_mask: Tensor
    at: tuple[Tensor, Tensor]
    """[N] rows and [N] positions whose outputs predict the targets."""
    targets: Tensor
    """[N]"""
    memory: Memory
    """B rows."""
    gold: Tensor | None
    """[B, M] bool."""
    teaching: Teaching


def rows_of(batch: Mapping[str, Any], device: torch.device) -> Rows:
    """Return a user's batch, checked.

    Raises:
        UserError: a key is missing, shapes do not fit, or no token is scored.
    """
    if not isinstance(batch, Mapping):
        raise UserError(
            f"a batch is a {type(batch).__name__}, not a mapping: give input_ids, attention_mask "
            "and memory by name"
        )
    ids = _tensor(batch, "input_ids", device)
    mask = _tensor(batch, "attention_mask", device, ids.shape).bool()
    labels = ids.masked_fill(~mask, NOT_SCORED)
    if batch.get("labels") is not None:
        labels = _tensor(batch, "labels", device, ids.shape)
    scored = (labels[:, 1:] != NOT_SCORED) & mask[:, :-1]
    at = scored.nonzero()[:, 0], scored.nonzero()[:, 1]
    if at[0].numel() == 0:
        raise UserError("a batch has no token to score: give labels other than -100, or more text")
    memory = _memory(batch, len(ids))
    gold = None
    if batch.get("gold") is not None:
        gold = _tensor(batch, "gold", device, memory.mask.shape).bool()
    teaching = _teaching(batch, ids, mask, at)
    return Rows(ids, mask.long(), at, labels[:, 1:][at], memory, gold, teaching)


def _tensor(
    batch: Mapping[str, Any], name: str, device: torch.device, shape: torch.Size | None = None
) -> Tensor:
    """Return a tensor of two dimensions.

    Raises:
        UserError: it is missing, no tensor, or of another shape.
    """
    found = batch.get(name)
    if found is None:
        raise UserError(f"a batch has no {name}; it has {', '.join(sorted(batch)) or 'nothing'}")
    if not isinstance(found, Tensor) or found.dim() != 2 or (shape and found.shape != shape):
        wanted = list(shape) if shape else "[rows, tokens]"
        got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{name} of a batch is {got}, not a tensor of shape {wanted}")
    return found.to(device)


def _memory(batch: Mapping[str, Any], rows: int) -> Memory:
    memory = batch.get("memory")
    key: Any = batch.get("memory_key")
    value: Any = batch.get("memory_value")
    if memory is None and not (isinstance(key, Tensor) and isinstance(value, Tensor)):
        raise UserError(
            "a batch has no memory to learn to read: give memory_key and memory_value as "
            "encode_document gives them, or memory"
        )
    try:
        found: Memory = from_slots(key, value, "latent") if memory is None else memory
        if found.layout != "latent":
            raise ValueError(f"{found.layout} memory has nothing to train, give latent memory")
        return found.for_batch(rows)
    except ValueError as error:
        raise UserError(f"the memory of a batch does not fit: {error}") from None


def _teaching(
    batch: Mapping[str, Any], ids: Tensor, mask: Tensor, at: tuple[Tensor, Tensor]
) -> Teaching:
    if batch.get("teacher_input_ids") is None:
        return Teaching(ids, mask.long(), at[1])
    read = _tensor(batch, "teacher_input_ids", ids.device)
    seen = _tensor(batch, "teacher_attention_mask", ids.device, read.shape).bool()
    if len(read) != len(ids):
        raise UserError(f"the teacher reads {len(read)} rows, the student {len(ids)}")
    if batch.get("teacher_positions") is None:
        return Teaching(read, seen.long(), _from_the_end(read, seen, ids, mask, at))
    positions = _tensor(batch, "teacher_positions", ids.device, ids.shape)[at]
    if positions.max() >= read.shape[1] or positions.min() < -1:
        raise UserError(f"teacher_positions go beyond the teacher's {read.shape[1]} columns")
    return Teaching(read, seen.long(), positions)


def _from_the_end(
    read: Tensor, seen: Tensor, ids: Tensor, mask: Tensor, at: tuple[Tensor, Tensor]
) -> Tensor:
    """Return the teacher's columns of the positions, where both rows end with the same tokens.

    Raises:
        UserError: they do not.
    """
    rows, positions = at
    columns = positions + (_last(seen) - _last(mask))[rows]
    inside = columns >= 0
    if not inside.all() or (read[rows, columns] != ids[rows, positions]).any():
        raise UserError(
            "the teacher's rows do not end with the student's tokens: give teacher_positions"
        )
    return columns


def _last(mask: Tensor) -> Tensor:
    """Return the last attended column of each row."""
    return mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
