"""The client for servers without TLS: requests and responses as bytes, without sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import finalize

import pytest

from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import (
    Bounded,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Outgoing,
    TooLong,
)
from fanout.transport.http1_client import HTTP1Client, address_of, head_of
from fanout.transport.http1_connection import MAX_QUEUED, Connection
from fanout.transport.unpacking import MAX_EXCESS, Unpacker
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, end, hang, head, role, say
from tests.support.scripted_provider import Upstream, open_upstream
from tests.transport.engine_calls import engine, outgoing, send_streamed

SHARED = Path(__file__).parents[2] / "shared"


class Wire(asyncio.Transport):
    """A transport without a socket; keeps what is written, and whether the client reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = self.is_paused = False
        self._socket = socket.socket()  # no test of this file asks whether it has input
        finalize(self, self._socket.close)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


def connection(body: Bounded | None) -> tuple[Connection, Wire]:
    """A connection that has sent a request."""
    made, wire = Connection(), Wire()
    made.connection_made(wire)
    made.send(b"POST / HTTP/1.1\r\n\r\n", b"{}", body)
    return made, wire


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


HELLO = b"Hello"
PACKED = gzip.compress(HELLO)
MEMBERS = gzip.compress(b"Hel") + gzip.compress(b"") + gzip.compress(b"lo")
DEFLATED = zlib.compress(HELLO)
OK = b"HTTP/1.1 200 OK\r\n"
HEAD = OK + b"content-length: 5\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n"

# A response, and whether its connection may be used again.
RESPONSES: dict[str, tuple[bytes, bool]] = {
    "a length": (HEAD + b"\r\nHello", True),
    "chunks": (CHUNKED + b"\r\n2\r\nHe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", True),
    "trailers": (CHUNKED + b"\r\n5\r\nHello\r\n0\r\ncontent-type: evil\r\n\r\n", True),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + HEAD + b"\r\nHello", True),
    "a 100": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + HEAD + b"\r\nHello", True),
    "a close": (HEAD + b"connection: close\r\n\r\nHello", False),
    "HTTP/1.0": (HEAD.replace(b"1.1", b"1.0") + b"\r\nHello", False),
    "gzip": (
        OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(PACKED) + PACKED,
        True,
    ),
    "deflate in chunks": (
        CHUNKED
        + b"content-encoding: deflate\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(DEFLATED), DEFLATED),
        True,
    ),
    "two gzip members": (
        OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(MEMBERS) + MEMBERS,
        True,
    ),
    "lines without CR": (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nHello", True),
    "the same length twice": (HEAD + b"Content-Length: 5\r\n\r\nHello", True),
    "the same length twice in a line": (OK + b"content-length: 5, 5\r\n\r\nHello", True),
    "the same length twice, without CR": (
        HEAD.replace(b"\r", b"") + b"content-length: 5\n\nHello",
        True,
    ),
    "the same length twice after a 100": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length:5\r\n\r\nHello",
        True,
    ),
    "a blank before a colon": (OK + b"content-type : a\r\nContent-Length : 5\r\n\r\nHello", True),
    "a length beside chunks": (
        CHUNKED + b"content-length: 3\r\n\r\n5\r\nHello\r\n0\r\n\r\n",
        False,
    ),
    "chunks beside a length": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n",
        False,
    ),
    "blanks after a chunk's size": (CHUNKED + b"\r\n5  \r\nHello\r\n0 \r\n\r\n", True),
    "quoted chunk extensions": (CHUNKED + b'\r\n5;a="b\\"; c";d\r\nHello\r\n0\r\n\r\n', True),
    **{
        name: (CHUNKED + b"\r\n" + body, False)
        for name, body in {
            "LF behind sizes": b"5\nHello\r\n0\n\r\n",
            "LF only": b"2\nHe\n3\nllo\n0\n\n",
            "LF and trailers": b"5\nHello\n0\nx: y\nz: 5\n\n",
            "a blank after a semicolon": b"5; a=b\r\nHello\r\n0\r\n\r\n",
            "blanks around one": b"2 ; a=b\r\nHe\r\n3\t;\ta\r\nllo\r\n0 ;\r\n\r\n",
            "blanks around =": b"5;a = b\r\nHello\r\n0\r\n\r\n",
            "a blank after an extension": b'5;a="b;c" \r\nHello\r\n0\r\n\r\n',
            "an extension without a name": b"5;\r\nHello\r\n0\r\n\r\n",
            "bytes after the body": b"5; a\r\nHello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        }.items()
    },
    "odd chunks after a 100": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"\r\n5\nHello\n0\n\n",
        False,
    ),
    "odd chunks of gzip": (
        CHUNKED + b"content-encoding: gzip\r\n\r\n%x; a\r\n%s\r\n0\r\n\r\n" % (len(PACKED), PACKED),
        False,
    ),
    "capitals": (
        b"HTTP/1.1 200\r\nContent-Length: 5\r\nContent-Type: a\r\n\r\nHello",
        True,
    ),
}


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize(("data", "is_reusable"), RESPONSES.values(), ids=RESPONSES)
def test_a_response_is_the_same_however_its_bytes_are_cut(
    data: bytes, is_reusable: object, size: int
) -> None:
    async def run() -> None:
        body = Bounded(100)
        made, wire = connection(body)
        for part in pieces(data, size):
            made.data_received(part)
        await made.wait_for_end()
        assert (made.status, body.whole()) == (200, HELLO)
        assert made.headers.get("content-type", "a") == "a"  # never a trailer's
        assert "link" not in made.headers
        assert (made.is_reusable, wire.is_aborted) == (is_reusable, False)

    asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("data", [data for data, _ in RESPONSES.values()], ids=RESPONSES)
