"""Backends `self` and `qwen3-embedding`: the layers of a decoder read the chunk.

`self` is the reading decoder's own body, so that memory lives in the space of the layers that read
it. `qwen3-embedding` is a Qwen3 body of its own, for the `latent` layout and trained heads only.
Layouts, for a chunk of n tokens (L layers, G key/value heads, D head_dim, d hidden size):

- `kv`: the keys before RoPE and the values of every layer, `[n, L, G, D]`, from [BOS, chunk]; the
  BOS is not stored. Keys are taken after k_norm (where a family has one): RoPE is then all that is
  missing, and the read is exact. They come from the model's cache, turned back.
- `latent`: what the self-attention of the reading layers is given, `[⌈n/p⌉, S, d]`: the normed
  input of each layer of the placement. Keys are values (`values` is None). Pooling is the mean of
  p contiguous states.

Both bodies are causal. `echo` (arXiv 2402.15449): the model reads [BOS, chunk, chunk] and the
second copy's states are kept, so that every state has seen the whole chunk. `full`: the causal mask
is off in every layer, which needs training and a body that no decoder shares. The first copy of an
echo is what `kv` reads, so both layouts together cost two readings, not three; the second one goes
on from the first one's cache, and `kv` has the same floats with it or without.

The routing vector is the L2-normed mean of the middle layer's normed input, float32, `[d]`.

Not covered: other bodies.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.chunk import Chunk
from awareness_model.config import EncoderConfig, UserError, placement_layers
from awareness_model.encoder.backend import Encoded, batch_of, padded, sink_token
from awareness_model.pooling import pooled


class Body:
    """A decoder's layers as a backend."""

    def __init__(self, model: Any, tokenizer: Any, config: EncoderConfig) -> None:
        """Raises UserError where the backend cannot be made of this model."""
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self._full = config.bidirectional == "full"
        if config.backend == "qwen3-embedding":
            _prepare_own(model, self._full)
        elif self._full:
            raise UserError(
                "bidirectional `full` would change the decoder itself: use `echo`, or a body of "
                "its own (backend `qwen3-embedding`)"
            )
        layers = model.model.layers
        self._reading = placement_layers(config.placement, len(layers))
        self._middle = len(layers) // 2
        self._first = sink_token(tokenizer, model.config)
        self.batch = batch_of(model)
        self.longest = config.max_chunk_tokens

    def encode(self, chunks: Sequence[Chunk], layouts: Sequence[str]) -> dict[str, list[Encoded]]:
        """Return the encoded chunks by layout, from one batch; with gradients where they are on."""
        if "kv" in layouts and self.config.backend != "self":
            raise UserError(
                f"backend `{self.config.backend}` gives no kv: those are the decoder's own keys "
                "and values. Use backend `self`, or layout latent with trained heads"
            )
        made: dict[str, list[Encoded]] = {}
        first = self._run([[self._first, *chunk.ids] for chunk in chunks])
        if "kv" in layouts:
            made["kv"] = [self._kv(first, row, chunk) for row, chunk in enumerate(chunks)]
        if "latent" in layouts:
            echo = self.config.bidirectional == "echo"
            output = self._read_again(chunks, first.past_key_values) if echo else first
            skip = 0 if echo else 1
            # taken apart at once: the backward of one row after another costs a batch each
            rows = self._latents(output.hidden_states).unbind(0)
            made["latent"] = [
                self._latent(output, rows[row], row, chunk, skip)
                for row, chunk in enumerate(chunks)
            ]
        return made

    @torch.no_grad()
    def routes(self, chunks: Sequence[Chunk]) -> list[Tensor]:
        """Return the chunks' routing vectors, as in layout `latent`."""
        return [one.route for one in self.encode(chunks, ["latent"])["latent"]]

    @torch.no_grad()
    def query_route(self, ids: Sequence[int]) -> Tensor:
        """Return the routing vector of a prompt, `[d]`, from the same layer as the documents'."""
        states = self._run([[self._first, *ids]]).hidden_states[self._middle][0, 1:]
        return self._route(states)

    def _kv(self, output: Any, row: int, chunk: Chunk) -> Encoded:
        kept = slice(1, len(chunk.ids) + 1)
        keys, values = self._unrotated(output.past_key_values, row, kept)
        route = self._route(output.hidden_states[self._middle][row, kept])
        return Encoded(keys, values, route, len(chunk.ids), (chunk.start, chunk.end))

    def _latent(self, output: Any, states: Tensor, row: int, chunk: Chunk, skip: int) -> Encoded:
        kept = slice(skip, skip + len(chunk.ids))
        keys = pooled(states[kept], self.config.pooling)
        route = self._route(output.hidden_states[self._middle][row, kept])
        return Encoded(keys, None, route, len(chunk.ids), (chunk.start, chunk.end))

    def _run(self, rows: Sequence[Sequence[int]]) -> Any:
        """Run the body over rows padded on the right."""
        ids, mask = padded(rows, self.model.device)
        seen = _every_token(mask, self.model.dtype) if self._full else mask
        return self.model.model(ids, attention_mask=seen, use_cache=True, output_hidden_states=True)

    def _read_again(self, chunks: Sequence[Chunk], cache: Any) -> Any:
        """Run the body over the chunks once more, each after [BOS, chunk] in the cache."""
        ids, mask = padded([chunk.ids for chunk in chunks], self.model.device)
        _, before = padded([[0, *chunk.ids] for chunk in chunks], self.model.device)
        place = torch.arange(ids.shape[1], device=ids.device) + before.sum(1, keepdim=True)
        return self.model.model(
            ids,
            attention_mask=torch.cat([before, mask], dim=1),
            position_ids=place,
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
        )

    def _unrotated(self, cache: Any, row: int, kept: slice) -> tuple[Tensor, Tensor]:
        """Return keys before RoPE, and values, `[n, L, G, D]`, of a row of the cache."""
        keys = torch.stack([layer.keys[row, :, kept] for layer in cache.layers])
        values = torch.stack([layer.values[row, :, kept] for layer in cache.layers])
        place = torch.arange(kept.start, kept.stop, device=keys.device)[None]
        cos, sin = self.model.model.rotary_emb(keys, position_ids=place)
        keys = _turned_back(keys, cos, sin)
        return keys.permute(2, 0, 1, 3).contiguous(), values.permute(2, 0, 1, 3).contiguous()

    def _latents(self, hidden: Sequence[Tensor]) -> Tensor:
        """Return the normed inputs of the reading layers, `[B, T, S, d]`."""
        layers = self.model.model.layers
        return torch.stack([layers[n].input_layernorm(hidden[n]) for n in self._reading], dim=2)

    def _route(self, states: Tensor) -> Tensor:
        normed = self.model.model.layers[self._middle].input_layernorm(states)
        return F.normalize(normed.float().mean(0), dim=0)


def _prepare_own(model: Any, full: bool) -> None:
    """Check that a body is Qwen3's; with `full`, switch its layers' own causality off."""
    if model.config.model_type != "qwen3":
        raise UserError(
            f"backend `qwen3-embedding` reads Qwen3 models, not {model.config.model_type}: set "
            "model_name to Qwen/Qwen3-Embedding-0.6B or a folder of it"
        )
    for layer in model.model.layers:
        layer.self_attn.is_causal = not full


def _every_token(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an additive mask `[B, 1, T, T]` that hides the padding only."""
    hidden = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    hidden = hidden.masked_fill(mask == 0, torch.finfo(dtype).min)
    return hidden[:, None, None, :].expand(-1, 1, mask.shape[1], -1)


def _turned_back(keys: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Undo RoPE on `[L, G, n, D]`: turn by the negative angle. A scaled rotary embedding (YaRN)
    multiplies both cos and sin, hence the division by their squared length."""
    half = keys.shape[-1] // 2
    turned = torch.cat([-keys[..., half:], keys[..., :half]], dim=-1)
    return (keys * cos - turned * sin) / (cos * cos + sin * sin)
