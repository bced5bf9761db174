"""Failures below HTTP, over real sockets, raise one of the three engine errors."""

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
    connect_failed,
)
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, cut, hang, head, raw, reset
from tests.support.scripted_provider import Script, Upstream, open_upstream
from tests.transport.engine_calls import SendWay, each_way, engine, outgoing, serve_tls


async def raised_by(
    way: SendWay, request: Outgoing, ca: trustme.CA | None = None, connect_timeout: float = 5.0
) -> type[EngineError]:
    """The type of the error that the request raises, within `PATIENCE`."""
    async with engine(ca, connect_timeout=connect_timeout) as made, asyncio.timeout(PATIENCE):
        with pytest.raises(EngineError) as caught:
            await way(made, request)
    assert "127.0.0.1" not in str(caught.value)
    return caught.type


def post_to(url: str) -> Outgoing:
    return Outgoing("POST", url, {}, b"{}")


@each_way
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_closed_port_is_no_connection(way: SendWay, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert asyncio.run(raised_by(way, post_to(f"{scheme}://127.0.0.1:{port}/"))) is ConnectFailed


@each_way
@pytest.mark.parametrize(
    "url",
    [
        "http://nowhere.invalid/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://a b/",
    ],
)
def test_an_invalid_or_unknown_address_is_no_connection(way: SendWay, url: str) -> None:
    assert asyncio.run(raised_by(way, post_to(url))) is ConnectFailed


@each_way
def test_the_value_of_an_invalid_header_is_not_shown(way: SendWay, plain: Upstream) -> None:
    request = Outgoing("POST", plain.url, {"authorization": "Bearer marker\n"}, b"{}")
    assert asyncio.run(raised_by(way, request)) is ConnectFailed
    assert plain.connections == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("invalid peer certificate: UnknownIssuer", "its TLS certificate is not trusted"),
        ("certificate verify failed: self-signed", "its TLS certificate is not trusted"),
        ("certificate not valid for name b", "its TLS certificate is for another name"),
        ("Hostname mismatch, certificate is not valid for 'b'", "is for another name"),
        ("invalid peer certificate: Expired", "its TLS certificate has expired"),
        ("received fatal alert: CertificateRequired", "it requires a client certificate"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "it requires a client certificate"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "it rejects the client certificate, or requires one"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "it rejects the client certificate, or requires one"),
        ("dns error: failed to lookup address", "its host name cannot be resolved"),
        ("[Errno -2] Name or service not known", "its host name cannot be resolved"),
        ("tcp connect error: Connection refused", "the connection was refused"),
        ("something else at 10.0.0.1", ""),
    ],
)
def test_the_reason_for_no_connection_is_in_our_words(text: str, reason: str) -> None:
    found = connect_failed(text)
    assert reason in found.reason
    assert str(found) == "no connection"
    assert bool(found.reason) == bool(reason)


@each_way
def test_a_certificate_that_is_not_trusted_is_no_connection(way: SendWay, http1: Upstream) -> None:
    assert asyncio.run(raised_by(way, outgoing(http1, "a"))) is ConnectFailed
    assert not http1.calls


@each_way
def test_a_certificate_for_another_name_is_no_connection(way: SendWay, ca: trustme.CA) -> None:
    with open_upstream(serve_tls(ca, name="elsewhere.test")) as upstream:
        assert asyncio.run(raised_by(way, outgoing(upstream, "a"), ca)) is ConnectFailed
        assert not upstream.calls


@each_way
def test_a_tls_handshake_that_never_ends_is_a_slow_connect(way: SendWay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert asyncio.run(raised_by(way, post_to(url), connect_timeout=0.2)) is SlowConnect


BROKEN: dict[str, Script] = {
    "a cut before the headers": [cut],
    "a reset": [reset],
    "another protocol": [raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), cut],
    "a body too short": [raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort"), cut],
    "half a chunk": [raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nx"), cut],
    "an invalid chunk": [raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), hang],
    "endless headers": [raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000), hang],
    "invalid gzip": [raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nno"), cut],
}


@each_way
@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_broken_or_invalid_response_is_a_lost_connection(
    way: SendWay, plain: Upstream, script: Script
) -> None:
    plain.script("a", script)
    assert asyncio.run(raised_by(way, outgoing(plain, "a"))) is ConnectionLost
    assert len(plain.calls) == 1  # the server may have received the request


@each_way
def test_over_http_2_too(way: SendWay, http2: Upstream, ca: trustme.CA) -> None:
    http2.script("a", answers(), [head, cut])

    async def run() -> None:
        async with engine(ca) as made:
            await made.send(outgoing(http2, "a"))
            with pytest.raises(ConnectionLost):
                await way(made, outgoing(http2, "a", stream=True))

    asyncio.run(run())
    assert len(http2.calls) == 2