def test_a_streamed_response_too(data: bytes, size: int) -> None:
    async def run() -> None:
        made, _ = connection(None)
        for part in pieces(data, size):
            made.data_received(part)
        await made.wait_for_head()
        assert made.status == 200
        assert b"".join([part async for part in made.parts()]) == HELLO

    asyncio.run(run())


@pytest.mark.parametrize("limit", [100, None])
def test_a_body_without_a_length_ends_with_its_connection(limit: int | None) -> None:
    async def run() -> None:
        body = None if limit is None else Bounded(limit)
        made, _ = connection(body)
        made.data_received(OK + b"\r\nHel")
        made.data_received(b"lo")
        made.eof_received()
        if body is None:
            assert b"".join([part async for part in made.parts()]) == HELLO
        else:
            await made.wait_for_end()
            assert body.whole() == HELLO
        assert not made.is_reusable

    asyncio.run(run())


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_ends_with_its_head(status: int) -> None:
    async def run() -> None:
        body = Bounded(100)
        made, _ = connection(body)
        made.data_received(b"HTTP/1.1 %d No\r\n\r\n" % status)
        await made.wait_for_end()
        assert (made.status, body.whole(), made.is_reusable) == (status, b"", True)

    asyncio.run(run())


INVALID: dict[str, tuple[bytes, type[EngineError]]] = {
    "another protocol": (b"SSH-2.0\r\n\r\n", ConnectionLost),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", ConnectionLost),
    "HTTP/2.0": (HEAD.replace(b"1.1", b"2.0") + b"\r\nHello", ConnectionLost),
    "HTTP/0.9": (HEAD.replace(b"1.1", b"0.9") + b"\r\nHello", ConnectionLost),
    "two lengths": (HEAD + b"content-length: 6\r\n\r\nHello", ConnectionLost),
    "two lengths in a line": (OK + b"content-length: 5, 6\r\n\r\nHello", ConnectionLost),
    "a length twice, and another error": (HEAD * 2 + b"\r\nHello", ConnectionLost),
    "a length twice in a head without end": (
        HEAD + b"content-length: 5\r\n" + b"x: y\r\n" * 20_000,
        ConnectionLost,
    ),
    "an upgrade": (
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        ConnectionLost,
    ),
    "interim responses without end": (b"HTTP/1.1 102 P\r\n\r\n" * 5_000, ConnectionLost),
    "many headers": (OK + b"x: y\r\n" * 300, ConnectionLost),
    "a long header": (OK + b"x: " + b"y" * 70_000, ConnectionLost),
    "trailers without end": (
        CHUNKED + b"\r\n1\r\nH\r\n0\r\n" + b"x: y\r\n" * 20_000,
        ConnectionLost,
    ),
    "a long chunk extension": (CHUNKED + b"\r\n1;" + b"x" * 70_000, ConnectionLost),
    "a long line of an odd chunk": (CHUNKED + b"\r\n1; " + b"x" * 70_000, ConnectionLost),
    "trailers of odd chunks without end": (
        CHUNKED + b"\r\n1\nH\n0\n" + b"x: y\n" * 20_000,
        ConnectionLost,
    ),
    "too long a body in odd chunks": (CHUNKED + b"\r\n65\n" + b" " * 0x65, TooLong),
    "an odd chunk with a longer body": (CHUNKED + b"\r\n1\nHello\n0\n\n", ConnectionLost),
    "odd chunks after others": (CHUNKED + b"\r\n1\r\nH\r\n1\nH\r\n0\r\n\r\n", ConnectionLost),
    "an odd size that is none": (CHUNKED + b"\r\n-1\nHello\n0\n\n", ConnectionLost),
    "an odd size of many digits": (
        CHUNKED + b"\r\n0000000000000001\nH\n0\n\n",
        ConnectionLost,
    ),
    "an odd size with a prefix": (CHUNKED + b"\r\n0x1\nH\n0\n\n", ConnectionLost),
    "an odd chunk with a CR alone": (CHUNKED + b"\r\n1;a\rb\nH\n0\n\n", ConnectionLost),
    "too long a body": (CHUNKED + b"\r\n65\r\n" + b" " * 0x65, TooLong),
    "half of a gzip": (
        OK + b"content-encoding: gzip\r\ncontent-length: 12\r\n\r\n" + PACKED[:12],
        ConnectionLost,
    ),
}


