"""What goes wrong below HTTP, over real sockets: always in the engine's three words."""

from __future__ import annotations

import asyncio
import socket

import pytest
import trustme

from fanout.transport.engine import (
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Outgoing,
    SlowConnect,
)
from tests.support.provider_steps import answers, cut, hang, head, raw, reset
from tests.support.scripted_provider import Script, Upstream, open_upstream
from tests.transport.origins import Way, both_ways, engine, outgoing, serve_tls


async def fault(
    way: Way, request: Outgoing, ca: trustme.CA | None = None, connect_timeout: float = 5.0
) -> type[EngineError]:
    """What kind of error the request ends with, and soon."""
    async with engine(ca, connect_timeout=connect_timeout) as made, asyncio.timeout(10):
        with pytest.raises(EngineError) as caught:
            await way(made, request)
    assert "127.0.0.1" not in str(caught.value)
    return caught.type


def to(url: str) -> Outgoing:
    return Outgoing("POST", url, {}, b"{}")


@both_ways
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_closed_port_is_no_connection(way: Way, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert asyncio.run(fault(way, to(f"{scheme}://127.0.0.1:{port}/"))) is ConnectFailed


@both_ways
@pytest.mark.parametrize(
    "url",
    [
        "http://nowhere.invalid/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://a b/",
    ],
)
def test_an_address_that_leads_nowhere_is_no_connection(way: Way, url: str) -> None:
    assert asyncio.run(fault(way, to(url))) is ConnectFailed


@both_ways
def test_a_header_that_http_cannot_say_is_not_shown(way: Way, plain: Upstream) -> None:
    request = Outgoing("POST", plain.url, {"authorization": "Bearer marker\n"}, b"{}")
    assert asyncio.run(fault(way, request)) is ConnectFailed
    assert plain.connections == 0


@both_ways
def test_a_certificate_that_is_not_trusted_is_no_connection(way: Way, http1: Upstream) -> None:
    assert asyncio.run(fault(way, outgoing(http1, "a"))) is ConnectFailed
    assert not http1.calls


@both_ways
def test_a_certificate_for_another_name_is_no_connection(way: Way, ca: trustme.CA) -> None:
    with open_upstream(serve_tls(ca, name="elsewhere.test")) as upstream:
        assert asyncio.run(fault(way, outgoing(upstream, "a"), ca)) is ConnectFailed
        assert not upstream.calls


@both_ways
def test_a_server_that_never_shakes_hands_is_slow(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert asyncio.run(fault(way, to(url), connect_timeout=0.2)) is SlowConnect


BROKEN: dict[str, Script] = {
    "a cut before the head": [cut],
    "a reset": [reset],
    "another protocol": [raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), cut],
    "a body too short": [raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort"), cut],
    "half a chunk": [raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nx"), cut],
    "what is no chunk": [raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), hang],
    "a head without end": [raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000), hang],
    "gzip that is none": [raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nno"), cut],
}


@both_ways
@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_what_breaks_or_is_not_http_is_a_connection_lost(
    way: Way, plain: Upstream, script: Script
) -> None:
    plain.script("a", script)
    assert asyncio.run(fault(way, outgoing(plain, "a"))) is ConnectionLost
    assert len(plain.calls) == 1  # a server may have begun to work on it


@both_ways
def test_over_http_2_too(way: Way, http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", answers(), [head, cut])

    async def run() -> None:
        async with engine(ca) as made:
            await made.send(outgoing(http2, "a"))
            with pytest.raises(ConnectionLost):
                await way(made, outgoing(http2, "a", stream=True))

    asyncio.run(run())
    assert len(http2.calls) == 2
