"""One request and its answer: within one origin, bounded in size and time, and JSON.

The API root is `source.url` as it stands (`https://api.github.com`, `https://HOST/api/v3`). The
token goes to that origin alone: redirects within it are followed, others refused. What asking again
may cure is `Trouble`: a broken connection, a 5xx, a body that is cut off or never ends. What it
would not cure is `GitHubError`. No error or log line holds a token.

Limits: GET only; no cache, since search answers drift; answers beyond 20 MB are refused. The
deadline is checked between the blocks of a body; headers are bounded by the timeout of a single
read and by the HTTP library's 100 KB alone.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from awareness_pipeline.address import api_root, is_loopback, same_origin
from awareness_pipeline.clock import Clock
from awareness_pipeline.config import Source, UserError

API_VERSION = "2022-11-28"
LARGEST_ANSWER = 20 << 20
"""Bytes after decompression; a page of 100 repositories is about 0.6 MB."""
REDIRECTS = 3
DEADLINE_S = 120.0
"""For one whole answer, redirects included. A page takes GitHub a few seconds."""
TIMEOUT = httpx.Timeout(60.0, connect=20.0)
WRONG_ROOT = "AWARENESS_GITHUB_URL must be the API root, such as https://HOST/api/v3"

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


class GitHubError(Exception):
    """An answer that asking again would not change; one request failed, others need not."""


class Trouble(Exception):
    """Something that asking again may cure; the message continues "HOST …"."""

    def __init__(self, said: str, *, outright: bool = False) -> None:
        super().__init__(said)
        self.outright = outright
        """Nothing ever answered, and the connection was refused or the name is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said in the end."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    content: Any
    """The JSON; None where an answer other than 200 holds none."""


class Exchange:
    """A connection to one API; `calls` counts the requests sent, redirects included.

    Raises:
        UserError: the API root or a token cannot be right.
    """

    def __init__(self, source: Source, clock: Clock, transport: httpx.BaseTransport | None) -> None:
        self.calls = 0
        self.root = _checked(source)
        self._clock = clock
        self._answered = False
        self._http = httpx.Client(
            headers={
                "Accept": "application/vnd.github+json",
                "Accept-Encoding": "gzip",
                "User-Agent": "awareness-pipeline",
                "X-GitHub-Api-Version": API_VERSION,
            },
            timeout=TIMEOUT,
            # A proxy could not reach a server of this machine.
            trust_env=not is_loopback(self.root.host),
            transport=transport,
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def send(self, path: str, params: Mapping[str, str], token: str) -> Answer:
        """Return the answer to one GET below the API root.

        Raises:
            GitHubError: it leaves the origin, is too large, or is no JSON.
            Trouble: it did not come, came in part, or is a 5xx.
        """
        url = self.root.copy_with(path=self.root.path.rstrip("/") + path, params=dict(params))
        until = self._clock.monotonic() + DEADLINE_S
        for _ in range(REDIRECTS + 1):
            status, headers, body = self._fetch(url, path, token, until)
            place = headers.get("location")
            if status not in (301, 302, 307, 308) or not place:
                return Answer(status, headers, _content(status, body, path))
            url = self._within(url, path, place)
        raise GitHubError(f"{path}: more than {REDIRECTS} redirects")

    def _fetch(
        self, url: httpx.URL, path: str, token: str, until: float
    ) -> tuple[int, httpx.Headers, bytes]:
        self.calls += 1
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with self._http.stream("GET", url, headers=authorization) as response:
                self._answered = True
                if response.status_code >= 500:
                    raise Trouble(f"answers {response.status_code}")
                body = self._body(response, path, until)
                return response.status_code, response.headers, body
        except httpx.RequestError as error:
            outright = isinstance(error, httpx.ConnectError) and not self._answered
            raise Trouble(_in_words(error), outright=outright) from None

    def _body(self, response: httpx.Response, path: str, until: float) -> bytes:
        if response.headers.get("content-encoding", "gzip").lower() not in ("gzip", "identity"):
            raise GitHubError(f"{path}: the answer is packed in a way that was not asked for")
        response.stream = _Timed(response.stream, self._clock.monotonic, until)
        body = bytearray()
        for block in response.iter_bytes():
            body += block
            if len(body) > LARGEST_ANSWER:
                raise GitHubError(f"{path}: the answer is larger than {LARGEST_ANSWER} B")
        return bytes(body)

    def _within(self, url: httpx.URL, path: str, place: str) -> httpx.URL:
        try:
            target = url.join(place)
        except httpx.InvalidURL:
            raise GitHubError(f"{path}: redirected to something that is no URL") from None
        if not same_origin(target, self.root):
            raise GitHubError(f"{path}: redirected to another host, refused")
        return target


class _Timed(httpx.SyncByteStream):
    """A body that is cut at its deadline, even while what comes unpacks to nothing."""

    def __init__(
        self,
        stream: httpx.SyncByteStream | httpx.AsyncByteStream,
        monotonic: Callable[[], float],
        until: float,
    ) -> None:
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream, self._monotonic, self._until = stream, monotonic, until

    def __iter__(self) -> Iterator[bytes]:
        for block in self._stream:
            if self._monotonic() > self._until:
                raise Trouble(f"takes more than {DEADLINE_S:.0f} s for one answer")
            yield block

    def close(self) -> None:
        self._stream.close()


def is_cut(body: bytes) -> bool:
    """Whether a body that is no JSON is the beginning of some: empty, or brackets left open."""
    bare = _STRING.sub(b"", body).strip()
    opened, closed = (sum(map(bare.count, marks)) for marks in ((b"{", b"["), (b"}", b"]")))
    return not body.strip() or (bare[:1] in (b"{", b"[") and opened > closed)


def _content(status: int, body: bytes, path: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        if status != 200:
            return None
        if isinstance(error, ValueError) and is_cut(body):
            raise Trouble("breaks its answers off") from None
    raise GitHubError(f"{path}: the answer is no JSON")


def _in_words(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "cannot be reached"
    return f"breaks the connection ({type(error).__name__})"


def _checked(source: Source) -> httpx.URL:
    """Return the API's root as a URL."""
    url = api_root(source.url)
    if url is None:
        raise UserError(WRONG_ROOT)
    if not all(re.fullmatch(r"[\x21-\x7e]+", token) for token in source.tokens):
        raise UserError("GITHUB_TOKEN holds a character that no token has")
    return url
