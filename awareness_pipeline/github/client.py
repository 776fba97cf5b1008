"""A client for one GitHub-like API: one request at a time, patient, and careful with the token.

`exchange` sends, `limits` says how long to wait, and here both meet: a request is asked until it
has an answer, the API keeps refusing, or asking again is pointless. One object serves one thread.

An answer about a repository (404, 451, access blocked) is an answer like any other; only a search
must find its path. Times for stamping come from the server's clock, as it dates its answers.
"""

import logging
import re
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Any

import httpx

from awareness_pipeline.address import is_loopback
from awareness_pipeline.clock import REAL_CLOCK, Clock, iso, utc
from awareness_pipeline.config import Source, UserError
from awareness_pipeline.github.exchange import (
    WRONG_ROOT,
    Answer,
    Exchange,
    GitHubError,
    Trouble,
)
from awareness_pipeline.github.limits import (
    REFUSALS,
    TROUBLE_WAITS,
    OwnSlots,
    Pace,
    Slots,
    Tokens,
    refusal,
    rest_of_window,
    server_time,
)

__all__ = ["Answer", "GitHub", "GitHubError", "is_blocked"]

SEARCH_INTERVAL_S = 2.5
SEARCH_INTERVAL_ANONYMOUS_S = 6.0
FIRST_TRIES = 2
"""Tries before an API that was never reached is given up: most likely its address is wrong."""

log = logging.getLogger(__name__)


