"""What names an encoding, so that records of other settings are not taken for these.

Limits: grammars are not in it. With another set of grammars a document is cut elsewhere; what is in
memory stays a true encoding of it.
"""

from awareness_model.config import EncoderConfig, model_identity
from awareness_model.schema import digest

REVISION = "2"
"""Changes when the same settings give other tensors or other chunks."""


def encoder_fingerprint(config: EncoderConfig, layout: str) -> str:
    """Return what names an encoding: model, layout, and the settings that change its tensors.

    Raises:
        UserError: the model is not there.
    """
    parts = [REVISION, model_identity(config.model_name), layout, str(config.max_chunk_tokens)]
    parts += [config.backend, model_identity(config.routing) if config.routing else ""]
    if layout == "latent":
        parts += [config.bidirectional, config.placement, str(config.pooling)]
    return digest(*parts)
