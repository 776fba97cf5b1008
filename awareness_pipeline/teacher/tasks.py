"""A commit as questions to the task writer, one per style, and the rows that their answers make.

    issue        a title and a few sentences on a problem, as a user would report it
    imperative   one sentence that asks for the change
    terse        twelve words at most
    message      the cleaned commit message: no model is asked, the gate is the same

Every commit gives one row of each style wanted, accepted or rejected with its reason: what the
teacher said instead of an answer (`refused`, `too_long`, `content_filter` …), `empty_diff` for a
commit that changes no line of text (it is never asked about), what the gate says (`quality`), or
`duplicate` for a prompt that another commit of the repository has already.

What a commit holds is quoted (`quoting.py`) and cut to the prompt's room by estimated tokens
(`room.py`): message, paths and signatures first, of the changed lines head and tail.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from awareness_pipeline.config import Reverse, UserError
from awareness_pipeline.records import Commit, TaskPrompt
from awareness_pipeline.teacher.chat import LENGTH, STOP, ChatAnswer, ChatRequest
from awareness_pipeline.teacher.messages import clean_message
from awareness_pipeline.teacher.prompts import Template, load_template
from awareness_pipeline.teacher.quality import (
    Evidence,
    evidence_of,
    judge,
    scores,
    wanted_names,
    words_of,
)
from awareness_pipeline.teacher.quality.names import names_in
from awareness_pipeline.teacher.quoting import quoted
from awareness_pipeline.teacher.room import first_part, head_and_tail, most_tokens

__all__ = [
    "EMPTY_DIFF",
    "MESSAGE_STYLE",
    "STYLES",
    "Draft",
    "Subject",
    "Writer",
    "change_of",
    "drafts_of",
    "question",
    "rows_of",
    "writer_of",
]

MESSAGE_STYLE: Final = "message"
EMPTY_DIFF: Final = "empty_diff"
OPENING: Final = "<task>"
CLOSING: Final = "</task>"
STYLES: Final = ("issue", "imperative", "terse")
"""What a model writes."""
SHORT: Final = {"imperative": 64, "terse": 32}
"""Most new tokens of a style that needs few; an issue may take all that the settings allow."""
SHOWN_FILES: Final = 3
SHARES: Final = {"message": (0.2, 96), "files": (0.15, 96), "subject": (0.05, 32)}
"""Of a prompt's room, and the most tokens; the first two stand in it twice."""
SIGNATURE_SHARE: Final = 0.25
"""Of the room for the change."""
LEAST_ROOM: Final = 160
"""Tokens beside the template's own, of which a change gets a quarter at least."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes tasks, and how: what a row says of its origin."""

    model: str
    """Identity of the model, not its place."""
    templates: Mapping[str, Template]
    """By style, in the order in which a commit's rows come."""
    settings: Reverse


@dataclass(frozen=True, slots=True)
class Subject:
    """A commit that is asked about."""

    commit: Commit
    lines: tuple[str, ...]
    """Its changed lines, quoted."""
    signatures: tuple[str, ...] = ()
    """Signatures of what it touches, in the order of its files."""

    @property
    def message(self) -> str:
        """Return its message without leaks and noise."""
        return clean_message(self.commit.message)


@dataclass(frozen=True, slots=True)
class Draft:
    """What there is of one prompt before it is judged."""

    subject: Subject
    evidence: Evidence
    style: str
    text: str = ""
    finish: str = STOP
    """`stop`, `length`, or `end` for an answer without both tags."""
    refused: str = ""
    """Why there is no answer at all."""
    answer: ChatAnswer | None = None

    @property
    def wanted(self) -> frozenset[str]:
        """Return the names that must be looked up before the prompt can be scored."""
        return wanted_names(self.text, self.evidence)


def writer_of(model: str, settings: Reverse) -> Writer:
    """Return the writer of the styles that the settings name.

    Raises:
        UserError: a style that there is none of, or one named twice.
    """
    styles = settings.styles
    if unknown := [one for one in styles if one not in STYLES]:
        raise UserError(f"unknown style {unknown[0]!r}: choose among {', '.join(STYLES)}")
    if len(set(styles)) < len(styles):
        raise UserError(f"styles {', '.join(styles)}: name each once")
    return Writer(model, {one: load_template(f"reverse_{one}") for one in styles}, settings)


def question(writer: Writer, subject: Subject, style: str) -> ChatRequest:
    """Return the request about a commit in a style.

    Raises:
        UserError: `max_prompt_tokens` has no room for the template and a change.
    """
    settings, template = writer.settings, writer.templates[style]
    user, prefix = template.fill(**change_of(subject, template, settings.max_prompt_tokens))
    return ChatRequest(
        system=template.system,
        prompt=user,
        max_prompt_tokens=settings.max_prompt_tokens,
        max_new_tokens=min(settings.max_new_tokens, SHORT.get(style, settings.max_new_tokens)),
        prefix=prefix,
        stop=CLOSING,
    )


