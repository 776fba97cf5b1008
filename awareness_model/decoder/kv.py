"""The kv layout: self-attention over [sink, memory, own keys] in one softmax, without training.
What a trained reader adds to it is in `kv_reader` and `kv_corrected`.

Registered with transformers as an attention function. Memory keys are stored before RoPE and turned
here to the positions before the prompt, so that the prompt follows the longest visible chunk while
its own position ids, caches and `generate()` stay as they are.

The sink is the model's first token alone (BOS at position 0): its keys and values depend on nothing
else, so every document is encoded after a BOS that is not stored, and the reader adds it back once.
For one document of one chunk, logits are therefore those of [BOS, document, prompt] in context, for
a prompt without a BOS of its own; what each part of that is worth: docs/benchmarks.md.

A single query token is answered from memory where it lies: its logits over memory and over its own
keys are joined before the softmax, so that decoding copies nothing. Longer inputs pay one copy and
use SDPA. Attention mass is taken in the same way, in the layers it is wanted in, and only there.

Not covered: sliding windows, learned sinks, rotary angles that change with the length
(`families.family_of` refuses them); attention dropout.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from awareness_model.decoder.bias import join_bias, joined_mask, own_mask
from awareness_model.decoder.kv_corrected import corrected, look
from awareness_model.decoder.kv_join import join
from awareness_model.decoder.kv_reader import KVReader
from awareness_model.decoder.prepared import Reading, current
from awareness_model.decoder.rotary import rotate
from awareness_model.encoder import sink_token
from awareness_model.memory.batch import Memory

ATTENTION = "awareness_kv"
"""Name under which the attention function is known to transformers."""


def memory_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    memory: Reading | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Self-attention joined with memory; transformers' SDPA function where there is none to read.

    Shapes: query `[C, H, T, D]`, key and value `[C, G, S, D]`; returns `[C, T, H, D]`.
    """
    reading, layer = current(memory, "kv"), module.layer_idx
    if reading is None or layer not in reading.keys:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    queries, slots = query.shape[2], (reading.keys[layer], reading.values[layer])
    if attention_mask is None and queries > 1:
        key, value = key[:, :, :queries], value[:, :, :queries]
    look(reading, layer, value, attention_mask, queries)
    if layer in reading.corrections:
        return corrected(module, query, (key, value), reading, **kwargs), None
    if queries > 1 and layer not in reading.wanted:
        mask = joined_mask(_rows(reading.bias, query), attention_mask, queries, key.shape[2])
        key = torch.cat([_rows(slots[0], query), key], dim=2)
        value = torch.cat([_rows(slots[1], query), value], dim=2)
        return sdpa_attention_forward(module, query, key, value, mask.to(query.dtype), **kwargs)
    own = own_mask(attention_mask, queries, key.shape[2], reading.bias)
    scaled = query * kwargs["scaling"]
    added = _rows(reading.bias, query)[:, None, None]
    read, share = join((scaled, scaled), slots, (key, value), (added, own))
    if reading.mass is not None and layer in reading.wanted:
        reading.mass[layer] = share.mean(1)
    return read.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, memory_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def _rows(shared: Tensor, query: Tensor) -> Tensor:
    """Repeat rows of memory for the rows of queries that share each.

    Raises:
        ValueError: the rows of queries are no multiple of the memory's.
    """
    times, left = divmod(len(query), len(shared))
    if left:
        raise ValueError(f"memory of {len(shared)} rows for a batch of {len(query)}")
    return shared if times == 1 else shared.repeat_interleave(times, dim=0)


@torch.no_grad()
def sink(base: Any, tokenizer: Any) -> tuple[Tensor, Tensor]:
    """Return keys before RoPE and values of the first token alone, `[L, G, 1, D]`. At position 0
    RoPE turns nothing, but a scaled one (YaRN) has lengthened the keys by its cosine there."""
    first = torch.tensor([[sink_token(tokenizer, base.config)]]).to(base.device)
    cache = base(first, use_cache=True).past_key_values
    keys = torch.stack([layer.keys[0] for layer in cache.layers])
    cosine, _ = base.model.rotary_emb(keys, position_ids=torch.zeros_like(first))
    return keys / cosine, torch.stack([layer.values[0] for layer in cache.layers])


def prepare(
    base: Any,
    reading_layers: tuple[int, ...],
    sinks: tuple[Tensor, Tensor],
    memory: Memory,
    wanted: frozenset[int],
    reader: KVReader | None = None,
) -> Reading:
    """Turn keys to positions before the prompt: slot i of a row whose longest chunk has n slots
    stands at i − n − 1, the sink at −n − 1, the prompt from 0 on.

    Raises:
        ValueError: the memory holds another number of layers.
    """
    stored, held = memory.keys.shape[2], len(base.model.layers)
    if stored != held:
        raise ValueError(f"memory holds {stored} layers, the decoder has {held}")
    place = torch.cat([memory.position.new_zeros(len(memory.mask), 1), memory.position], dim=1)
    place = place - memory.position.amax(1, keepdim=True) - 1
    cos, sin = base.model.rotary_emb(memory.keys, position_ids=place)
    keys, values, corrections = {}, {}, {}
    for layer in reading_layers:
        pair = memory.keys[:, :, layer], memory.values[:, :, layer]
        if reader is not None and (correction := reader.at(layer)) is not None:
            corrections[layer], pair = correction, correction.slots(*pair)
        unturned = _with_sink(sinks[0][layer], pair[0])
        keys[layer] = rotate(unturned, cos[:, None], sin[:, None])
        values[layer] = _with_sink(sinks[1][layer], pair[1])
    bias = join_bias(memory.mask, memory.log_bias)
    mass: dict[int, Tensor] | None = {} if wanted else None
    matches = reader.matches(memory) if reader is not None and corrections else ()
    angles = base.model.rotary_emb
    return Reading("kv", keys, values, bias, True, wanted, mass, corrections, angles, matches)


def _with_sink(first: Tensor, slots: Tensor) -> Tensor:
    """Put the sink `[G, 1, D]` before slots `[B, M, G, D]`: `[B, G, N, D]`."""
    slots = slots.transpose(1, 2)
    return torch.cat([first[None].expand(len(slots), -1, -1, -1).to(slots.dtype), slots], dim=2)
