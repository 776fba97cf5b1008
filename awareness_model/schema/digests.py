"""Names made of content: the same bytes have the same name everywhere and for ever.

Limits: blake2b without a key, so a digest names and does not authenticate.
"""

from hashlib import blake2b


def content_hash(data: bytes) -> str:
    """Return the blake2b-256 hex digest that names a document."""
    return blake2b(data, digest_size=32).hexdigest()


def digest(*parts: str) -> str:
    """Return a blake2b-128 hex digest of strings, order and boundaries included."""
    state = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    return state.hexdigest()
