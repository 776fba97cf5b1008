"""One base model loaded once, as the encoder that fills a memory and the decoder that reads it.

`kv` reads without training, and better with the trained reader that comes with the package for its
base model. `latent` needs a trained reader, because its gates begin closed. Both sides share the
weights. Limits: one device; calls come one at a time (the caller's lock).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder, Encoded, encoder_fingerprint
from awareness_model.pretrained import shipped

NO_READER = Path("none")
"""Given as a reader: read kv untrained."""


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


def chosen_reader(model: str, layout: str, reader: Path | None) -> Path | None:
    """Return the folder of the reader to load, or None to read untrained.

    Raises:
        UserError: layout latent without a reader.
    """
    if layout == "latent" and reader in (None, NO_READER):
        raise UserError("layout latent needs a trained reader: give --reader FOLDER with it")
    if reader is None:
        return shipped(model)
    return None if reader == NO_READER else reader


def load(model: str, device: str, layout: str = "kv", reader: Path | None = None) -> Loaded:
    """Load a model for a layout.

    Args:
        reader: folder of a trained reader; `none`: kv is read untrained; None: kv is read by the
            reader that comes with the package for this model, if one does.

    Raises:
        UserError: no such model, layout or reader, or they do not fit.
    """
    folder = chosen_reader(model, layout, reader)
    if folder is None:
        decoder = ReasoningDecoder(DecoderConfig(model, device, layout))
    else:
        decoder = ReasoningDecoder.from_pretrained(folder, model, device)
        if decoder.config.layout != layout:
            raise UserError(
                f"{folder} reads {decoder.config.layout} memory: give --layout "
                f"{decoder.config.layout} with it"
            )
    config = EncoderConfig(model, device)
    if layout == "latent":
        config.placement = decoder.placement
    encoder = ContextEncoder.from_model(decoder.base, decoder.tokenizer, config)
    return Loaded(decoder, encoder, encoder_fingerprint(config, layout))
