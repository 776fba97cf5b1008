"""The model writes: text as it comes, stop texts, limits, and an end when nobody waits any more.

Over transformers' `generate()`, one row at a time. Text is handed on as soon as no later token can
change it: a character of several tokens waits for its last one, a possible stop text for its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from awareness_model.batch import end_ids
from awareness_model.decoder import ReasoningDecoder
from awareness_model.memory.batch import Memory

UNFINISHED = "\ufffd"
"""What a decoder shows where a character's bytes are not complete."""


@dataclass(frozen=True, slots=True)
class Style:
    """How to write."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0: the likeliest token each time."""
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    """Texts that end the answer; not part of it."""
    seed: int | None = None
    """For sampling; None: another answer each time."""


@dataclass(frozen=True, slots=True)
class Text:
    """What was written."""

    text: str
    ids: tuple[int, ...]
    """With the token that ended it, if one did."""
    finish_reason: str
    """`stop`, `length`, or `cancelled`."""


class _Watcher(BaseStreamer, StoppingCriteria):
    """Sees every token, hands on text, and says when to stop."""

    def __init__(
        self,
        tokenizer: Any,
        stop: Sequence[str],
        hear: Callable[[str], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.tokenizer, self.stop, self.hear = tokenizer, [one for one in stop if one], hear
        self.is_cancelled, self.told, self.reason = is_cancelled, 0, ""
        self.ids: list[int] = []
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt first, then token after token."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.ids += value.reshape(-1).tolist()
        text = self.text()
        if any(one in text for one in self.stop):
            self.reason = "stop"
        self._tell(self.cut(text), self._held_back(text))

    def end(self) -> None:
        """Hand on what was held back."""
        self._tell(self.cut(self.text()), 0)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Stop every row where a stop text came, or nobody waits."""
        if self.is_cancelled():
            self.reason = "cancelled"
        return torch.full((len(input_ids),), bool(self.reason), device=input_ids.device)

    def text(self) -> str:
        """All of it so far."""
        return str(self.tokenizer.decode(self.ids, skip_special_tokens=True))

    def cut(self, text: str) -> str:
        """Return a text up to the first stop text."""
        return text[: min([text.find(one) for one in self.stop if one in text], default=None)]

    def _held_back(self, text: str) -> int:
        """Return how many last characters may still change or belong to a stop text."""
        begun = (
            size
            for one in self.stop
            for size in range(len(one), 0, -1)
            if text.endswith(one[:size])
        )
        return max([len(text) - len(text.rstrip(UNFINISHED)), *begun])

    def _tell(self, text: str, held_back: int) -> None:
        ready = text[: len(text) - held_back] if held_back else text
        if len(ready) > self.told:
            self.hear(ready[self.told :])
            self.told = len(ready)


def write(
    decoder: ReasoningDecoder,
    prompt: Sequence[int],
    memory: Memory | None,
    style: Style,
    hear: Callable[[str], None] = lambda text: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Text:
    """Continue a prompt.

    Args:
        hear: given each new piece of the text.
        is_cancelled: asked before each token; True ends the writing.
    """
    ids = torch.tensor([list(prompt)], device=decoder.base.device)
    watcher = _Watcher(decoder.tokenizer, style.stop, hear, is_cancelled)
    ends = end_ids(decoder.base, decoder.tokenizer)
    sampling: dict[str, Any] = {"do_sample": False}
    if style.temperature > 0:
        sampling = {"do_sample": True, "temperature": style.temperature, "top_p": style.top_p}
    with torch.random.fork_rng(devices=[]):
        if style.seed is None:
            torch.seed()
        else:
            torch.manual_seed(style.seed)
        decoder.generate(
            ids,
            memory,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=style.max_new_tokens,
            eos_token_id=sorted(ends),
            pad_token_id=decoder.tokenizer.pad_token_id,
            streamer=watcher,
            stopping_criteria=StoppingCriteriaList([watcher]),
            **sampling,
        )
    ended = bool(watcher.ids) and watcher.ids[-1] in ends
    reason = watcher.reason or ("stop" if ended else "length")
    return Text(watcher.cut(watcher.text()), tuple(watcher.ids), reason)
