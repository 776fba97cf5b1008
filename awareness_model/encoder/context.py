"""Documents in, encoded chunks out, whichever backend reads them.

A document is cut into chunks with the backend's own tokenizer, the chunks of many documents are
read in batches of similar lengths, and each document gets its own back, in order. With
`EncoderConfig.routing` another model gives the routing vectors of the same chunks.

Limits: all chunks of a call are held at once; callers hand over documents in groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from awareness_model.base import load_model
from awareness_model.chunk import Chunk, split
from awareness_model.config import EncoderConfig, UserError, frozen
from awareness_model.encoder.backend import TRAINING_BATCH, Backend, Encoded, Routed
from awareness_model.encoder.body import Body
from awareness_model.encoder.minilm import MiniLM
from awareness_model.schema import LAYOUTS

BIDIRECTIONAL = ("echo", "full", "none")


class ContextEncoder:
    """Encode documents.

    Attributes: `config` (frozen), `model`, `tokenizer`.
    """

    def __init__(
        self,
        config: EncoderConfig,
        loaded: tuple[Any, Any] | None = None,
        differentiable: bool = False,
    ) -> None:
        """Make an encoder.

        Args:
            differentiable: for training: where gradients are on, what is encoded keeps them, and
                chunks are read in padded batches on every device.

        Raises:
            UserError: a setting that cannot be, or a model that is not there.
        """
        if config.bidirectional not in BIDIRECTIONAL:
            raise UserError(f"bidirectional is `echo`, `full` or `none`: {config.bidirectional!r}")
        self.config = frozen(config)
        self._backend, self._differentiable = _backend(self.config, loaded), differentiable
        self._batch = TRAINING_BATCH if differentiable else self._backend.batch
        self._router = MiniLM.load(config.routing, config.device) if config.routing else None
        self.model, self.tokenizer = self._backend.model, self._backend.tokenizer

    @classmethod
    def from_model(
        cls, model: Any, tokenizer: Any, config: EncoderConfig, differentiable: bool = False
    ) -> "ContextEncoder":
        """Build on a model that is already loaded, such as a decoder's `base`."""
        return cls(config, (model, tokenizer), differentiable)

    def encode_document(
        self, text: str, tokenizer: Any = None, layout: str = "latent", path: str = ""
    ) -> tuple[Tensor, Tensor]:
        """Return (K_mem, V_mem) of a whole document, its chunks one after the other.

        Args:
            tokenizer: must be the encoder's own (its vocabulary is the model's); may be left out.
            path: where the document is; its suffix tells how it is cut into chunks.

        Raises:
            ValueError: the text is empty, or the tokenizer is another one.
            UserError: the text is binary, or the backend gives no such layout.
        """
        if tokenizer is not None and tokenizer.get_vocab() != self.tokenizer.get_vocab():
            raise ValueError("the tokenizer is not the encoder's")
        if "\0" in text:
            raise UserError(f"{path or 'the document'} is binary (it holds NUL bytes): not encoded")
        chunks = self.encode([text], layout, [path])[0]
        if not chunks:
            raise ValueError("an empty document has no memory")
        keys = torch.cat([chunk.keys for chunk in chunks])
        if all(chunk.values is None for chunk in chunks):
            return keys, keys
        return keys, torch.cat([chunk.values for chunk in chunks if chunk.values is not None])

    def encode(
        self, texts: Sequence[str], layout: str, paths: Sequence[str] = ()
    ) -> list[list[Encoded]]:
        """Return the encoded chunks of each text, in order; an empty text has none.

        Args:
            paths: one for each text, or none: suffixes tell how texts are cut into chunks.

        Raises:
            ValueError: an unknown layout, or pooling asked of kv.
            UserError: the backend gives no such layout.
        """
        return self.encode_layouts(texts, [layout], paths)[layout]

    def encode_layouts(
        self, texts: Sequence[str], layouts: Sequence[str], paths: Sequence[str] = ()
    ) -> dict[str, list[list[Encoded]]]:
        """Return, for each layout, what `encode` returns, in fewer passes through the model.

        Raises:
            ValueError, UserError: as `encode`.
        """
        for layout in layouts:
            if layout not in LAYOUTS or (layout == "kv" and self.config.pooling != 1):
                raise ValueError(f"layout {layout!r} with pooling {self.config.pooling}")
        done: dict[str, list[list[Encoded]]] = {one: [[] for _ in texts] for one in layouts}
        for batch in self._batches(texts, paths):
            with torch.set_grad_enabled(self._differentiable and torch.is_grad_enabled()):
                found = self._backend.encode([chunk for _, chunk in batch], layouts)
            for layout, made in found.items():
                for (n, _), encoded in zip(batch, made, strict=True):
                    done[layout][n].append(encoded)
        for held in done.values():
            for n, text in enumerate(texts):
                held[n] = self._rerouted(text, sorted(held[n], key=lambda one: one.span))
        return done

    def routes(self, texts: Sequence[str], paths: Sequence[str] = ()) -> list[list[Routed]]:
        """Return the routing vectors of each text's chunks, in order."""
        done: list[list[Routed]] = [[] for _ in texts]
        for batch in self._batches(texts, paths):
            made = self._backend.routes([chunk for _, chunk in batch])
            for (n, chunk), route in zip(batch, made, strict=True):
                done[n].append(Routed(route, len(chunk.ids), (chunk.start, chunk.end)))
        return [sorted(held, key=lambda one: one.span) for held in done]

    def query_route(self, ids: Sequence[int]) -> Tensor:
        """Return the routing vector of a prompt, `[d]`, in the space of the documents' routes."""
        if self._router is None:
            return self._backend.query_route(ids)
        return self._router.text_routes([self.tokenizer.decode(ids)])[0]

    def _rerouted(self, text: str, chunks: list[Encoded]) -> list[Encoded]:
        """Return chunks with the routing vectors of `EncoderConfig.routing`, if one is named."""
        if self._router is None:
            return chunks
        routes = self._router.text_routes([text[slice(*chunk.span)] for chunk in chunks])
        return [replace(c, route=route) for c, route in zip(chunks, routes, strict=True)]

    def _batches(
        self, texts: Sequence[str], paths: Sequence[str]
    ) -> Iterator[list[tuple[int, Chunk]]]:
        """Yield batches of (number of the text, chunk) of similar lengths, in a fixed order."""
        limit = min(self.config.max_chunk_tokens, self._backend.longest)
        flat = [
            (n, chunk)
            for n, (text, path) in enumerate(zip(texts, paths or [""] * len(texts), strict=True))
            for chunk in split(text, self.tokenizer, limit, path)
        ]
        flat.sort(key=lambda item: (len(item[1].ids), item[0], item[1].start))
        for start in range(0, len(flat), self._batch):
            yield flat[start : start + self._batch]


def _backend(config: EncoderConfig, loaded: tuple[Any, Any] | None) -> Backend:
    if config.backend == "minilm":
        if loaded:
            return MiniLM(*loaded)
        return MiniLM.load(config.model_name, config.device)
    if config.backend in ("self", "qwen3-embedding"):
        return Body(*(loaded or load_model(config.model_name, config.device)), config)
    raise UserError(
        f"unknown backend {config.backend!r}: choose one of self, qwen3-embedding, minilm"
    )
