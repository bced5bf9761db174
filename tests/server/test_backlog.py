"""Clients that connect while the server is busy wait in the kernel, however many they are."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

from fanout.server.limits import ConnectionLimits
from fanout.server.server import Stop, serve
from tests.support.patience import PATIENCE

CLIENTS = 400
"""More than asyncio's own backlog, 100, and less than the files that a process may open."""


def test_many_clients_connect_before_one_is_accepted() -> None:
    async def main() -> None:
        stop = Stop()
        with socket.socket() as listener, ExitStack() as clients:
            listener.bind(("127.0.0.1", 0))

            async def app(scope: Any, receive: Any, send: Any) -> None:
                """Stop the server at the first request, when all connections are accepted."""
                if scope["type"] == "lifespan":
                    for word in ("startup", "shutdown"):
                        await receive()
                        await send({"type": f"lifespan.{word}.complete"})
                    return
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                stop.now()

            def connect() -> None:
                """Connect while the event loop accepts nothing; the last client sends a request."""
                for _ in range(CLIENTS):
                    client = clients.enter_context(socket.socket())
                    client.settimeout(PATIENCE / 4)
                    client.connect(listener.getsockname())
                client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")

            await serve(
                app,
                listener,
                stop,
                limits=ConnectionLimits(grace_seconds=0),
                rejection=lambda _error: b"",
                report_bug=lambda _error: None,
                ready=connect,
            )

    asyncio.run(main())
