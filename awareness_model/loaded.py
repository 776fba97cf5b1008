"""One base model loaded once, as the encoder that fills a memory and the decoder that reads it.

`kv` reads without training. `latent` needs a trained reader, because its gates begin closed. Both
sides share the weights. Limits: one device; calls come one at a time (the caller's lock).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder, Encoded, encoder_fingerprint


@dataclass(frozen=True, slots=True)
class Loaded:
    """A decoder and an encoder on the same weights."""

    decoder: ReasoningDecoder
    encoder: ContextEncoder
    fingerprint: str

    @property
    def layout(self) -> str:
        """`kv` or `latent`."""
        return self.decoder.config.layout

    @property
    def tokenizer(self) -> Any:
        """The model's."""
        return self.decoder.tokenizer

    @property
    def window(self) -> int:
        """Tokens of prompt and answer together that the model was made for."""
        return int(self.decoder.base.config.max_position_embeddings)

    def encode(self, texts: Sequence[str], paths: Sequence[str]) -> list[list[Encoded]]:
        """Return the chunks of texts, in this layout."""
        return self.encoder.encode(texts, self.layout, paths)


def load(model: str, device: str, layout: str = "kv", reader: Path | None = None) -> Loaded:
    """Load a model for a layout.

    Args:
        reader: folder of a trained reader (`latent` only).

    Raises:
        UserError: no such model, layout or reader, or the two do not fit.
    """
    if (layout == "latent") != (reader is not None):
        raise UserError("a trained reader goes with layout latent: give --reader FOLDER with it")
    if reader is None:
        decoder = ReasoningDecoder(DecoderConfig(model, device, layout))
    else:
        decoder = ReasoningDecoder.from_pretrained(reader, model, device)
    config = EncoderConfig(model, device)
    if layout == "latent":
        config.placement = decoder.placement
    encoder = ContextEncoder.from_model(decoder.base, decoder.tokenizer, config)
    return Loaded(decoder, encoder, encoder_fingerprint(config, layout))