def packed(body: bytes) -> bytes:
    """A response with this gzip body."""
    return OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body


INVALID |= {
    "more after a gzip": (packed(PACKED + b"\0" * 9), ConnectionLost),
    "empty gzip members": (packed(gzip.compress(b"") * 5_000), ConnectionLost),
}


@pytest.mark.parametrize("size", [999, 100_000])
@pytest.mark.parametrize(("data", "kind"), INVALID.values(), ids=INVALID)
def test_an_invalid_response_is_an_error_and_its_connection_is_closed(
    data: bytes, kind: type[EngineError], size: int
) -> None:
    async def run() -> None:
        made, wire = connection(Bounded(100))
        for part in pieces(data, size):
            made.data_received(part)
        with pytest.raises(kind):
            await made.wait_for_end()
        assert wire.is_aborted

    asyncio.run(run())


EMPTY = {
    "members": gzip.compress(b""),
    "blocks": b"\x00\x00\x00\xff\xff",  # RFC 1951, 3.2.4
    "blocks with a byte": b"\x00\x00\x00\xff\xff" * 20 + b"\x00\x01\x00\xfe\xffx",
}


@pytest.mark.parametrize("unit", EMPTY.values(), ids=EMPTY)
def test_compressed_bytes_that_unpack_to_too_little_are_bounded(unit: bytes) -> None:
    start = b"" if unit[0] else PACKED[:10]
    data = start + unit * (3 * MAX_EXCESS // len(unit))
    with pytest.raises(ConnectionLost, match="too little"):
        list(Unpacker().feed(data))


@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
def test_a_compressed_stream_may_be_flushed_after_each_byte(mode: int) -> None:
    packing, flushed = zlib.compressobj(wbits=31), b""
    for _ in range(4_000):
        flushed += packing.compress(b"ab") + packing.flush(mode)
        if mode == zlib.Z_FINISH:  # each part is a member
            packing = zlib.compressobj(wbits=31)
    unpacker = Unpacker()
    unpacked = [part for piece in pieces(flushed, 100_000) for part in unpacker.feed(piece)]
    assert b"".join(unpacked) == b"ab" * 4_000


def test_a_connection_that_is_not_read_any_more_is_not_kept() -> None:
    async def run() -> None:
        made, wire = connection(None)
        made.data_received(OK + b"content-length: 300000\r\n\r\n" + b"x" * 300_000)
        assert (made.is_complete, wire.is_paused, made.is_reusable) == (True, True, False)

    asyncio.run(run())


def test_a_second_response_spoils_the_connection_but_not_the_first_one() -> None:
    async def run() -> None:
        body = Bounded(100)
        made, wire = connection(body)
        made.data_received(2 * (HEAD + b"\r\nHello"))
        await made.wait_for_end()
        assert (body.whole(), made.is_reusable, wire.is_aborted) == (HELLO, False, True)

    asyncio.run(run())


def test_what_nobody_has_asked_for_closes_a_connection_that_is_kept() -> None:
    async def run() -> None:
        made, wire = connection(Bounded(100))
        made.data_received(HEAD + b"\r\nHello")
        made.set_idle(0.0, lambda _: None)
        made.data_received(HEAD + b"\r\nHello")
        assert (made.is_open, wire.is_aborted) == (False, True)

    asyncio.run(run())


def test_a_stream_that_is_not_read_fills_only_a_small_queue() -> None:
    async def run() -> None:
        made, wire = connection(None)
        made.data_received(OK + b"\r\n")
        sent = 0
        while not wire.is_paused:
            made.data_received(b"x" * 1_000)
            sent += 1_000
        assert sent <= MAX_QUEUED + 1_000
        read = 0
        async for part in made.parts():
            read += len(part)
            if not wire.is_paused:
                break
        assert read >= MAX_QUEUED // 2
        made.eof_received()

    asyncio.run(run())


# ---- requests ----

URLS: dict[str, tuple[str, int, str, str] | None] = {
    "http://127.0.0.1:8000/v1/chat": ("127.0.0.1", 8000, "127.0.0.1:8000", "/v1/chat"),
    "http://My_Model/v1?a=b&c=%20": ("my_model", 80, "my_model", "/v1?a=b&c=%20"),
    "http://h:80/": ("h", 80, "h", "/"),
    "http://[::1]:11434/api": ("::1", 11434, "[::1]:11434", "/api"),
    "https://h/": None,
    "http://h": None,
    "http://user:pass@h/": None,
    "http://h:99999/": None,
    "http://h/a b": None,
    "http://h/\r\nx: y": None,
    "http://h/ä": None,
    "http://ä/": None,
    "http://h/a/../b": None,
    "http://h/#a": None,
    "http://h/a\n": None,
}


@pytest.mark.parametrize(("url", "expected"), URLS.items())
def test_an_odd_address_is_left_to_pyqwest(
    url: str, expected: tuple[str, int, str, str] | None
) -> None:
    found = address_of(url)
    assert (found and (found.host, found.port, found.host_header, found.target)) == expected


def head_with(headers: dict[str, str], body: bytes = b"{}") -> list[str]:
    address = address_of("http://h:1/a")
    assert address is not None
    text = head_of(Outgoing("POST", "http://h:1/a", headers, body), address).decode()
    assert text.endswith("\r\n\r\n")
    return text.split("\r\n")[:-2]


def test_a_request_has_its_headers_and_one_length() -> None:
    lines = head_with(
        {"accept": "a", "Content-Length": "9", "transfer-encoding": "chunked", "connection": "x"}
    )
    assert lines == ["POST /a HTTP/1.1", "host: h:1", "accept: a", "content-length: 2"]
    assert head_with({"Host": "other"}, b"") == [
        "POST /a HTTP/1.1",
        "host: other",
        "content-length: 0",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"a": "b\r\nx: y"},
        {"a": "b\n"},
        {"a": "b\r"},
        {"a": "b\0"},
        {"a": "ä"},
        {"a b": "c"},
        {"": "c"},
        {"a:": "c"},
        {"a\r\nx": "c"},
        {"host": "h\r\nx: y"},
    ],
    ids=repr,
)
def test_a_header_that_http_cannot_carry_is_not_sent(headers: dict[str, str]) -> None:
    with pytest.raises(ConnectFailed, match="a header is not valid"):
        head_with(headers)


