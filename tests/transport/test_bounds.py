"""An answer without end, or with too much in it, is given up: packed or not, plain or streamed."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
import trustme

from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import TooLong
from fanout.transport.response_reading import ENOUGH, SMALL, WholeReads
from tests.support.provider_steps import answers, hang, raw, reply
from tests.support.scripted_provider import Call, Script, Upstream
from tests.transport.origins import outgoing

LIMIT = 100_000
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def endless(call: Call) -> None:
    """Spaces in chunks, until the caller has enough."""
    while True:
        call.writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
        await call.writer.drain()


def packed(encoding: str) -> Script:
    """A hundred times the limit, which is little on the wire."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    return [reply(200, pack(b" " * 100 * LIMIT), {"content-encoding": encoding})]


UNENDED: Script = [raw(CHUNKED + b"%x\r\n" % (2 * LIMIT) + b" " * 2 * LIMIT + b"\r\n"), hang]

TOO_MUCH: dict[str, Script] = {
    "a length announced": [raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n"), endless],
    "no length": [raw(CHUNKED), endless],
    "a gzip bomb": packed("gzip"),
    "an error": [raw(CHUNKED.replace(b"200", b"500")), endless],
}


@pytest.mark.parametrize("script", TOO_MUCH.values(), ids=TOO_MUCH)
def test_no_more_is_held_than_the_limit_and_the_connection_is_closed(
    plain: Upstream, script: Script
) -> None:
    plain.script("a", script)

    async def run() -> None:
        engine = PyqwestEngine(max_answer=LIMIT)
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
        engine = PyqwestEngine(max_answer=LIMIT, ca_pem=ca.cert_pem.bytes())
        try:
            with pytest.raises(TooLong):
                await engine.send(outgoing(http2, "a"))
        finally:
            await engine.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["plain", "http1", "http2"])
def test_an_origin_that_gave_too_much_has_to_earn_its_trust_again(
    kind: str, ca: trustme.CA, request: pytest.FixtureRequest
) -> None:
    """Small answers are read in one go, and the first big one is known when it is there."""
    upstream: Upstream = request.getfixturevalue(kind)
    upstream.script("small", [reply(200, b"x")])
    upstream.script("big", [reply(200, b"x" * (LIMIT + 1))])
    upstream.script("unended", UNENDED)

    async def run() -> None:
        engine = PyqwestEngine(max_answer=LIMIT, ca_pem=ca.cert_pem.bytes())
        try:
            for _ in range(ENOUGH):
                assert (await engine.send(outgoing(upstream, "small"))).body == b"x"
            with pytest.raises(TooLong):
                await engine.send(outgoing(upstream, "big"))
            for _ in range(ENOUGH - 1):
                assert (await engine.send(outgoing(upstream, "small"))).body == b"x"
            if kind != "http2":
                with pytest.raises(TooLong):
                    await engine.send(outgoing(upstream, "unended"))
                await asyncio.to_thread(upstream.wait_disconnected, "unended")
            with pytest.raises(TooLong):
                await engine.send(outgoing(upstream, "big"))
        finally:
            await engine.aclose()

    asyncio.run(run())


def test_who_speaks_http_1_behind_tls_is_not_trusted_at_once(
    http1: Upstream, ca: trustme.CA
) -> None:
    http1.script("unended", UNENDED)

    async def run() -> None:
        engine = PyqwestEngine(max_answer=LIMIT, ca_pem=ca.cert_pem.bytes())
        try:
            with pytest.raises(TooLong):
                await engine.send(outgoing(http1, "unended"))
        finally:
            await engine.aclose()

    asyncio.run(run())


def test_trust_is_earned_by_small_answers_in_a_row() -> None:
    trust = WholeReads()
    for _ in range(ENOUGH - 1):
        trust.note(SMALL)
    trust.note(SMALL + 1)
    for _ in range(ENOUGH - 1):
        trust.note(0)
    assert not trust.is_earned
    trust.note(0)
    assert trust.is_earned
    trust.lose()
    assert not trust.is_earned


def test_what_is_just_within_the_limit_comes_whole(plain: Upstream) -> None:
    plain.script("a", [reply(200, b"x" * LIMIT)])

    async def run() -> bytes:
        engine = PyqwestEngine(max_answer=LIMIT)
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
    assert plain.connections <= 3  # one may be asked for before the last has been put back


def test_who_leaves_in_the_middle_of_a_body_closes_it(plain: Upstream) -> None:
    plain.script("a", [raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), hang])

    async def run() -> None:
        engine = PyqwestEngine()
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await engine.send(outgoing(plain, "a"))
            await asyncio.to_thread(plain.wait_disconnected, "a")
        finally:
            await engine.aclose()

    asyncio.run(run())
