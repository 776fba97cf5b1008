"""The bytes that a tokenizer's ids stand for, and back.

Byte-level vocabularies write each byte as one printable character: those that are printable stand
for themselves, the others for the characters from 256 up, in order (GPT-2's table, which SmolLM,
Qwen, Llama 3 and most others use). Limits: other vocabularies (SentencePiece) have no spelling
here, since their pieces depend on where they stand.
"""

import json
from typing import Any, Final

__all__ = ["Spelling"]

PRINTABLE: Final = (*range(33, 127), *range(161, 173), *range(174, 256))


class Spelling:
    """The bytes of every id of one tokenizer; empty for one that is not byte-level."""

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder
        self._bytes = {number: token.content.encode() for number, token in added.items()}
        self._ends = frozenset(number for number, token in added.items() if token.special)
        plain = _is_byte_level(tokenizer)
        characters = _byte_of()
        for token, number in tokenizer.get_vocab().items() if plain else ():
            if number not in added:
                self._bytes[number] = bytes(characters[one] for one in token)
        # A token of the vocabulary is meant before an added one that is spelled alike.
        ordered = sorted(self._bytes, key=lambda number: (number in added, number))
        self._ids: dict[bytes, int] = {}
        for number in ordered if plain else ():
            self._ids.setdefault(self._bytes[number], number)

    def bytes_of(self, number: int) -> bytes | None:
        """Return an id's bytes; None for one that has none."""
        return self._bytes.get(number)

    def id_of(self, data: bytes) -> int | None:
        """Return the id that stands for exactly these bytes, if there is one."""
        return self._ids.get(data)

    def is_special(self, number: int) -> bool:
        """Whether an id is no text, such as the end of a turn."""
        return number in self._ends


def _byte_of() -> dict[str, int]:
    others = (byte for byte in range(256) if byte not in PRINTABLE)
    table = {chr(byte): byte for byte in PRINTABLE}
    return table | {chr(256 + place): byte for place, byte in enumerate(others)}


def _is_byte_level(tokenizer: Any) -> bool:
    decoder = json.loads(tokenizer.backend_tokenizer.to_str()).get("decoder") or {}
    steps = decoder.get("decoders", [decoder])
    return any(step.get("type") == "ByteLevel" for step in steps)
