"""Questions with files: the model on this machine, or an endpoint. One call for both.

The local model packs, answers and scores in one process (`awareness_model.distil`). For an endpoint
files are packed here by estimate, the answers come through `backend.ask` with its cache, ledger and
budget, and are then put into the student's tokens (`aligned.py`). A prompt that the endpoint finds
too long is asked once more with half the context; `too_long` again is its answer.

A given text is scored by an endpoint that gives the log-probabilities of prompts
(`Teacher.prompt_logprobs`); by one that does not, it is not asked at all, and stays text (`given`).
Limits: the requests of a shard are held in memory.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from awareness_model.schema import AlignRequest, DistilAnswer, DistilRequest
from awareness_pipeline.clock import REAL_CLOCK, Clock
from awareness_pipeline.config import Settings
from awareness_pipeline.teacher.aligned import align_request, given_request, run_align
from awareness_pipeline.teacher.backend import Batch, ask, local_model
from awareness_pipeline.teacher.books import PENDING, books_of
from awareness_pipeline.teacher.chat import TOO_LONG
from awareness_pipeline.teacher.local import Given, ask_model
from awareness_pipeline.teacher.window import Packed, packed

__all__ = ["ask_files"]

NO_CONTEXT = "no_context"

log = logging.getLogger(__name__)


def ask_files(
    settings: Settings,
    stage: str,
    requests: Iterable[DistilRequest],
    scratch: Path,
    *,
    label: str,
    wanted: Collection[str],
    clock: Clock = REAL_CLOCK,
    transport: httpx.BaseTransport | None = None,
) -> "Given[DistilAnswer]":
    """Return the teacher's answers to requests with files, by request id.

    Args:
        stage: who asks, as the ledger names it.
        requests: all of a unit, wanted now or not: the local model's batches are formed over them.
        scratch: folder for work in hand that a killed run leaves to the next.
        wanted: ids of those that are to be answered.

    Raises:
        UserError: something that only the user can mend; the answers until then are kept.
        RuntimeError: a process of the model package failed.
    """
    if settings.teacher.url:
        rows = [row for row in requests if row.id in wanted]
        asker = _Asker(settings, stage, scratch, label, {"clock": clock, "transport": transport})
        return _ask_endpoint(asker, rows)
    model = local_model(settings)
    books = books_of(settings, stage, model.identity, paid=False)
    given = ask_model(
        "distil", model, requests, DistilAnswer, scratch, books, wanted=wanted, label=label
    )
    if given.stopped:
        log.warning("%s: %s", label, given.stopped)
    return given


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks an endpoint."""

    settings: Settings
    stage: str
    scratch: Path
    label: str
    means: Mapping[str, Any]
    """Clock and transport."""

    def ask(self, several: Sequence[Packed]) -> Batch:
        """Return what came of some chats."""
        chats = [one.chat for one in several]
        where = (self.settings, self.stage, chats, self.scratch)
        return ask(*where, label=self.label, **self.means)


def _ask_endpoint(asker: _Asker, rows: Sequence[DistilRequest]) -> "Given[DistilAnswer]":
    given: Given[DistilAnswer] = Given()
    aligned: list[AlignRequest] = []
    open_ones: list[tuple[DistilRequest, Packed]] = []
    scores = asker.settings.teacher.prompt_logprobs > 0
    for row in rows:
        found = packed(row, row.max_context_tokens)
        if not found:
            given.answers[row.id] = _nothing(row, NO_CONTEXT)
        elif row.response is not None and not scores:
            aligned.append(given_request(row, row.response, found.manifest))
        else:
            open_ones.append((row, found))
    too_long = _round(asker, open_ones, given, aligned)
    halved = [(row, packed(row, row.max_context_tokens // 2)) for row in too_long]
    shorter = [(row, one) for row, one in halved if one]
    if given.stopped:
        given.unanswered |= {row.id: PENDING for row, _ in shorter}
        still = []
    else:
        still = _round(asker, shorter, given, aligned)
    still += [row for row, one in halved if not one]
    given.answers |= {row.id: _nothing(row, TOO_LONG) for row in still}
    ours = run_align(aligned, asker.settings.model, asker.scratch, f"{asker.label} tokens")
    if text := sum(not row.topk_ids for row in ours.values()):
        said = "%s: %d of %d answers are text only, since their tokens may not be the student's"
        log.warning(said, asker.label, text, len(ours))
    given.answers |= ours
    return given


def _round(
    asker: _Asker,
    pairs: Sequence[tuple[DistilRequest, Packed]],
    given: "Given[DistilAnswer]",
    aligned: list[AlignRequest],
) -> list[DistilRequest]:
    """Ask; note what came, and return the requests that were too long."""
    if not pairs:
        return []
    batch = asker.ask([one for _, one in pairs])
    given.stopped, given.down = batch.stopped, batch.down
    too_long = []
    for place, ((row, found), answer) in enumerate(zip(pairs, batch.answers, strict=True)):
        if answer is None:
            given.unanswered[row.id] = batch.unanswered.get(place, PENDING)
        elif answer.finish_reason == TOO_LONG:
            too_long.append(row)
        elif answer.text:
            aligned.append(align_request(row, answer, found.manifest))
        else:
            given.answers[row.id] = _nothing(row, answer.finish_reason)
    return too_long


def _nothing(row: DistilRequest, reason: str) -> DistilAnswer:
    """Return the row of a request without an answer."""
    return DistilAnswer(
        id=row.id,
        student_prompt_ids=(),
        response_ids=(),
        response_text="",
        topk_ids=(),
        topk_logprobs=(),
        tail_mass=(),
        manifest=(),
        finish_reason=reason,
        teacher_tokens=0,
        tokenizer_fingerprint="",
    )
