"""What a connection's bytes are read as, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.errors import FanoutError
from fanout.server.limits import ConnectionLimits
from fanout.server.request_parser import Head, RequestParser, StopParsing

LIMITS = ConnectionLimits()
HOST = b"host: x\r\n"


class Recorder:
    """Keeps each request as its method, path, headers and body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, dict[bytes, bytes], bytes]] = []
        self.began = 0
        self.ended = 0
        self._body = b""
        self._head: Head | None = None

    def begin_request(self) -> None:
        self.began += 1

    def receive_head(self, head: Head) -> None:
        self._head, self._body = head, b""

    def receive_body(self, data: bytes) -> None:
        self._body += data

    def end_request(self) -> None:
        assert self._head is not None
        head = self._head
        self.ended += 1
        self.requests.append((head.method, head.target, dict(head.headers), self._body))


def parsed(*pieces: bytes, limits: ConnectionLimits = LIMITS) -> Recorder:
    recorder = Recorder()
    parser = RequestParser(recorder, limits)
    for piece in pieces:
        parser.feed(piece)
    return recorder


def refusal(*pieces: bytes) -> FanoutError:
    with pytest.raises(FanoutError) as raised:
        parsed(*pieces)
    return raised.value


STREAMS: dict[str, tuple[bytes, list[tuple[str, bytes, bytes]]]] = {
    "a body": (
        b"POST /a HTTP/1.1\r\n" + HOST + b"content-length: 3\r\n\r\nabc",
        [("POST", b"/a", b"abc")],
    ),
    "chunks": (
        b"POST /a HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"
        b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\nauthorization: Bearer x\r\nhost: y\r\n\r\n",
        [("POST", b"/a", b"abc")],
    ),
    "two requests": (
        b"GET /a HTTP/1.1\r\n" + HOST + b"\r\nGET /b HTTP/1.1\r\n" + HOST + b"\r\n",
        [("GET", b"/a", b""), ("GET", b"/b", b"")],
    ),
    "a body behind an upgrade that is a request itself": (
        b"POST /a HTTP/1.1\r\n" + HOST
        + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
        + b"content-length: 30\r\n\r\n"
        + b"GET /evil HTTP/1.1\r\nhost: x\r\n\r\n"[:30]
        + b"GET /b HTTP/1.1\r\n" + HOST + b"\r\n",
        [("POST", b"/a", b"GET /evil HTTP/1.1\r\nhost: x\r\n\r\n"[:30]), ("GET", b"/b", b"")],
    ),
    "an upgrade with chunks, twice": (
        (
            b"POST /a HTTP/1.1\r\n" + HOST + b"connection: upgrade\r\nupgrade: websocket\r\n"
            b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        * 2,
        [("POST", b"/a", b"abc")] * 2,
    ),
    "an upgrade without a body": (
        b"GET /a HTTP/1.1\r\n" + HOST + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n"
        b"GET /b HTTP/1.1\r\n" + HOST + b"\r\n",
        [("GET", b"/a", b""), ("GET", b"/b", b"")],
    ),
    "empty lines before a request": (
        b"\r\n\r\nGET /a HTTP/1.1\r\n" + HOST + b"\r\n",
        [("GET", b"/a", b"")],
    ),
    "HTTP/1.0 without a host": (b"GET /a HTTP/1.0\r\n\r\n", [("GET", b"/a", b"")]),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_requests_are_the_same_however_their_bytes_are_cut(
    stream: bytes, expected: list[tuple[str, bytes, bytes]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for given_pieces in (pieces, [bytes([byte]) for byte in stream]):
        found = parsed(*given_pieces)
        assert [(method, path, body) for method, path, _, body in found.requests] == expected
        assert found.began == found.ended == len(expected)


def test_an_upgrade_leaves_the_other_headers_and_the_rest_of_connection() -> None:
    head = (
        b"GET /a HTTP/1.1\r\n"
        + HOST
        + b"connection: keep-alive, Upgrade\r\nupgrade: h2c\r\nx: y\r\n"
    )
    ((_, _, headers, _),) = parsed(head + b"\r\n").requests
    assert headers == {b"host": b"x", b"x": b"y", b"connection": b"keep-alive"}


def test_trailers_are_no_headers() -> None:
    ((_, _, headers, _),) = parsed(STREAMS["chunks"][0]).requests
    assert headers == {b"host": b"x", b"transfer-encoding": b"chunked"}


CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"

AMBIGUOUS = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "a host that is none": b"GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nhost: a@b\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\n" + HOST
    + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunks and a length": b"POST / HTTP/1.1\r\n" + HOST
    + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST
    + b"content-length: 3\r\ncontent-length: 4\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: -3\r\n\r\n",
    "a length with a sign": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: +3\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "chunks that are not last": b"POST / HTTP/1.1\r\n" + HOST
    + b"transfer-encoding: chunked, identity\r\n\r\n",
    "chunks twice": b"POST / HTTP/1.1\r\n" + HOST
    + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"0x3\r\nabc\r\n",
    "a chunk that is too long": CHUNKED + b"3\r\nabcd\r\n",
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"x: y\r\n z\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
    "a line that ends with LF": b"GET / HTTP/1.1\nhost: x\n\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "CONNECT": b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an upgrade that is also ambiguous": b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\n"
    b"connection: upgrade\r\nupgrade: h2c\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_two_servers_could_read_differently_is_rejected(data: bytes) -> None:
    assert refusal(data).status == 400
    assert refusal(*(bytes([byte]) for byte in data)).status == 400


KIB = 1024
TOO_MUCH = {
    "a header without end": (b"GET / HTTP/1.1\r\nx: ", b"y" * KIB),
    "headers without end": (b"GET / HTTP/1.1\r\n", b"x: y\r\n"),
    "a path without end": (b"GET /", b"y" * KIB),
    "empty lines without end": (b"", b"\r\n" * KIB),
    "trailers without end": (CHUNKED + b"0\r\n", b"x: y\r\n"),
    "a trailer without end": (CHUNKED + b"0\r\nx: ", b"y" * KIB),
    "an extension without end": (CHUNKED + b"3;", b"y" * KIB),
    "a chunk size without end": (CHUNKED, b"0" * KIB),
    "small chunks with extensions": (CHUNKED, b"1;xxxxxxxxxxxxxxxxxxxxxxxx=y\r\nz\r\n"),
}


@pytest.mark.parametrize(("begin", "on"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_not_content_is_bounded(begin: bytes, on: bytes) -> None:
    parser = RequestParser(Recorder(), LIMITS)
    parser.feed(begin)
    assert fed_before_refusal(parser, on) < 256 * KIB


def fed_before_refusal(parser: RequestParser, data: bytes) -> int:
    """How many bytes the parser takes of data that is repeated without end."""
    for count in range(10_000_000 // len(data)):
        try:
            parser.feed(data)
        except FanoutError:
            return count * len(data)
    return 10_000_000


def test_small_chunks_of_a_big_body_are_accepted() -> None:
    ((_, _, _, body),) = parsed(CHUNKED, *([b"1\r\nx\r\n"] * 100_000), b"0\r\n\r\n").requests
    assert len(body) == 100_000


@pytest.mark.parametrize(("count", "is_accepted"), [(255, True), (256, False)])
def test_headers_are_counted(count: int, *, is_accepted: bool) -> None:
    data = b"GET / HTTP/1.1\r\n" + HOST + b"x: y\r\n" * count + b"\r\n"
    if is_accepted:
        assert len(parsed(data).requests) == 1
    else:
        assert refusal(data).status == 431


def test_the_receiver_can_stop_the_parser_between_two_requests() -> None:
    class OnlyOne(Recorder):
        def begin_request(self) -> None:
            super().begin_request()
            if self.began > 1:
                raise StopParsing

    recorder = OnlyOne()
    with pytest.raises(StopParsing):
        RequestParser(recorder, LIMITS).feed((b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 10_000)
    assert (recorder.began, recorder.ended) == (2, 1)
