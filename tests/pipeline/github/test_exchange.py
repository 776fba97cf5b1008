import gzip
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from awareness_pipeline.config import Source, UserError
from awareness_pipeline.github.exchange import (
    DEADLINE_S,
    LARGEST_ANSWER,
    Exchange,
    GitHubError,
    Trouble,
    is_cut,
)
from tests.pipeline.github.answers import TOKEN, Handler, always
from tests.pipeline.github.clock import FakeTime

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def send(handler: Handler, path: str = "/x", params: dict[str, str] | None = None) -> object:
    source = Source("https://ghe.example.org/api/v3", (TOKEN,))
    exchange = Exchange(source, FakeTime().clock, httpx.MockTransport(handler))
    try:
        return exchange.send(path, params or {}, TOKEN).content
    finally:
        exchange.close()


@contextmanager
def speaking(script: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request, does as the script says, and hangs up."""

    def serve() -> None:
        while True:
            with suppress(ConnectionError):
                connection, _ = listener.accept()
                with connection:
                    if not connection.recv(1 << 16):
                        return
                    script(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            socket.create_connection((host, port)).close()
            thread.join()


def test_headers_name_the_caller_and_the_version() -> None:
    seen: list[httpx.Headers] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, json={})

    send(handler)
    assert seen[0]["authorization"] == f"Bearer {TOKEN}"
    assert seen[0]["user-agent"] == "awareness-pipeline"
    assert seen[0]["x-github-api-version"] == "2022-11-28"


def test_api_root_is_used_as_it_stands_and_queries_are_escaped() -> None:
    urls: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        return httpx.Response(200, json={})

    send(handler, "/search/repositories", {"q": 'language:"C++" stars:5&x=#1'})
    root, _, query = urls[0].partition("?")
    assert root == "https://ghe.example.org/api/v3/search/repositories"
    assert httpx.QueryParams(query)["q"] == 'language:"C++" stars:5&x=#1'


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/api",
        "http://ghe.example.org/api",
        "https://ghe.example.org:8443/api",
        "//evil.example/api",
        "https://ghe.example.org@evil.example/",
    ],
)
def test_redirect_elsewhere_is_refused_and_gets_no_token(place: str) -> None:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(str(request.url))
        return httpx.Response(302, headers={"location": place})

    with pytest.raises(GitHubError, match="another host"):
        send(handler)
    assert hosts == ["https://ghe.example.org/api/v3/x"]


def test_redirects_do_not_go_on_for_ever() -> None:
    asked: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(301, headers={"location": str(request.url)})

    with pytest.raises(GitHubError, match="redirects"):
        send(handler)
    assert len(asked) == 4


def test_answer_that_unfolds_without_end_is_cut() -> None:
    bomb = gzip.compress(b"0" * (2 * LARGEST_ANSWER))
    with pytest.raises(GitHubError, match="larger than"):
        send(always(headers={"content-encoding": "gzip"}, content=bomb))


@pytest.mark.parametrize("packing", ["zstd", "br", "gzip, gzip", "deflate"])
def test_packing_that_was_not_asked_for_is_refused(packing: str) -> None:
    stream = httpx.ByteStream(b"")
    with pytest.raises(GitHubError, match="packed"):
        send(lambda request: _streamed(stream, {"content-encoding": packing}))


def _streamed(
    stream: httpx.SyncByteStream, headers: dict[str, str] | None = None
) -> httpx.Response:
    response = httpx.Response(200, stream=_Unread(stream))
    response.headers.update(headers or {})
    return response


class _Unread(httpx.SyncByteStream):
    """A body that is read when the client reads it, as on a network."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self.stream


@pytest.mark.parametrize(
    "body", [b"<html>login</html>", b"\xff", b"[" * 100_000, b'{"a":}', b"{}}"]
)
def test_whole_answer_that_is_no_json_fails_the_request(body: bytes) -> None:
    with pytest.raises(GitHubError, match="JSON"):
        send(always(content=body))


def test_every_beginning_of_an_answer_is_known_to_be_cut() -> None:
    whole = json.dumps(
        {"a": [1, {"b": 'x"]}\\', "c": "é☃"}, [], {}], "d": None, "e": True}, ensure_ascii=False
    ).encode()
    assert send(always(content=whole)) == json.loads(whole)
    for length in range(len(whole)):
        assert is_cut(whole[:length]), whole[:length]
        with pytest.raises(Trouble, match="breaks its answers off"):
            send(always(content=whole[:length]))


def test_error_with_a_broken_body_is_still_an_answer() -> None:
    assert send(always(404, content=b'{"mess')) is None
    assert send(always(404, content=b"<html>")) is None
    assert send(always(451, json={"block": {}})) == {"block": {}}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_error_is_trouble_that_names_its_status(status: int) -> None:
    with pytest.raises(Trouble, match=f"answers {status}"):
        send(always(status))


def test_body_shorter_than_promised_is_trouble() -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"items": []}')

    with speaking(script) as url, pytest.raises(Trouble, match="breaks the connection"):
        _ask(url, FakeTime())


