"""Requests to addresses that clients choose reach public addresses only, and one address only."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial

import pytest
import trustme

from fanout.transport.address_rules import AddressRules
from fanout.transport.engine import Outgoing
from fanout.transport.public_post import PostFailed, Resolve, post
from tests.support.webhook_receiver import open_receiver

OWN = AddressRules(loopback=True)


def request(url: str) -> Outgoing:
    return Outgoing("POST", url, {"x-a": "b"}, b"{}")


def resolves(*addresses: str) -> Resolve:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def send(
    url: str,
    rules: AddressRules,
    *addresses: str,
    context: ssl.SSLContext | None = None,
) -> int:
    sending = partial(post, resolve=resolves(*addresses), context=context)
    return asyncio.run(sending(request(url), rules))


def test_no_address_of_a_private_network_is_called() -> None:
    private = (
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0",  # noqa: S104
        "224.0.0.1", "255.255.255.255", "fd00:ec2::254", "fe80::1", "::", "ff02::1",
        "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "2001:db8::1",
    )  # fmt: skip
    own = ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1")
    public = ("93.184.215.14", "2606:2800:220:1::1", "64:ff9b::5db8:d822")
    default, everything = AddressRules(), AddressRules(private=True, loopback=True)
    for address in (*private, *own):
        assert not default.allows(address), address
        assert everything.allows(address), address
        with pytest.raises(PostFailed, match="not a public one"):
            send("http://hooks.test/x", default, "93.184.215.14", address)
    assert [address for address in public if not default.allows(address)] == []
    assert [address for address in own if not OWN.allows(address)] == []
    assert [address for address in private if OWN.allows(address)] == []


def test_a_redirect_is_a_status_and_is_not_followed() -> None:
    with open_receiver() as receiver:
        receiver.statuses = [302, 204]
        for status in (302, 204):
            url = f"http://hooks.test:{receiver.server_port}/x?y=1"
            assert send(url, OWN, "127.0.0.1") == status
        ((path, headers, body), _) = receiver.requests
    assert (path, headers["host"], headers["x-a"], body) == (
        "/x?y=1",
        f"hooks.test:{receiver.server_port}",
        "b",
        b"{}",
    )


def test_the_certificate_is_that_of_the_name_although_the_address_is_pinned() -> None:
    ca = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("hooks.test").configure_cert(server)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    with open_receiver(server) as receiver:
        port = receiver.server_port
        url = f"https://hooks.test:{port}/"
        assert send(url, OWN, "127.0.0.1", context=trusting) == 200
        for other, context in (
            (f"https://other.test:{port}/", trusting),
            (url, ssl.create_default_context()),
        ):
            with pytest.raises(PostFailed, match="the certificate is not valid"):
                send(other, OWN, "127.0.0.1", context=context)
        assert len(receiver.requests) == 1


def test_what_is_no_response_is_a_short_error() -> None:
    async def respond(data: bytes) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(data)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            try:
                return str(await post(request(f"http://127.0.0.1:{port}/"), OWN))
            except PostFailed as error:
                return str(error)

    cases = {
        b"": "the connection was closed without a response",
        b"hello\r\n\r\n": "the response is not HTTP",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000: "the response's headers are too large",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 OK\r\ncontent-length: 9\r\n\r\n": "202",
    }
    for data, said in cases.items():
        assert asyncio.run(respond(data)) == said
    with pytest.raises(PostFailed, match="no connection"):
        send("http://127.0.0.1:9/", OWN, "127.0.0.1")
