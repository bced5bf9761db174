"""
Sends a POST to an address that a client has chosen, and that must be a public one.

The name is resolved first, each address is checked, and the connection goes to the checked address:
the name cannot lead elsewhere meanwhile (DNS rebinding). Redirects are not followed and proxies are
not used. Of the response, only the status is read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

import httptools

from .address_rules import AddressRules
from .engine import Outgoing

POST_TIMEOUT = 15.0
"""Seconds for the whole exchange, as Standard Webhooks recommends."""

MAX_HEAD = 64 * 1024
"""Bytes that are read of a response without a status."""

READ_SIZE = 4_096
FIRST_FINAL = 200
"""The lowest status that is not a provisional one."""

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class PostFailed(Exception):
    """No response. The message has neither the address nor the body."""


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty, or too long
        raise OSError("no such host name") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def post(
    request: Outgoing,
    rules: AddressRules,
    *,
    resolve: Resolve = resolve_host,
    context: ssl.SSLContext | None = None,
) -> int:
    """Send the request and return the response's status; raises `PostFailed`."""
    parts = urlsplit(request.url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    tls = (context or await asyncio.to_thread(ssl.create_default_context)) if is_tls else None
    try:
        async with asyncio.timeout(POST_TIMEOUT):
            addresses = await resolve(host, port)
            if not addresses or not all(map(rules.allows, addresses)):
                raise PostFailed("the address is not a public one")
            reader, writer = await _connect(addresses, port, tls, host)
            try:
                writer.write(_head(parts, request) + request.body)
                return await _status(reader)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise PostFailed(f"no response within {POST_TIMEOUT:g} s") from None
    except ssl.SSLCertVerificationError:
        raise PostFailed("the certificate is not valid") from None
    except OSError:
        raise PostFailed("no connection") from None


async def _connect(
    addresses: Sequence[str], port: int, tls: ssl.SSLContext | None, host: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address that accepts it; the certificate is checked for the host."""
    name = host if tls else None
    for address in addresses[:-1]:
        with suppress(ConnectionError):
            return await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
    return await asyncio.open_connection(addresses[-1], port, ssl=tls, server_hostname=name)


def _head(parts: SplitResult, request: Outgoing) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "host": parts.netloc,
        **request.headers,
        "content-length": str(len(request.body)),
        "connection": "close",
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "\r\n"]).encode()


class _StatusReader:
    """What httptools calls; `status` is that of the response, once its headers are complete."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status: int | None = None

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= FIRST_FINAL and self.status is None:
            self.status = status


async def _status(reader: asyncio.StreamReader) -> int:
    found, size = _StatusReader(), 0
    while size < MAX_HEAD:
        data = await reader.read(READ_SIZE)
        if not data:
            raise PostFailed("the connection was closed without a response")
        size += len(data)
        try:
            found.parser.feed_data(data)
        except httptools.HttpParserError:
            if found.status is None:
                raise PostFailed("the response is not HTTP") from None
        if found.status is not None:
            return found.status
    raise PostFailed("the response's headers are too large")
