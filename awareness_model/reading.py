"""An answer from memory: choose documents, read them, write, and say what was read.

A scope gives the documents a question may use; the router picks those that hold its words, define
its names or lie nearest to it (memory/routing.py), as many as fit `Room`; of the one that does not
fit whole, the chunks nearest to the question. A file at hand stands in the prompt as text (its
middle cut where it is too long) and is not read from memory too.

Limits: the router sees the last user message alone, and chooses once, before the answer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.citing import Cited, cite, placed
from awareness_model.config import UserError
from awareness_model.conversation import Message, conversation_ids
from awareness_model.generate import GAP, cut_middle
from awareness_model.loaded import Loaded
from awareness_model.memory import folder
from awareness_model.memory.batch import Memory, collate
from awareness_model.memory.live import LiveMemory
from awareness_model.memory.record import Record
from awareness_model.memory.router import Candidate
from awareness_model.memory.routing import Source, selector
from awareness_model.memory.scopes import PUBLIC
from awareness_model.writing import Style, Text, write

SYSTEM = "You answer questions about files that you remember. Answer from them, in few words."


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be read."""

    documents: int = 4
    memory_tokens: int = 4096
    file_tokens: int = 2048
    """Of a file in the prompt."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A conversation whose last message is to be answered, and what may be read for it."""

    messages: Sequence[Message]
    scope: str = "**"
    file: str | None = None
    """A document's path; its text goes into the prompt."""
    acl: Collection[str] = PUBLIC
    prefix: str = ""
    style: Style = field(default_factory=Style)
    room: Room = field(default_factory=Room)


@dataclass(frozen=True, slots=True)
class Answer:
    """A text and what it rests on."""

    text: str
    finish_reason: str
    cited: tuple[Cited, ...]
    """By falling attention mass."""
    on_memory: float
    """Share of the answer's attention that memory got; the rest was on prompt and answer."""
    memory_tokens: int
    prompt_tokens: int
    completion_tokens: int


def ask(
    question: str, model: Loaded, memory: LiveMemory, scope: str = "**", file: str | None = None
) -> Answer:
    """Answer one question about a memory; see `answer`."""
    return answer(Asked([Message("user", question)], scope, file), model, memory)


