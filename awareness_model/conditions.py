"""Answers scored under the conditions of an evaluation: alone, behind text, reading memory.

Prompts: reading latent memory and alone, the prompt stands as in training; as text the model reads
[BOS, documents, prompt]; kv memory brings its own BOS, so that one document of one chunk gives the
same likelihoods as kv and as text. Rows are padded on the right, and the head runs only where
answers may stand. Limits: text that does not fit the window is cut at the end of each document.

Shapes: B questions, T prompt and answer tokens but the last, K kept positions, V vocabulary.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import sink_token
from awareness_model.memory.batch import collate
from awareness_model.question import Question

if TYPE_CHECKING:
    from awareness_model.memory.shelf import Shelf

BATCH = 8


class Asked(Protocol):
    """What is scored: an answer behind a prompt, both as ids, and what names it."""

    @property
    def key(self) -> Any:
        """What names it; sortable."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """Ids, at least one."""

    @property
    def answer(self) -> tuple[int, ...]:
        """Ids, at least one."""


@dataclass(frozen=True, slots=True)
class Scored:
    """How likely an answer was."""

    nats: tuple[float, ...]
    """−log likelihood of each of its tokens."""
    exact: bool
    """Every token was the likeliest: greedy decoding would write the answer."""


AskedT = TypeVar("AskedT", bound=Asked)
Scorer: TypeAlias = Callable[[Sequence[AskedT], Tensor, Tensor, Tensor], Tensor]
"""(questions, ids `[B, T]`, mask `[B, T]`, positions `[K]`) to logits `[B, K, V]`."""
Nats: TypeAlias = dict[tuple[int, str, str], float]
"""−log likelihood of an answer, by the question's key."""
Say: TypeAlias = Callable[[int], None]
"""Called with the number of questions just scored."""


def alone(model: Any) -> Scorer[Any]:
    """Score with nothing to read."""

    def score(batch: Sequence[Any], ids: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
        return model(ids, attention_mask=mask, use_cache=False, logits_to_keep=keep).logits

    return score


def reading(
    decoder: ReasoningDecoder, shelf: "Shelf", documents: Callable[[Question], Sequence[str]]
) -> Scorer[Question]:
    """Score while reading the memory of the documents (content hashes) of each question."""

    def score(batch: Sequence[Question], ids: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
        rows = [documents(question) for question in batch]
        names = sorted({name for row in rows for name in row})
        found = dict(zip(names, shelf.chunks(names), strict=True))
        memory = collate([[found[name] for name in row] for row in rows])
        return decoder(ids, mask, memory, use_cache=False, logits_to_keep=keep).logits

    return score


def text_nats(
    model: Any,
    tokenizer: Any,
    texts: Mapping[str, str],
    asked: Sequence[Question],
    say: Say,
) -> Nats:
    """Score with the own documents in the context, in the order of their paths. Questions with the
    same documents share the reading of them."""
    groups: dict[tuple[str, ...], list[Question]] = {}
    for question in asked:
        groups.setdefault(question.own, []).append(question)
    nats: Nats = {}
    for names, group in sorted(groups.items()):
        room = model.config.max_position_embeddings - max(one.length for one in group)
        context = _context(tokenizer, model.config, [texts[name] for name in names], room)
        nats |= answer_nats(_behind(model, context), group, model.device, say)
    return nats


def answer_nats(
    score: Scorer[Question], asked: Sequence[Question], device: torch.device, say: Say
) -> Nats:
    """Return −log likelihood of each question's answer, in nats, by question."""
    return {key: sum(one.nats) for key, one in answers(score, asked, device, say).items()}


def answers(
    score: Scorer[AskedT], asked: Sequence[AskedT], device: torch.device, say: Say, size: int = 0
) -> dict[Any, Scored]:
    """Return each answer's nats, token by token, and whether it would be written, by key.

    Args:
        size: rows scored at a time; 0: `BATCH`.
    """
    scored: dict[Any, Scored] = {}
    for batch in _batches(asked, size or BATCH):
        longest = max(_length(one) for one in batch) - 1
        read = [[*one.prompt, *one.answer][:-1] for one in batch]
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in read])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in read])
        first = min(len(one.prompt) for one in batch) - 1
        keep = torch.arange(first, longest)
        with torch.no_grad():
            logits = score(batch, ids.to(device), mask.to(device), keep.to(device))
        likely = logits.float().log_softmax(-1).cpu()
        for row, one in enumerate(batch):
            start = len(one.prompt) - 1 - first
            places = likely[row, start : start + len(one.answer)]
            wanted = torch.tensor(one.answer)
            nats = -places.gather(1, wanted[:, None])[:, 0]
            exact = bool((places.argmax(-1) == wanted).all())
            scored[one.key] = Scored(tuple(nats.tolist()), exact)
        say(len(batch))
    return scored


def _context(tokenizer: Any, config: Any, texts: Sequence[str], room: int) -> list[int]:
    """Return [BOS, documents], each document cut to its share of the room."""
    share = (room - 1) // len(texts)
    ids = [sink_token(tokenizer, config)]
    for text in texts:
        ids += plain_ids(tokenizer, text if text.endswith("\n") else text + "\n")[:share]
    return ids


def _behind(model: Any, context: Sequence[int]) -> Scorer[Question]:
    """Score behind a context that is read once."""
    with torch.no_grad():
        read = model.model(torch.tensor([context]).to(model.device), use_cache=True)

    def score(batch: Sequence[Question], ids: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
        cache = copy.deepcopy(read.past_key_values)
        cache.batch_repeat_interleave(len(batch))
        seen = mask.new_ones(len(batch), len(context))
        whole = torch.cat([seen, mask], dim=1)
        return model(ids, attention_mask=whole, past_key_values=cache, logits_to_keep=keep).logits

    return score


def _batches(asked: Sequence[AskedT], size: int) -> Iterator[list[AskedT]]:
    """Yield batches of similar length."""
    ordered = sorted(asked, key=lambda one: (_length(one), one.key))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _length(one: Asked) -> int:
    return len(one.prompt) + len(one.answer)