def test_connection_that_ends_before_the_answer_is_trouble() -> None:
    with speaking(lambda connection: None) as url, pytest.raises(Trouble) as caught:
        _ask(url, FakeTime())
    assert not caught.value.outright


def test_chunks_without_an_end_are_trouble() -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")

    with speaking(script) as url, pytest.raises(Trouble):
        _ask(url, FakeTime())


GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
EMPTY_BLOCK = b"\0\0\0\xff\xff"


@pytest.mark.parametrize(
    ("packing", "first", "then"),
    [("", b"[", b"0,"), ("Content-Encoding: gzip\r\n", GZIP_HEAD, EMPTY_BLOCK)],
    ids=["bytes", "nothing unpacked"],
)
def test_body_that_trickles_for_ever_is_cut(packing: str, first: bytes, then: bytes) -> None:
    time = FakeTime()
    began = time.now

    def script(connection: socket.socket) -> None:
        connection.sendall(HEAD + packing.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = first
        while True:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            piece = then
            time.now += 10

    with speaking(script) as url, pytest.raises(Trouble, match="more than 120 s"):
        _ask(url, time)
    assert time.now > began + DEADLINE_S


def test_body_may_take_its_time_within_the_deadline() -> None:
    time = FakeTime()

    class Slow(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for byte in b'{"a": 1}':
                time.now += 14
                yield bytes([byte])

    source = Source("https://ghe.example.org")
    exchange = Exchange(source, time.clock, httpx.MockTransport(lambda _: _streamed(Slow())))
    assert exchange.send("/x", {}, "").content == {"a": 1}
    exchange.close()


def _ask(url: str, time: FakeTime) -> None:
    exchange = Exchange(Source(url), time.clock, None)
    try:
        exchange.send("/x", {}, TOKEN)
    finally:
        exchange.close()


@pytest.mark.parametrize(
    "url",
    ["ftp://h/x", "api.github.com", "https://me:pass@h/api", "https://h/?a=b", "https://h:x/"],
)
def test_impossible_api_root_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="AWARENESS_GITHUB_URL"):
        Exchange(Source(url), FakeTime().clock, None)


def test_token_with_a_line_break_is_refused_unseen() -> None:
    with pytest.raises(UserError, match="GITHUB_TOKEN") as caught:
        Exchange(Source(tokens=("ghp_abc\ndef",)), FakeTime().clock, None)
    assert "abc" not in str(caught.value)


def _raise(error: Exception) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


@pytest.mark.parametrize(
    "handler",
    [
        always(500, text=TOKEN),
        always(200, text=TOKEN),
        always(200, text="{" + TOKEN),
        always(302, headers={"location": f"https://{TOKEN.replace('_', '-')}.example/{TOKEN}"}),
        always(302, headers={"location": f"https://[{TOKEN}"}),
        always(301, headers={"location": f"/{TOKEN}"}),
        _raise(httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'")),
        _raise(httpx.ConnectError(TOKEN)),
        always(200, headers={"content-encoding": TOKEN}, stream=_Unread(httpx.ByteStream(b""))),
    ],
)
def test_no_error_holds_the_token(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises((GitHubError, Trouble)) as caught:
        send(handler)
    trace = "".join(traceback.format_exception(caught.value))
    said = [line for line in trace.split("\n") if not line.startswith("  ")]
    for secret in (TOKEN, TOKEN.replace("_", "-")):
        assert secret not in str(caught.value)
        assert secret not in "\n".join(said)
