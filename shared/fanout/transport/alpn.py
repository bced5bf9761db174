"""
Asks a server which HTTP version it speaks, by a TLS handshake without a request (ALPN, RFC 7301).

Needed only if the first call to an origin has failed in a way that does not show whether the server
speaks HTTP/2, so it is imported then.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

HTTP2, HTTP1 = "h2", "http/1.1"
PORT = 443


async def speaks_http2(
    url: str, ca_pem: bytes | None, seconds: float, *, may_use_proxy: bool
) -> bool | None:
    """Whether the server chooses HTTP/2, directly or through a proxy; `None` if it is unknown."""
    offered = [HTTP2, HTTP1]
    chosen = await _chosen(url, ca_pem, seconds, offered, may_use_proxy=may_use_proxy)
    return None if chosen is None else chosen == HTTP2


async def speaks_http1(
    url: str, ca_pem: bytes | None, seconds: float, *, may_use_proxy: bool
) -> bool:
    """Whether the server chooses HTTP/1.1 if nothing else is offered."""
    return await _chosen(url, ca_pem, seconds, [HTTP1], may_use_proxy=may_use_proxy) == HTTP1


async def _chosen(
    url: str, ca_pem: bytes | None, seconds: float, offered: list[str], *, may_use_proxy: bool
) -> str | None:
    """The protocol that the server chooses, "" if it chooses none; `None` if it is unknown."""
    context = ssl.create_default_context(cadata=ca_pem.decode() if ca_pem else None)
    context.set_alpn_protocols(offered)
    with suppress(OSError, ValueError, EOFError, TimeoutError):
        async with asyncio.timeout(seconds):
            server = urlsplit(url)
            proxy = _proxy_of(server.hostname or "") if may_use_proxy else None
            return await _handshake(server, proxy, context) or ""
    return None


async def _handshake(
    server: SplitResult, proxy: SplitResult | None, context: ssl.SSLContext
) -> str | None:
    host, port = server.hostname or "", server.port or PORT
    connect = proxy or server
    reader, writer = await asyncio.open_connection(connect.hostname, connect.port or port)
    try:
        if proxy:
            await _connect_through(proxy, f"{host}:{port}", reader, writer)
        await writer.start_tls(context, server_hostname=host)
        tls = writer.get_extra_info("ssl_object")
        chosen: str | None = tls.selected_alpn_protocol()
    finally:
        writer.transport.abort()
    return chosen


def _proxy_of(host: str) -> SplitResult | None:
    """The proxy of the environment, as the engine uses it; only one without TLS is understood."""
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address or proxy_bypass(host):
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http":
        raise ValueError("a proxy of another kind")
    return proxy


async def _connect_through(
    proxy: SplitResult, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}"]
    if proxy.username is not None:
        given = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"proxy-authorization: Basic {base64.b64encode(given.encode()).decode()}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError("the proxy did not connect")
