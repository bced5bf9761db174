"""Shared by the tests of the engine: certificates, requests, and two ways to send one."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from fanout.transport.connection_pool import PyqwestEngine
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.support.forward_proxy import HOST
from tests.support.scripted_provider import Upstream


def serve_tls(ca: trustme.CA, *protocols: str, name: str = "") -> ssl.SSLContext:
    """A server's TLS context with a certificate by `ca`, which offers these protocols."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*([name] if name else ["127.0.0.1", HOST])).configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def outgoing(upstream: Upstream, model: str, *, stream: bool = False) -> Outgoing:
    """A chat request to the provider, as the engine gets it."""
    body = json.dumps({"model": model, "stream": stream}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer k"}
    return Outgoing("POST", f"{upstream.url}/v1/chat/completions", headers, body)


@asynccontextmanager
async def engine(
    ca: trustme.CA | None = None, connect_timeout: float = 10.0
) -> AsyncIterator[PyqwestEngine]:
    """An engine that trusts the tests' certificates, closed afterwards."""
    made = PyqwestEngine(
        ca_pem=ca.cert_pem.bytes() if ca else None, connect_timeout=connect_timeout
    )
    try:
        yield made
    finally:
        await made.aclose()


async def send_plain(engine: PyqwestEngine, request: Outgoing) -> WireResponse:
    return await engine.send(request)


async def send_streamed(engine: PyqwestEngine, request: Outgoing) -> WireResponse:
    async with engine.stream(request) as incoming:
        body = b"".join([part async for part in incoming.body])
        return WireResponse(incoming.status, incoming.headers, body)


SendWay = Callable[[PyqwestEngine, Outgoing], Awaitable[WireResponse]]
each_way = pytest.mark.parametrize("way", [send_plain, send_streamed])