# ---- connections ----


def test_calls_one_after_the_other_share_a_connection(plain: Upstream) -> None:
    plain.script("a", answers("Hello"))
    plain.script("b", [role, say("Hello"), end])

    async def run() -> None:
        async with engine() as made:
            for _ in range(20):
                await made.send(outgoing(plain, "a"))
                await send_streamed(made, outgoing(plain, "b", stream=True))

    asyncio.run(run())
    assert (len(plain.calls), plain.connections) == (40, 1)


def test_only_so_many_connections_are_kept(plain: Upstream) -> None:
    plain.script("a", answers("Hello"))

    async def run() -> int:
        client = HTTP1Client(5.0, 3, 90.0)
        address = address_of(outgoing(plain, "a").url)
        assert address is not None
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(client.send(outgoing(plain, "a"), address, 10_000))
        kept = sum(map(len, client._idle.values()))
        await client.aclose()
        return kept

    assert asyncio.run(run()) <= 3


def test_unused_connections_are_closed() -> None:
    async def run() -> None:
        ended = asyncio.Event()

        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(HEAD + b"\r\nHello")
            with suppress(ConnectionError):
                await reader.read()
            ended.set()
            writer.close()

        async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            made = PyqwestEngine(idle_timeout=0.05)
            await made.send(Outgoing("POST", f"http://127.0.0.1:{port}/", {}, b"{}"))
            await ended.wait()
            await made.aclose()

    asyncio.run(run())


