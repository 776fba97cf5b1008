"""Asks an endpoint a batch of requests: many at a time, paced, retried, within a budget.

One thread decides (who goes next, who waits, what is paid) and `concurrency` threads do one
exchange each and put its answer into the cache, so nothing here needs a lock and a kill costs what
is under way. A try that failed in passing waits 1, 2, 4, … 60 seconds, or as long as the endpoint
asks; after `TRIES` (429s apart), or past the request's deadline, it is given up, and so is the
endpoint after `GIVEN_UP` requests in a row, or when no request at all was answered.

A refusal (400, 413, 422) is believed to be about its request only where it says so, or where others
were answered: an endpoint that refuses everything is set up wrongly. Refusals are not cached: they
cost nothing, and a larger window or another setting would change them.

Limits: one endpoint; requests with the same payload must be given once (`backend.py` sees to it).
"""

import heapq
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from awareness_pipeline.clock import Clock
from awareness_pipeline.config import Teacher, UserError
from awareness_pipeline.progress import bar
from awareness_pipeline.teacher.books import PENDING, Books
from awareness_pipeline.teacher.chat import REFUSED, ChatAnswer, answer_from, answer_text
from awareness_pipeline.teacher.endpoint import Endpoint, Outcome
from awareness_pipeline.teacher.ledger import Spent
from awareness_pipeline.teacher.pace import back_off, pace_of
from awareness_pipeline.teacher.protocol import estimated_tokens

__all__ = ["Asked", "ask_endpoint"]

