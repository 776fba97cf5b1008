"""An answer from memory: choose documents, read them, write, and say what was read.

A scope gives the documents a question may use; the router picks those that hold its words, define
its names or lie nearest to it (memory/routing.py), as many as fit `Room`; of the one that does not
fit whole, the chunks nearest to the question. What users told of themselves is read beside any
glob, for it seldom shares a word with a question; a named scope is read alone. A file at hand
stands in the prompt as text (of a long one, what the question is about), not in memory too.

Limits: the router sees the last user message alone, and chooses once, before the answer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.citing import Cited, cite, placed
from awareness_model.config import UserError
from awareness_model.conversation import Message, Prompt, prompted
from awareness_model.excerpt import excerpt
from awareness_model.loaded import Loaded
from awareness_model.memory import folder
from awareness_model.memory.batch import Memory, collate
from awareness_model.memory.live import LiveMemory
from awareness_model.memory.record import Record
from awareness_model.memory.router import Candidate
from awareness_model.memory.routing import Source, selector
from awareness_model.memory.scopes import PUBLIC, parsed
from awareness_model.memory.snapshots import LIVE
from awareness_model.writing import Style, Text, write

HISTORY = "recent-history"
PROFILE = "user-profile"
SYSTEM = "You answer questions about files that you remember. Answer from them, in few words."


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be read."""

    documents: int = 4
    memory_tokens: int = 4096
    file_tokens: int = 2048
    """Of a file in the prompt."""
    profile_tokens: int = 512
    """Of the user's profile, beside the rest."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A conversation whose last message is to be answered, and what may be read for it."""

    messages: Sequence[Message]
    scope: str = "**"
    """A glob or a name. The user profile is read beside any glob of files, recent history only
    where it is named (`recent-history`, or a glob that begins with `.awareness/`)."""
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
    prompt = prompt_of(asked, model, memory)
    chunks = chosen(asked, model, memory)
    read = slots_of([record for _, record in chunks])
    written = write(model.decoder, prompt.ids, read, asked.style, hear, is_cancelled)
    if written.finish_reason == "cancelled":
        return _answer(written, (), 0.0, chunks, prompt.ids)
    cited, share = cite(model.decoder, read, prompt, written.ids, chunks)
    return _answer(written, placed(cited, _texts(memory, chunks)), share, chunks, prompt.ids)


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
    profile, paths = _visible(asked, memory, model)
    text = asked.messages[-1].text
    query = model.encoder.query_route(plain_ids(model.tokenizer, text)).cpu().float()
    source = Source(memory.store, memory.lexicon, model.layout, model.fingerprint)
    room = asked.room
    kept = _routed(source, profile, text, query, len(profile), room.profile_tokens)
    kept += _routed(source, paths, text, query, room.documents, room.memory_tokens)
    if not kept:
        raise UserError(f"nothing in scope {asked.scope!r} is encoded: run `awareness index PATH`")
    named = {**profile, **paths}
    return [(named[one.content_hash], one) for one in memory.store.load(kept)]


def _routed(
    source: Source, paths: Mapping[str, str], text: str, query: Tensor, most: int, room: int
) -> list[str]:
    """Return the records to read of at most `most` documents, nearest first."""
    router = selector(source, paths, text, query, most)
    ids = router.select(query, most).record_ids
    near = {one.record_id: one for one in router.candidates}
    documents = {near[one].document for one in ids}
    if not documents:
        return []
    held = source.reader.held(documents, source.layout, source.fingerprint)
    tokens = {one.record_id: one.tokens for one in held}
    return _fitting([near[one] for one in ids], tokens, query, room)


def _visible(
    asked: Asked, memory: LiveMemory, model: Loaded
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the paths of documents that may be read, by content hash: the user's profile, which
    stands beside whatever files a glob names, and the rest."""
    found = _in_scope(asked, memory)
    if not found:
        if memory.store.documents("**", asked.acl):
            raise UserError(
                f"scope {asked.scope!r} matches nothing in this memory: "
                "`awareness memory ls` shows what is there"
            )
        raise UserError("the memory is empty: run `awareness index PATH` first")
    glob, named = parsed(asked.scope)
    exact = named or glob.startswith(f"{folder.HOME}/")
    told = {} if exact else memory.store.documents(PROFILE, asked.acl)
    memory.store.expect(model.layout, model.fingerprint, {*found.values(), *told.values()})
    at_hand = folder.relative(memory.root, asked.file) if asked.file else None
    profile = {name: path for path, name in reversed(told.items()) if path != at_hand}
    rest = {
        name: path
        for path, name in reversed(found.items())
        if path != at_hand and name not in profile
    }
    if not rest and not profile:
        raise UserError(f"scope {asked.scope!r} holds nothing but the file itself: leave one out")
    return profile, rest


def _in_scope(asked: Asked, memory: LiveMemory) -> dict[str, str]:
    """Return content hashes by path of what a scope holds. Past chats are left out unless they are
    named, as a shell leaves out hidden files: an answer must not rest on an earlier answer and cite
    it beside the files."""
    glob, name = parsed(asked.scope)
    rows = memory.store.select(*LIVE, glob, asked.acl, name)
    told = name == HISTORY or glob.startswith(f"{folder.HOME}/")
    return {row.path: row.content_hash for row in rows if told or row.scope != HISTORY}


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


def prompt_of(asked: Asked, model: Loaded, memory: LiveMemory) -> Prompt:
    """Return the conversation, the file's text before the last message.

    Raises:
        UserError: the file is none, or the conversation leaves the answer no room.
    """
    messages = list(asked.messages)
    shown = ""
    if asked.file:
        about = messages[-1].text
        shown = file_text(model, memory, asked.file, asked.room.file_tokens, about) + "\n\n"
    if messages[0].role != "system":
        messages.insert(0, Message("system", SYSTEM))
    made = prompted(model.tokenizer, messages, asked.prefix, shown)
    room = model.window - asked.style.max_new_tokens
    if len(made.ids) > room:
        raise UserError(
            f"the conversation has {len(made.ids)} tokens and the model takes {room} beside an "
            f"answer of {asked.style.max_new_tokens}: shorten it, or ask for a shorter answer"
        )
    return made


def file_text(model: Loaded, memory: LiveMemory, file: str, room: int, about: str) -> str:
    """Return a file with its name, as much as fits: of a long one, what a request is about.

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
    text = excerpt(found.text, model.tokenizer, room, about, path)
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