def test_an_engine_serves_one_loop_after_another() -> None:
    with open_upstream() as upstream:
        upstream.script("a", answers("Hello"))
        made = PyqwestEngine()
        for _ in range(3):
            assert asyncio.run(made.send(outgoing(upstream, "a"))).status == 200


CODE = """
import asyncio, sys, warnings
from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import Outgoing
async def main():
    engine = PyqwestEngine()
    await engine.send(Outgoing("POST", sys.argv[1], {}, b'{"model": "a"}'))
asyncio.run(main())
import gc; gc.collect()
print("pyqwest" in sys.modules)
"""


def test_an_engine_that_nobody_closes_leaves_no_warning_and_loads_no_pyqwest(
    plain: Upstream,
) -> None:
    plain.script("a", answers("Hello"))
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-W", "error", "-c", CODE, outgoing(plain, "a").url],
        capture_output=True, text=True, check=True, timeout=PATIENCE,
        env={"PYTHONPATH": str(SHARED)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_call_that_is_cancelled_while_its_head_is_awaited_closes_its_connection(
    plain: Upstream,
) -> None:
    plain.script("a", [hang])
    plain.script("b", [head, hang])

    async def run() -> None:
        async with engine() as made:
            for model in ("a", "b"):
                call = send_streamed(made, outgoing(plain, model, stream=True))
                sending = asyncio.ensure_future(call)
                await asyncio.to_thread(plain.wait_called, model)
                sending.cancel()
                await asyncio.wait([sending])
                assert sending.cancelled()
                await asyncio.to_thread(plain.wait_disconnected, model)

    asyncio.run(run())