TRIES: Final = 6
GIVEN_UP: Final = 3
REFUSED_ALL: Final = 8
"""Refusals without a single answer after which no more is asked."""
LEAST_SHARE: Final = 0.1
"""Of our own wait, where an endpoint asks for a shorter one: some ask for none, over and over."""
SAID_FROM_S: Final = 5.0
"""Longer waits are told as warnings."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Asked:
    """What came of a batch, by key."""

    answers: dict[str, ChatAnswer] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    """Why there is no answer: `pending`, or `failed: ` and what the last try ended with."""
    stopped: str = ""
    """One line, if the batch ended before its end: why, and how to go on."""
    down: bool = False
    """The endpoint does not answer any more."""


@dataclass(order=True, slots=True)
class _Job:
    """A request on its way; ordered by when it may go and by its place in the batch."""

    ready_at: float
    number: int
    key: str = field(compare=False)
    payload: Mapping[str, Any] = field(compare=False)
    estimate: tuple[int, int] = field(compare=False)
    """Tokens of prompt and answer."""
    held: tuple[int, int] = field(compare=False, default=(0, 0))
    """What was set aside for it in budget and pace."""
    tries: int = field(compare=False, default=0)
    failures: int = field(compare=False, default=0)
    """Tries that ended otherwise than with a 429 or its like."""
    ends: float = field(compare=False, default=0.0)


def ask_endpoint(
    teacher: Teacher,
    payloads: Mapping[str, Mapping[str, Any]],
    books: Books,
    clock: Clock,
    *,
    label: str,
    evident: bool = False,
    transport: httpx.BaseTransport | None = None,
) -> Asked:
    """Ask for what the cache does not hold.

    Args:
        payloads: by cache key, in the order in which they are sent.
        label: what the progress bar says.
        evident: the endpoint has answered requests like these before.

    Raises:
        UserError: address, key, model or account have to be mended first; what was answered until
            then is kept.
    """
    endpoint = Endpoint(teacher, clock, transport)
    batch = _Batch(teacher, endpoint, payloads, books, clock, evident)
    try:
        with bar(label, len(payloads)) as advance:
            batch.run(advance)
    finally:
        endpoint.close()
    return batch.asked


class _Batch:
    """The state of a batch; all of it belongs to the thread that calls `run`."""

    def __init__(
        self,
        teacher: Teacher,
        endpoint: Endpoint,
        payloads: Mapping[str, Mapping[str, Any]],
        books: Books,
        clock: Clock,
        evident: bool,
    ) -> None:
        self.asked = Asked()
        self._teacher = teacher
        self._endpoint = endpoint
        self._books = books
        self._clock = clock
        self._pace = pace_of(teacher.url, teacher.requests_per_minute, teacher.tokens_per_minute)
        self._waiting = [
            _Job(float("-inf"), number, key, payload, estimated_tokens(payload))
            for number, (key, payload) in enumerate(payloads.items())
        ]
        self._under_way: dict[Future[Outcome], _Job] = {}
        self._rests_until = float("-inf")
        self._refused: dict[str, ChatAnswer] = {}
        self._evident = evident
        self._given_up = 0
        self._denser = self._longer = 1.0
        """By how much the worst answer so far passed its estimate."""
        self._mend = ""
        self._settled_at = clock.monotonic()

    def run(self, advance: Callable[..., None]) -> None:
        """Ask until everything is answered or given up."""
        pool = ThreadPoolExecutor(self._teacher.concurrency)
        try:
            while self._waiting or self._under_way:
                wait_s = self._start(pool)
                if self._under_way:
                    advance(self._settle(self._clock.wait(self._under_way, wait_s)))
                elif wait_s:
                    self._clock.sleep(wait_s)
        finally:
            # What is under way is paid for: it is waited for and kept, whatever ended the batch.
            pool.shutdown(wait=True, cancel_futures=True)
            self._settle({one for one in self._under_way if not one.cancelled()})
        self._close()

    def _start(self, pool: ThreadPoolExecutor) -> float | None:
        """Send what may go now; return the seconds until more may, None if that is no matter of
        time."""
        while self._waiting and len(self._under_way) < self._teacher.concurrency:
            job, now = self._waiting[0], self._clock.monotonic()
            ready_at = max(job.ready_at, self._rests_until, self._pace.ready_at())
            if ready_at > now:
                return ready_at - now
            if not self._books.purse.fits(*self._estimate(job)):
                if not self._under_way:
                    self._stop(self._books.purse.line(len(self._waiting)))
                return None
            self._send(pool, heapq.heappop(self._waiting), now)
        return None

    def _send(self, pool: ThreadPoolExecutor, job: _Job, now: float) -> None:
        job.held = self._estimate(job)
        self._books.purse.hold(*job.held)
        self._pace.start(sum(job.held), now)
        job.ends = job.ends or now + self._teacher.deadline_s
        job.tries += 1
        self._under_way[pool.submit(self._exchange, job.key, job.payload)] = job

    def _exchange(self, key: str, payload: Mapping[str, Any]) -> Outcome:
        """Send a payload once, on a thread of the pool, and keep the answer before all else."""
        outcome = self._endpoint.ask(payload)
        if not outcome.answer:
            return outcome
        standing = self._books.cache.put(key, answer_text(outcome.answer))
        return Outcome(answer_from(standing) or outcome.answer)

    def _estimate(self, job: _Job) -> tuple[int, int]:
        """Return the tokens of a request as far as they can be told, told by those before it."""
        prompt, completion = job.estimate
        return math.ceil(prompt * self._denser), math.ceil(completion * self._longer)

    def _settle(self, done: "set[Future[Outcome]]") -> int:
        """Make what can be made of what came back; return how many requests are done with."""
        left = len(self._waiting) + len(self._under_way)
        spent = replace(self._books.nothing, tries=len(done))
        for future in sorted(done, key=lambda one: self._under_way[one].number):
            job = self._under_way.pop(future)
            self._books.purse.release(*job.held)
            spent += self._judge(job, future.result())
        if done:
            now = self._clock.monotonic()
            self._books.ledger.add(replace(spent, seconds=now - self._settled_at))
            self._settled_at = now
        return left - len(self._waiting) - len(self._under_way)

    def _judge(self, job: _Job, outcome: Outcome) -> Spent:
        """Act on what came of a try; return what it cost."""
        if outcome.answer:
            return self._keep(job, outcome.answer)
        if outcome.refusal:
            self._refuse(job, outcome.refusal)
        elif outcome.mend:
            self.asked.unanswered[job.key] = PENDING
            self._mend = self._mend or outcome.mend
            self._stop(outcome.mend)
        else:
            self._again(job, outcome)
        return self._books.nothing

    def _keep(self, job: _Job, answer: ChatAnswer) -> Spent:
        books, tokens = self._books, (answer.prompt_tokens, answer.completion_tokens)
        self.asked.answers[job.key] = answer
        self._pace.correct(sum(tokens) - sum(job.held))
        self._denser = max(self._denser, tokens[0] / max(job.estimate[0], 1))
        self._longer = max(self._longer, tokens[1] / max(job.estimate[1], 1))
        self._evident, self._given_up = True, 0
        return books.pay(*tokens)

    def _refuse(self, job: _Job, refusal: ChatAnswer) -> None:
        self._refused[job.key] = refusal
        unclear = sum(one.finish_reason == REFUSED for one in self._refused.values())
        if unclear >= REFUSED_ALL and not self._evident:
            self._stop(f"{self._endpoint.host} refuses requests ({refusal.detail})")

    def _again(self, job: _Job, outcome: Outcome) -> None:
        """Have a request wait for its next try, or give it up."""
        now = self._clock.monotonic()
        wait_s = back_off(job.tries)
        if outcome.wait_s is not None:
            wait_s = max(outcome.wait_s, LEAST_SHARE * wait_s)
        late = now + wait_s > job.ends
        job.failures += not outcome.everyone
        if late or job.failures >= TRIES or self.asked.stopped:
            self._give_up(job, outcome, wait_s if late and outcome.everyone else 0.0)
            return
        if outcome.everyone:
            self._rests_until = max(self._rests_until, now + wait_s)
        level = logging.WARNING if wait_s > SAID_FROM_S else logging.INFO
        log.log(level, "%s: %s; again in %.0f s", self._endpoint.host, outcome.again, wait_s)
        job.ready_at = now + wait_s
        heapq.heappush(self._waiting, job)

    def _give_up(self, job: _Job, outcome: Outcome, asked_s: float) -> None:
        """Leave a request unanswered; and the endpoint too, if it is not the request's fault."""
        reason = PENDING if self.asked.stopped else f"failed: {outcome.again}"
        self.asked.unanswered[job.key] = reason
        self._given_up += 1
        if asked_s or (self._given_up >= GIVEN_UP and self._waiting):
            self._leave(outcome.again, asked_s)

    def _leave(self, reason: str, asked_s: float = 0.0) -> None:
        """Ask this endpoint nothing more in this run."""
        if self.asked.stopped:
            return
        when = f" in {asked_s / 60:,.0f} minutes" if asked_s else ""
        open_ones = len(self._waiting) + len(self._under_way) + len(self.asked.unanswered)
        self.asked.down = True
        self._stop(
            f"{self._endpoint.host} does not answer ({reason}): {len(self.asked.answers):,} "
            f"answers are kept, {open_ones:,} requests are open. Run the same command again{when} "
            "to go on"
        )

    def _stop(self, line: str) -> None:
        """Send nothing more; what is under way is still waited for."""
        self.asked.stopped = self.asked.stopped or line
        self.asked.unanswered |= {job.key: PENDING for job in self._waiting}
        self._waiting.clear()

    def _close(self) -> None:
        """Judge the batch as a whole.

        Raises:
            UserError: something has to be mended first.
        """
        unclear = [one for one in self._refused.values() if one.finish_reason == REFUSED]
        if self._evident or not unclear:
            self.asked.answers |= self._refused
        elif not self._mend:
            host, detail = self._endpoint.host, unclear[0].detail
            self._mend = f"{host} refuses every request ({detail})"
        if self._mend:
            kept = len(self.asked.answers)
            raise UserError(f"{self._mend}; {kept:,} answers are kept" if kept else self._mend)
        if self.asked.unanswered and not self.asked.answers:
            self._leave(next(iter(self.asked.unanswered.values())).removeprefix("failed: "))