class GitHub:
    """An open connection to one API.

    Args:
        source: the API root, the tokens, and the seconds between searches.
        clock: waits, and tells the time.
        transport: replaces the network, for tests.
        slots: shared with whoever keeps the same pace; by default only this object does.

    Raises:
        UserError: the API root or a token cannot be right.
    """

    def __init__(
        self,
        source: Source,
        clock: Clock = REAL_CLOCK,
        transport: httpx.BaseTransport | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._exchange = Exchange(source, clock, transport)
        self._host = self._exchange.root.host
        self._clock = clock
        self._tokens = Tokens(source.tokens, clock)
        usual = SEARCH_INTERVAL_S if source.tokens else SEARCH_INTERVAL_ANONYMOUS_S
        self._pace = Pace(
            source.search_interval_s or usual, clock, OwnSlots() if slots is None else slots
        )
        self._billed: dict[str, str] = {}
        self._skew = 0.0
        self._proven = False
        if not source.tokens and not is_loopback(self._host):
            _say_anonymous(self._host)

    def __enter__(self) -> "GitHub":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exchange.close()

    @property
    def calls(self) -> int:
        """How many requests were sent, repeated and redirected ones included."""
        return self._exchange.calls

    def now(self) -> str:
        """Return the time by the server's clock: ISO 8601, UTC, whole seconds, never ahead of it.

        Before the first answer it is this machine's.
        """
        return iso(utc(int(self._wall())))

    def search(self, query: str, page: int) -> Any:
        """Return the JSON of one page of a repository search, 100 to a page, most stars first.

        Raises:
            GitHubError: the API refuses this query (4xx), or the answer is no JSON.
            UserError: there is no search below the root, or as `ask`.
        """
        path = "/search/repositories"
        params = {"q": query, "sort": "stars", "order": "desc", "per_page": "100"}
        answer = self.ask(path, {**params, "page": str(page)})
        if answer.status == 404:
            raise self._wrong_root()
        if answer.status != 200:
            raise GitHubError(f"{path}: {self._host} answers {answer.status}")
        return answer.content

    def ask(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the API's word on `path`, however long its limits take.

        It may be any status but a limit, a 401 or a 5xx.

        Raises:
            GitHubError: the answer leaves the origin, is too large, or is 200 and no JSON.
            UserError: no token is accepted, the API cannot be reached or keeps refusing.
        """
        kind = "search" if path.startswith("/search/") else "core"
        refused = secondary = troubled = 0
        while True:
            token = self._tokens.take(self._billed.get(kind, kind))
            self._pace.wait(search=kind == "search")
            try:
                answer = self._exchange.send(path, params or {}, token)
            except Trouble as trouble:
                self._after_trouble(trouble, troubled)
                troubled += 1
                continue
            self._learn(answer, kind)
            if answer.status == 401:
                self._tokens.drop(token)
            elif _is_limit(answer):
                primary = self._after_refusal(answer, kind, token, secondary, refused)
                refused, secondary = refused + 1, secondary + (not primary)
            else:
                self._after_answer(answer, kind, token)
                return answer

    def check_root(self) -> None:
        """Make sure that an API is below the root, so that a 404 speaks of what was asked for.

        Costs nothing once anything there answered with 200.

        Raises:
            UserError: there is none.
        """
        # An Enterprise server without rate limits answers 404 to the first.
        if not (self._proven or self._is_api("/rate_limit") or self._is_api("/")):
            raise self._wrong_root()

    def _is_api(self, path: str) -> bool:
        try:
            return self.ask(path).status == 200
        except GitHubError:
            return False

    def _wrong_root(self) -> UserError:
        path = self._exchange.root.path.rstrip("/")
        return UserError(f"{self._host} has no API below {path or '/'} (404): {WRONG_ROOT}")

    def _wall(self) -> float:
        return self._clock.wall() + self._skew

    def _learn(self, answer: Answer, kind: str) -> None:
        """Note the server's time, and which budget it books this kind of request on."""
        if (told := server_time(answer.headers)) is not None:
            self._skew = told - self._clock.wall()
        name = answer.headers.get("x-ratelimit-resource", "")
        if re.fullmatch(r"[a-z_]{1,40}", name):
            self._billed[kind] = name

    def _after_answer(self, answer: Answer, kind: str, token: str) -> None:
        self._proven = self._proven or answer.status == 200
        spent = rest_of_window(answer.headers, self._wall())
        if spent is not None:
            self._tokens.rest(token, self._billed.get(kind, kind), spent)

    def _after_trouble(self, trouble: Trouble, before: int) -> None:
        waits = TROUBLE_WAITS[: FIRST_TRIES - 1] if trouble.outright else TROUBLE_WAITS
        if before >= len(waits):
            check = "the network and AWARENESS_GITHUB_URL" if trouble.outright else "the network"
            raise UserError(f"{self._host} {trouble}: check {check}, then run again")
        log.warning("%s %s: asking again in %.0f s", self._host, trouble, waits[before])
        self._clock.sleep(waits[before])

    def _after_refusal(
        self, answer: Answer, kind: str, token: str, secondary: int, refused: int
    ) -> bool:
        """Rest the token, or everyone. Returns whether it was the token's own budget."""
        asked = refusal(answer.headers, secondary, self._wall())
        if asked is None or refused >= REFUSALS:
            raise UserError(
                f"{self._host} keeps refusing ({answer.status}) after long waits: "
                "run the same command again later, it goes on where it stopped"
            )
        if asked.primary:
            self._tokens.rest(token, self._billed.get(kind, kind), asked.wait_s)
        else:
            log.warning("%s: secondary rate limit, waiting %.0f s", self._host, asked.wait_s)
            self._pace.hold(asked.wait_s)
        return asked.primary


def is_blocked(answer: Answer) -> bool:
    """Whether the host keeps everyone from a repository: 451, or 403 that says what blocks it.

    The second shape is "Repository access blocked" with a `block` object (seen for breaches of the
    terms of service: PyGithub issue 1015).
    """
    content = answer.content
    told = isinstance(content, dict) and isinstance(content.get("block"), dict)
    return answer.status == 451 or (answer.status == 403 and told)


def _is_limit(answer: Answer) -> bool:
    """Whether an answer asks to wait, and is not about one repository or its owner."""
    if answer.status == 403:
        return not (is_blocked(answer) or _is_owners_rule(answer))
    return answer.status == 429


def _is_owners_rule(answer: Answer) -> bool:
    """Whether an organisation refuses this kind of token, even for what is public (NixOS/org
    issue 247: a limit on the token's lifetime)."""
    message = answer.content.get("message") if isinstance(answer.content, dict) else None
    return isinstance(message, str) and "organization forbids access" in message


@cache
def _say_anonymous(host: str) -> None:
    """Once a process."""
    log.warning(
        "no GITHUB_TOKEN: %s allows 10 searches a minute instead of 30, and 60 other requests an "
        "hour instead of 5,000",
        host,
    )