def change_of(
    subject: Subject, template: Template, max_prompt_tokens: int, **more: str
) -> dict[str, str]:
    """Return what fills a template's places so that the whole prompt keeps within its tokens.

    Args:
        more: further values, quoted already.

    Raises:
        UserError: there is no room.
    """
    room = max_prompt_tokens - most_tokens(template.own_text)
    room -= sum(map(most_tokens, more.values()))
    if room < LEAST_ROOM:
        raise UserError(
            f"reverse.max_prompt_tokens {max_prompt_tokens} leaves {room} tokens for a commit: "
            f"make it {LEAST_ROOM - room} larger at least"
        )
    named = {**_named(subject, room), **more}
    user, prefix = template.fill(change="", **named)
    room = max_prompt_tokens - sum(map(most_tokens, (template.system, user, prefix)))
    signatures = [f"@@ {quoted(one)}" for one in subject.signatures]
    shown = head_and_tail(signatures, int(room * SIGNATURE_SHARE))
    lines = head_and_tail(subject.lines, room - most_tokens(shown) - 1)
    return {**named, "change": f"{shown}\n{lines}".strip("\n")}


def drafts_of(
    writer: Writer, subject: Subject, answers: Mapping[str, ChatAnswer]
) -> Iterable[Draft]:
    """Return a commit's drafts in the order of its rows. `answers`: by style."""
    commit, message = subject.commit, subject.message
    evidence = evidence_of(commit.diff, message=message, paths=commit.files_changed)
    for style in (*writer.templates, MESSAGE_STYLE):
        empty = Draft(subject, evidence, style, refused="" if subject.lines else EMPTY_DIFF)
        if empty.refused:
            yield empty
        elif style == MESSAGE_STYLE:
            yield replace(empty, text=message)
        else:
            yield _read(empty, answers[style])


def rows_of(
    writer: Writer, drafts: Iterable[Draft], known: Mapping[str, Collection[str]]
) -> list[TaskPrompt]:
    """Return the rows of a repository's drafts.

    Args:
        known: by `parent_sha`, those of the wanted names that are in its tree.
    """
    shown = {style: words_of(one.own_text) for style, one in writer.templates.items()}
    rows: list[TaskPrompt] = []
    seen: set[tuple[str, str]] = set()
    for draft in drafts:
        parent = draft.subject.commit.parent_sha or ""
        row = _row(writer, draft, known.get(parent, ()), shown.get(draft.style, ()))
        same = (row.style, " ".join(row.prompt.lower().split()))
        if row.accepted and same in seen:
            row = replace(row, accepted=False, reject_reason="duplicate")
        if row.accepted:
            seen.add(same)
        rows.append(row)
    return rows


def _named(subject: Subject, room: int) -> dict[str, str]:
    """Return the places that name a commit, each within its share of the room."""
    paths = subject.commit.files_changed[:SHOWN_FILES]
    message = " ".join(subject.message.split())
    named = {
        "message": message,
        "files": ", ".join(paths),
        "subject": (names_in(message) or [paths[0].rpartition("/")[2]])[0],
    }
    return {
        place: first_part(quoted(text.replace('"', "'")), min(int(share * room), most))
        for (place, text), (share, most) in zip(named.items(), SHARES.values(), strict=True)
    }


def _read(draft: Draft, answer: ChatAnswer) -> Draft:
    """Read the text between the tags; without both there is none, never the whole answer."""
    if answer.finish_reason not in (STOP, LENGTH):
        return replace(draft, refused=answer.finish_reason, answer=answer)
    _, opened, rest = answer.text.partition(OPENING)
    text, closed, _ = rest.partition(CLOSING)
    ended = LENGTH if answer.finish_reason == LENGTH else "end"
    finish = STOP if opened and closed else ended
    return replace(draft, text=text.strip(), finish=finish, answer=answer)


def _row(writer: Writer, draft: Draft, known: Collection[str], shown: Sequence[str]) -> TaskPrompt:
    found = scores(draft.text, draft.evidence, known)
    reason = draft.refused or judge(
        draft.text, draft.finish, found, draft.evidence, style=draft.style, demonstrations=shown
    )
    commit, answer = draft.subject.commit, draft.answer
    asked = draft.style != MESSAGE_STYLE
    return TaskPrompt(
        repo_id=commit.repo_id,
        repo=commit.repo,
        sha=commit.sha,
        parent_sha=commit.parent_sha,
        style=draft.style,
        prompt=draft.text,
        accepted=not reason,
        reject_reason=reason,
        finish_reason=answer.finish_reason if answer else "",
        model=writer.model if asked else "",
        prompt_fingerprint=writer.templates[draft.style].fingerprint if asked else "",
        prompt_tokens=answer.prompt_tokens if answer else 0,
        completion_tokens=answer.completion_tokens if answer else 0,
        judge=None,
        **asdict(found),
    )
