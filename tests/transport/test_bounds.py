"""Reading stops at the size limit: of endless, large and compressed responses."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
import trustme

from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import Bounded, TooLong
from tests.support.provider_steps import answers, hang, raw, reply
from tests.support.scripted_provider import Call, Script, Upstream
from tests.transport.engine_calls import outgoing

LIMIT = 100_000
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def endless(call: Call) -> None:
    """Spaces in chunks, until the client closes the connection."""
    while True:
        call.writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
        await call.writer.drain()


def compressed(encoding: str) -> Script:
    """A body of a hundred times the limit, compressed to a few kilobytes."""
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    return [reply(200, compress(b" " * 100 * LIMIT), {"content-encoding": encoding})]


UNFINISHED: Script = [raw(CHUNKED + b"%x\r\n" % (2 * LIMIT) + b" " * 2 * LIMIT + b"\r\n"), hang]

TOO_LARGE: dict[str, Script] = {
    "a length announced": [raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n"), endless],
    "no length": [raw(CHUNKED), endless],
    "a gzip bomb": compressed("gzip"),
    "an error": [raw(CHUNKED.replace(b"200", b"500")), endless],
}


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_reading_stops_at_the_limit_and_the_connection_is_closed(
    plain: Upstream, script: Script
) -> None:
    plain.script("a", script)

    async def run() -> None:
        engine = PyqwestEngine(max_response_bytes=LIMIT)
        try:
            with pytest.raises(TooLong):
                await engine.send(outgoing(plain, "a"))
            if script[-1] is endless:
                await asyncio.to_thread(plain.wait_disconnected, "a")
        finally:
            await engine.aclose()

    asyncio.run(run())


def test_over_http_2_too(http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", [reply(200, b" " * (LIMIT + 1))])

    async def run() -> None:
        engine = PyqwestEngine(max_response_bytes=LIMIT, ca_pem=ca.cert_pem.bytes())
        try:
            with pytest.raises(TooLong):
                await engine.send(outgoing(http2, "a"))
        finally:
            await engine.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["plain", "http1", "http2"])
def test_earlier_small_responses_change_nothing(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("small", [reply(200, b"x")])
    upstream.script("big", [reply(200, b"x" * (LIMIT + 1))])
    upstream.script("packed", compressed("gzip"))
    upstream.script("unfinished", UNFINISHED)

    async def run() -> None:
        engine = PyqwestEngine(max_response_bytes=LIMIT, ca_pem=ca.cert_pem.bytes())
        try:
            for _ in range(30):
                assert (await engine.send(outgoing(upstream, "small"))).body == b"x"
            for model in ("big", "packed", *(["unfinished"] if kind != "http2" else [])):
                with pytest.raises(TooLong):
                    await engine.send(outgoing(upstream, model))
            if kind != "http2":
                await asyncio.to_thread(upstream.wait_disconnected, "unfinished")
        finally:
            await engine.aclose()

    asyncio.run(run())


def test_a_response_of_exactly_the_limit_is_read(plain: Upstream) -> None:
    plain.script("a", [reply(200, b"x" * LIMIT)])

    async def run() -> bytes:
        engine = PyqwestEngine(max_response_bytes=LIMIT)
        try:
            return (await engine.send(outgoing(plain, "a"))).body
        finally:
            await engine.aclose()

    assert asyncio.run(run()) == b"x" * LIMIT


def test_a_connection_is_used_again_after_a_body_of_known_length(plain: Upstream) -> None:
    plain.script("a", answers("Hello"))

    async def run() -> None:
        engine = PyqwestEngine()
        try:
            for _ in range(10):
                assert (await engine.send(outgoing(plain, "a"))).status == 200
        finally:
            await engine.aclose()

    asyncio.run(run())
    assert plain.connections <= 3  # one may be opened before the last is back in the pool


def test_cancelling_in_the_middle_of_a_body_closes_the_connection(plain: Upstream) -> None:
    plain.script("a", [raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), hang])

    async def run() -> None:
        engine = PyqwestEngine()
        try:
            sending = asyncio.ensure_future(engine.send(outgoing(plain, "a")))
            await asyncio.to_thread(plain.wait_called, "a")
            sending.cancel()
            await asyncio.wait([sending])
            assert sending.cancelled()
            await asyncio.to_thread(plain.wait_disconnected, "a")
        finally:
            await engine.aclose()

    asyncio.run(run())


def test_what_was_read_of_an_oversized_body_is_dropped() -> None:
    """The error's traceback refers to the body until Python collects its garbage."""
    body = Bounded(LIMIT)
    body.add(b"x" * LIMIT)
    assert body.whole() == b"x" * LIMIT
    with pytest.raises(TooLong):
        body.add(b"x")
    assert body.whole() == b""
