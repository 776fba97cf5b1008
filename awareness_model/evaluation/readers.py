"""What reads in an evaluation: an untrained kv decoder, or a trained reader's folder.

Each reader has a base model of its own, its encoder on the same weights, and the pieces it has
encoded so far. Pieces are stored as a store would store them (`dtype`), so that what is measured
includes what storing costs. Untrained kv may hold the mean of several tokens in a slot (`pooling`);
a trained reader pools as it was trained. Limits: everything stays in RAM; one device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.chunk import split
from awareness_model.config import DecoderConfig, EncoderConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder, sink_token
from awareness_model.encoder.backend import Encoded
from awareness_model.memory.batch import Memory, collate
from awareness_model.memory.payload import dtype_name, from_bytes, to_bytes
from awareness_model.pooling import pooled

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
UNTRAINED = "none"
"""Names the reader that needs no training: layout kv."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A document to read, of one chunk: part of a file, or a function."""

    path: str
    start: int
    """Character of the file at which it begins."""
    text: str
    tokens: int

    @property
    def name(self) -> str:
        """What names it within its corpus."""
        return f"{self.path}:{self.start}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A piece's slots as they come back from a store."""

    keys: Tensor
    values: Tensor | None
    stored_bytes: int


@dataclass(slots=True)
class Reader:
    """A decoder, its encoder, and what it has encoded."""

    name: str
    decoder: ReasoningDecoder
    encoder: ContextEncoder
    dtype: str = "float32"
    pooling: int = 1
    """Tokens in a slot."""
    encodes: int = 0
    """Pieces that went through the encoder."""
    held: dict[str, list[Stored]] = field(default_factory=dict)
    """By text."""
    encoded: dict[str, list[Encoded]] | None = None
    """By text, before storing; shared by readers whose encoders are the same, if it is given."""

    @property
    def layout(self) -> str:
        """`kv` or `latent`."""
        return self.decoder.config.layout

    @property
    def tokenizer(self) -> Any:
        """The model's."""
        return self.decoder.tokenizer

    @property
    def identity(self) -> str:
        """What tells its numbers from another reader's: its weights, layers and precision."""
        origin = self.decoder.origin
        trained = origin.digest if origin else UNTRAINED
        layers = ",".join(map(str, self.decoder.reading_layers))
        kind = str(self.decoder.base.dtype)
        slots = "" if origin or self.pooling == 1 else f" {self.pooling} tokens a slot"
        return f"{self.layout} {trained} {layers} {self.dtype} {kind}{slots}"

    def prompt(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Return a prompt as it stands alone: kv memory brings its own first token, so the prompt
        without memory has one too; a latent reader has learned without."""
        first = [self.first] if self.layout == "kv" else []
        return (*first, *ids)

    @property
    def first(self) -> int:
        """The token that stands before text."""
        return sink_token(self.tokenizer, self.decoder.base.config)

    def read(self, pieces: Sequence[Piece]) -> list[list[Stored]]:
        """Return the chunks of each piece; what was encoded before is not encoded again."""
        wanted = {one.text: one.path for one in pieces if one.text not in self.held}
        for text, made in self._encoded(wanted).items():
            self.held[text] = [self._slots(one.keys, one.values) for one in made]
        return [self.held[piece.text] for piece in pieces]

    def _encoded(self, wanted: Mapping[str, str]) -> dict[str, list[Encoded]]:
        """Return the encoded chunks of texts, given with their paths, in one call."""
        held = {} if self.encoded is None else self.encoded
        missing = [text for text in wanted if text not in held]
        paths = [wanted[text] for text in missing]
        made = self.encoder.encode(missing, self.layout, paths) if missing else []
        self.encodes += len(missing)
        held.update(zip(missing, made, strict=True))
        return {text: held[text] for text in wanted}

    def _slots(self, keys: Tensor, values: Tensor | None) -> Stored:
        """Return what a store gives back of a chunk; a latent encoder has pooled already."""
        tokens = self.pooling if self.layout == "kv" else 1
        beside = values if values is None else pooled(values, tokens)
        return Stored(*_stored(pooled(keys, tokens), beside, self.dtype))

    def memory(self, rows: Sequence[Sequence[Piece]]) -> Memory:
        """Return a memory with a row of pieces for each row of a batch."""
        self.read([piece for row in rows for piece in row])
        return collate([self.read(row) for row in rows])

    def forget(self) -> None:
        """Drop what was encoded."""
        self.held.clear()

    def bytes_per_token(self, pieces: Sequence[Piece]) -> float:
        """Return what pieces cost in the store, in bytes a token, in the layers that are read."""
        held = [one for chunks in self.read(pieces) for one in chunks]
        layers = len(self.decoder.base.model.layers)
        read = len(self.decoder.reading_layers) / layers if self.layout == "kv" else 1.0
        tokens = sum(piece.tokens for piece in pieces)
        return sum(one.stored_bytes for one in held) * read / max(tokens, 1)


def load_reader(
    model: str,
    device: str,
    folder: str = UNTRAINED,
    dtype: str = "float32",
    placement: str = "",
    chunk_tokens: int = 256,
    precision: str = "float32",
    pooling: int = 1,
) -> Reader:
    """Load a reader on a base model of its own.

    Args:
        folder: of a trained reader, or `none`: kv as it is.
        placement: layers in which an untrained reader reads; empty: all.
        precision: of weights and activations, `float32` or `bfloat16` (four times as fast on a
            processor with AVX-512 BF16).
        pooling: tokens in a slot of an untrained reader; a trained one's are its own.

    Raises:
        UserError: no such model or reader, they do not fit, or no such dtype or placement.
    """
    if folder == UNTRAINED:
        decoder = ReasoningDecoder(DecoderConfig(model, device, "kv", placement))
    else:
        decoder = ReasoningDecoder.from_pretrained(Path(folder), model, device)
        settings = decoder.origin.settings if decoder.origin else {}
        pooling = int(settings.get("pooling", 1))
    if precision != "float32":
        decoder.to(PRECISIONS[precision])
    config = EncoderConfig(model, device, max_chunk_tokens=chunk_tokens)
    if decoder.config.layout == "latent":
        config.placement, config.pooling = decoder.placement, pooling
    decoder.eval()
    encoder = ContextEncoder.from_model(decoder.base, decoder.tokenizer, config)
    name = "kv, untrained"
    if decoder.origin:
        name = f"{decoder.config.layout}, {decoder.origin.step:,} steps ({Path(folder).name})"
    if placement:
        name = f"{name}, {placement}"
    return Reader(name, decoder, encoder, dtype_name(dtype), pooling)


def cut(tokenizer: Any, files: Sequence[tuple[str, str]], most_tokens: int) -> list[Piece]:
    """Return the pieces of files, each of at most so many tokens, white space left out."""
    return [
        Piece(path, one.start, text[one.start : one.end], len(one.ids))
        for path, text in files
        for one in split(text, tokenizer, most_tokens, path)
        if text[one.start : one.end].strip()
    ]


def whole(tokenizer: Any, path: str, text: str) -> Piece:
    """Return a short text as one piece."""
    return Piece(path, 0, text, len(plain_ids(tokenizer, text)))


def _stored(keys: Tensor, values: Tensor | None, dtype: str) -> tuple[Tensor, Tensor | None, int]:
    """Return keys and values as a store of a dtype gives them back, and their bytes in it."""
    there, size = _round_trip(keys, dtype)
    if values is None:
        return there, None, size
    beside, more = _round_trip(values, dtype)
    return there, beside, size + more


def _round_trip(tensor: Tensor, dtype: str) -> tuple[Tensor, int]:
    data, scale = to_bytes(tensor, dtype)
    return from_bytes(data, scale, tensor.shape, dtype), len(data) + len(scale)
