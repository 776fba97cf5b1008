"""One exchange with an OpenAI-compatible endpoint, and what to make of what comes back.

vLLM, llama.cpp, Ollama and hosted services answer `POST <root>/chat/completions`. Every reply falls
into one class: an answer; a refusal of this one request, which asking again would not change (400,
413, 422); trouble that may pass (408, 409, 425, 429, 5xx, a broken connection, a body that is no
answer); or something that only the user can mend (401, 402, 403, 404, other 3xx and 4xx).

The key goes to the root's own origin, in a header; redirects elsewhere are refused; no error or log
line holds the key or more than a line of what the endpoint says. Limits: answers beyond 64 MB are
not read; HTTP/1.1.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from awareness_pipeline.address import api_root, is_loopback, same_origin
from awareness_pipeline.clock import Clock
from awareness_pipeline.config import Teacher, UserError
from awareness_pipeline.teacher.chat import REFUSED, TOO_LONG, ChatAnswer
from awareness_pipeline.teacher.pace import asked_wait
from awareness_pipeline.teacher.protocol import Broken, answer_of, error_of

__all__ = ["LARGEST_ANSWER", "Endpoint", "Outcome"]

LARGEST_ANSWER: Final = 64 << 20
"""Bytes after decompression; 4,096 tokens with 20 alternatives each are about 8 MB."""
CONNECT_S: Final = 20.0
REDIRECTS: Final = 3
PASSING: Final = frozenset((408, 409, 425, 429))
REFUSING: Final = frozenset((400, 413, 422))
EVERYONE: Final = frozenset((429, 503, 529))
"""The endpoint has too much to do, whoever asks."""
OVER_WINDOW: Final = re.compile(
    r"context_length_exceeded|maximum context length|exceed_context_size|context size"
    r"|context window|prompt is too long|input is too long|too many tokens",
    re.IGNORECASE,
)
"""How OpenAI, vLLM, llama.cpp and hosted services say that a prompt does not fit the window."""
FILTERED: Final = re.compile(r"content_filter|content_policy|content management policy", re.I)
SPENT: Final = re.compile(r"insufficient_quota|billing|credit balance", re.IGNORECASE)
"""A 429 that no waiting cures."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try; one of `answer`, `refusal`, `again` and `mend` is set."""

    answer: ChatAnswer | None = None
    refusal: ChatAnswer | None = None
    """No text, and the reason why; it cost nothing."""
    again: str = ""
    """Why it may be tried again."""
    mend: str = ""
    """A line for the user, without whom nothing will change."""
    wait_s: float | None = None
    """As the endpoint asks; None: it does not say."""
    everyone: bool = False
    """The wait is for all requests, not for this one."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Trouble(Exception):
    """No reply, or one that cannot be read to its end."""


class _Elsewhere(Exception):
    """A redirect that is not followed; the message is the line for the user."""


class Endpoint:
    """An open connection to one endpoint, for any number of threads.

    Raises:
        UserError: its address, model or key cannot be right.
    """

    def __init__(
        self, teacher: Teacher, clock: Clock, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._root = _checked(teacher)
        self._teacher = teacher
        self._clock = clock
        headers = {"Accept": "application/json", "User-Agent": "awareness-pipeline"}
        if teacher.key:
            headers["Authorization"] = f"Bearer {teacher.key}"
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(teacher.timeout_s, connect=min(CONNECT_S, teacher.timeout_s)),
            limits=httpx.Limits(
                max_connections=teacher.concurrency, max_keepalive_connections=teacher.concurrency
            ),
            # Reading all certificates takes a tenth of a second that plain HTTP has no use for.
            verify=self._root.scheme == "https",
            # A proxy could not reach a server of this machine.
            trust_env=not is_loopback(self._root.host),
            transport=transport,
        )

    @property
    def host(self) -> str:
        """Return the endpoint's host, for lines about it."""
        return self._root.host

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, payload: Mapping[str, Any]) -> Outcome:
        """Send a payload once and judge what comes back."""
        try:
            reply = self._send(json.dumps(payload, sort_keys=True).encode())
        except _Trouble as trouble:
            return Outcome(again=str(trouble))
        except _Elsewhere as redirect:
            return Outcome(mend=str(redirect))
        if 200 <= reply.status < 300:
            try:
                return Outcome(answer_of(reply.body, payload))
            except Broken as broken:
                return Outcome(again=str(broken))
        return self._without_answer(reply)

    def _without_answer(self, reply: _Reply) -> Outcome:
        said = error_of(reply.body, hide=self._teacher.key)
        if reply.status in REFUSING:
            detail = f"{reply.status}: {said}"
            return Outcome(refusal=ChatAnswer("", _refusal(said), 0, 0, detail=detail))
        passing = reply.status in PASSING or reply.status >= 500
        if not passing or (reply.status == 429 and SPENT.search(said)):
            return Outcome(mend=self._line(reply.status, said))
        wait_s = asked_wait(reply.headers, self._clock.wall())
        return Outcome(
            again=f"status {reply.status}",
            wait_s=wait_s,
            everyone=reply.status in EVERYONE or wait_s is not None,
        )

    def _line(self, status: int, said: str) -> str:
        """Return what to do about a status that only the user can change."""
        host, teacher = self.host, self._teacher
        if status in (401, 403):
            key = "the key in AWARENESS_TEACHER_KEY" if teacher.key else "a request without a key"
            return f"{host} refuses {key} ({status}): set AWARENESS_TEACHER_KEY in the environment"
        if status in (402, 429):
            return f"{host} says the account has nothing left ({status}: {said})"
        if status == 404:
            return (
                f"{host} has no model {teacher.model!r} or no {self._path} (404: {said}): check "
                "AWARENESS_TEACHER_MODEL, and that AWARENESS_TEACHER_URL is the API's root, "
                "such as http://HOST:8000/v1"
            )
        return f"{host} does not take chat requests at {self._path} ({status}: {said})"

    @property
    def _path(self) -> str:
        return f"{self._root.path.rstrip('/')}/chat/completions"

    def _send(self, body: bytes) -> _Reply:
        """Return the reply, redirects that keep the method followed within the origin."""
        url = self._root.copy_with(path=self._path)
        for _ in range(REDIRECTS + 1):
            try:
                reply = self._exchange(url, body)
            except httpx.ConnectError as error:
                raise _Trouble(f"no connection: {error}") from None
            except httpx.RequestError as error:
                raise _Trouble(type(error).__name__) from None
            if not 300 <= reply.status < 400:
                return reply
            url = self._within(url, reply)
        raise _Elsewhere(f"{self.host} redirects in circles: set AWARENESS_TEACHER_URL anew")

    def _exchange(self, url: httpx.URL, body: bytes) -> _Reply:
        ends = self._clock.monotonic() + self._teacher.timeout_s
        headers = {"Content-Type": "application/json"}
        with self._http.stream("POST", url, content=body, headers=headers) as response:
            read = bytearray()
            for block in response.iter_bytes():
                read += block
                if len(read) > LARGEST_ANSWER:
                    raise _Trouble(f"an answer larger than {LARGEST_ANSWER:,} bytes")
                if self._clock.monotonic() > ends:
                    raise _Trouble(f"an answer slower than {self._teacher.timeout_s:g} s")
            return _Reply(response.status_code, response.headers, bytes(read))

    def _within(self, url: httpx.URL, reply: _Reply) -> httpx.URL:
        try:
            target = url.join(reply.headers.get("location", ""))
        except httpx.InvalidURL:
            raise _Elsewhere(f"{self.host} redirects to something that is no URL") from None
        if reply.status not in (307, 308) or not same_origin(target, self._root):
            raise _Elsewhere(
                f"{self.host} redirects ({reply.status}) to {target.scheme}://{target.host}, which "
                "is refused: if that is the endpoint, set AWARENESS_TEACHER_URL to it"
            )
        return target


def _refusal(said: str) -> str:
    if OVER_WINDOW.search(said):
        return TOO_LONG
    return "content_filter" if FILTERED.search(said) else REFUSED


def _checked(teacher: Teacher) -> httpx.URL:
    """Return the API's root as a URL."""
    url = api_root(teacher.url)
    if url is None:
        raise UserError("AWARENESS_TEACHER_URL must be an API's root such as http://HOST:8000/v1")
    if not teacher.model:
        raise UserError("set AWARENESS_TEACHER_MODEL to the model's name at the endpoint")
    if teacher.key and not re.fullmatch(r"[\x21-\x7e]+", teacher.key):
        raise UserError("AWARENESS_TEACHER_KEY holds a character that no key has")
    return url
