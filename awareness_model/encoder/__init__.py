"""The context encoder: documents to keys, values and routing vectors.

`context.py` is what others use; `body.py` (a decoder's layers) and `minilm.py` (routing only) are
the backends behind it, `backend.py` says what they share, `fingerprint.py` names what they make.
"""

from awareness_model.encoder.backend import Encoded, Routed, sink_token
from awareness_model.encoder.context import ContextEncoder
from awareness_model.encoder.fingerprint import encoder_fingerprint

__all__ = ["ContextEncoder", "Encoded", "Routed", "encoder_fingerprint", "sink_token"]
