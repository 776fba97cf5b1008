"""A frozen base model that reads memory.

model: the decoder users meet; prepared: memory made ready for a pass; latent: layers that read
encoder states; kv: self-attention joined with the decoder's own keys and values.
"""

from awareness_model.decoder.latent import GCALayer
from awareness_model.decoder.model import ReasoningDecoder, ReasoningOutput
from awareness_model.decoder.prepared import Reading

__all__ = ["GCALayer", "Reading", "ReasoningDecoder", "ReasoningOutput"]