def answer(
    asked: Asked,
    model: Loaded,
    memory: LiveMemory,
    hear: Callable[[str], None] = lambda text: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Answer:
    """Answer the last message.

    Args:
        hear: given each piece of the answer as it comes.
        is_cancelled: asked before each token; True ends the answer.

    Raises:
        UserError: the memory is empty or another encoder's, the scope matches nothing, the file is
            none of the root, or the conversation is too long for the model.
    """
    prompt = prompt_ids(asked, model, memory)
    chunks = chosen(asked, model, memory)
    read = slots_of([record for _, record in chunks])
    written = write(model.decoder, prompt, read, asked.style, hear, is_cancelled)
    if written.finish_reason == "cancelled":
        return _answer(written, (), 0.0, chunks, prompt)
    cited, share = cite(model.decoder, read, prompt, written.ids, chunks)
    return _answer(written, placed(cited, _texts(memory, chunks)), share, chunks, prompt)


def _answer(
    written: Text,
    cited: tuple[Cited, ...],
    share: float,
    chunks: Sequence[tuple[str, Record]],
    prompt: Sequence[int],
) -> Answer:
    tokens = sum(record.tokens for _, record in chunks)
    return Answer(
        written.text,
        written.finish_reason,
        cited,
        share,
        tokens,
        len(prompt),
        len(written.ids),
    )


def chosen(asked: Asked, model: Loaded, memory: LiveMemory) -> list[tuple[str, Record]]:
    """Return the chunks to read with their documents' paths, nearest document first.

    Raises:
        UserError: the memory is empty, another encoder's, or the scope matches nothing encoded.
    """
    paths = _visible(asked, memory, model)
    text = asked.messages[-1].text
    query = model.encoder.query_route(plain_ids(model.tokenizer, text)).cpu().float()
    source = Source(memory.store, memory.lexicon, model.layout, model.fingerprint)
    router = selector(source, paths, text, query, asked.room.documents)
    chosen = router.select(query, asked.room.documents).record_ids
    near = {one.record_id: one for one in router.candidates}
    held = memory.store.held(
        {near[one].document for one in chosen}, model.layout, model.fingerprint
    )
    tokens = {one.record_id: one.tokens for one in held}
    kept = _fitting([near[one] for one in chosen], tokens, query, asked.room.memory_tokens)
    if not kept:
        raise UserError(f"nothing in scope {asked.scope!r} is encoded: run `awareness index PATH`")
    return [(paths[one.content_hash], one) for one in memory.store.load(kept)]


def _visible(asked: Asked, memory: LiveMemory, model: Loaded) -> dict[str, str]:
    """Return the paths of documents that may be read, by content hash."""
    found = memory.store.documents(asked.scope, asked.acl)
    if not found:
        if memory.store.documents("**", asked.acl):
            raise UserError(
                f"scope {asked.scope!r} matches nothing in this memory: "
                "`awareness memory ls` shows what is there"
            )
        raise UserError("the memory is empty: run `awareness index PATH` first")
    memory.store.expect(model.layout, model.fingerprint, set(found.values()))
    at_hand = folder.relative(memory.root, asked.file) if asked.file else None
    rest = {name: path for path, name in reversed(found.items()) if path != at_hand}
    if not rest:
        raise UserError(f"scope {asked.scope!r} holds nothing but the file itself: leave one out")
    return rest


def _fitting(
    candidates: Sequence[Candidate], tokens: Mapping[str, int], query: Tensor, room: int
) -> list[str]:
    """Return records, document by document in their order, while they fit; of a document that does
    not fit whole, its nearest chunks. One is always read."""
    kept: set[str] = set()
    left = room
    for name in dict.fromkeys(one.document for one in candidates):
        mine = [one for one in candidates if one.document == name]
        for one in sorted(mine, key=lambda one: (-float(one.route @ query), one.record_id)):
            if tokens[one.record_id] <= left or not kept:
                kept.add(one.record_id)
                left -= tokens[one.record_id]
    return [one.record_id for one in candidates if one.record_id in kept]


def slots_of(records: Sequence[Record]) -> Memory:
    """Return records as the memory of one row, a document after the other."""
    documents: dict[str, list[Record]] = {}
    for record in records:
        documents.setdefault(record.content_hash, []).append(record)
    return collate([list(documents.values())])


def prompt_ids(asked: Asked, model: Loaded, memory: LiveMemory) -> list[int]:
    """Return the conversation as ids, the file's text before the last message.

    Raises:
        UserError: the file is none, or the conversation leaves the answer no room.
    """
    messages = list(asked.messages)
    if asked.file:
        shown = file_text(model, memory, asked.file, asked.room.file_tokens)
        messages[-1] = replace(messages[-1], text=f"{shown}\n\n{messages[-1].text}")
    if messages[0].role != "system":
        messages.insert(0, Message("system", SYSTEM))
    ids = conversation_ids(model.tokenizer, messages, asked.prefix)
    room = model.window - asked.style.max_new_tokens
    if len(ids) > room:
        raise UserError(
            f"the conversation has {len(ids)} tokens and the model takes {room} beside an answer "
            f"of {asked.style.max_new_tokens}: shorten it, or ask for a shorter answer"
        )
    return ids


def file_text(model: Loaded, memory: LiveMemory, file: str, room: int) -> str:
    """Return a file with its name, as much of it as fits.

    Raises:
        UserError: it is outside the root, not there, or no text.
    """
    path = folder.relative(memory.root, file)
    try:
        found = folder.read(memory.root, path)
    except folder.LeftOut as reason:
        raise UserError(f"{path!r} cannot be shown to the model: {reason}") from None
    if found is None:
        raise UserError(f"there is no file {path!r} below {memory.root}")
    ids = plain_ids(model.tokenizer, found.text)
    text = found.text
    if len(ids) > room:
        gap = plain_ids(model.tokenizer, GAP)
        text = model.tokenizer.decode(cut_middle(ids, room, gap), skip_special_tokens=False)
    return f"File {path}:\n```\n{text}\n```"


def _texts(memory: LiveMemory, chunks: Sequence[tuple[str, Record]]) -> dict[str, str]:
    """Return the texts of documents that lie in the folder as they were read."""
    texts = {}
    for path, name in {path: record.content_hash for path, record in chunks}.items():
        try:
            found = folder.read(memory.root, path)
        except folder.LeftOut:
            continue
        if found is not None and found.content_hash == name:
            texts[path] = found.text
    return texts
