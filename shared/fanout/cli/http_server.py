"""Runs the gateway's app under uvicorn, with a limit on the size of a request's headers."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..bulk.local.batch_service import data_home, open_local_batches
from ..config.resolve import Catalog
from ..errors import ConfigError, HeadersTooLarge
from ..gateway.factory import make_engine, open_gateway
from ..gateway.gateway import Gateway
from ..http.app import App
from ..schema.error import error_body
from ..settings import Settings
from ..telemetry.observers import Observer
from ..wire import json

BACKLOG = 2048
MAX_PORT = 65_535
GC_THRESHOLD = 20_000
"""
New containers between two runs of Python's garbage collector. Requests leave almost no cyclic
garbage; with Python's default of 700, the collector would take 5 % of a request's CPU time.
"""

SHUTDOWN_GRACE = 5
"""Seconds that requests in flight may still take after the server is asked to stop."""

MAX_HEADER_READ = 256 * 1024
"""Bytes of headers that are read at all; the app itself rejects more than 64 KiB."""


def listen(address: str, port: int) -> socket.socket:
    """A listening socket; raises `ConfigError` if the address or port cannot be used."""
    check_port(port)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)  # connections made before the app is ready wait
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {address} port {port} ({error.strerror or error}): "
            "stop the process that uses it, or choose another --port"
        ) from None
    return listener


def check_port(port: int) -> None:
    """Raise `ConfigError` if there is no such port."""
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"--port must be between 0 and {MAX_PORT}, not {port}")


def run_server(
    settings: Settings,
    catalog: Catalog,
    listener: socket.socket,
    *,
    observer: Observer,
    ready: Callable[[str], object],
    stop: Callable[[Callable[[], None]], object] = lambda _: None,
) -> int:
    """
    Serve until SIGINT or SIGTERM. `ready` is called with the base URL when the gateway is ready.

    `stop` is called with a function that stops the server. Raises `ConfigError` if a certificate of
    the config cannot be read.
    """
    engine = make_engine(catalog.general)  # here, because uvicorn logs what its app raises

    @asynccontextmanager
    async def opening() -> AsyncIterator[Gateway]:
        async with open_gateway(
            settings, catalog=catalog, engine=engine, observer=observer
        ) as gateway:
            ready(f"http://{_authority(listener)}/v1")
            yield gateway

    server = uvicorn.Server(
        uvicorn.Config(
            App(
                opening,
                observer=observer,
                jobs=lambda gateway: open_local_batches(
                    gateway, data_home(settings.env), observer=observer
                ),
                page=True,
            ),
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            http=HeaderLimitProtocol,
            ws="none",
            timeout_graceful_shutdown=SHUTDOWN_GRACE,
        )
    )

    def end() -> None:
        server.should_exit = True

    stop(end)
    raise_open_file_limit()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    # After it has stopped, uvicorn raises the signal again; either signal is a normal exit.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    return 0 if server.started else 1


def raise_open_file_limit() -> None:
    """Allow as many open files as the system does: each client and each call needs one."""
    with suppress(ImportError, ValueError, OSError):  # not on Windows, or not permitted
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _authority(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class HeaderLimitProtocol(HttpToolsProtocol):
    """One connection with a limit on the size of headers, which uvicorn does not have."""

    _head: int | None = 0  # bytes read of headers that are not complete

    def on_message_begin(self) -> None:
        """Start to count."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop to count."""
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse, and close the connection if the headers are too large."""
        super().data_received(data)
        if self._head is None:
            return
        self._head += len(data)
        if self._head > MAX_HEADER_READ and not self.transport.is_closing():
            self._refuse()

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            error = HeadersTooLarge(f"the headers are over {MAX_HEADER_READ} bytes")
            body = json.encode(error_body(error))
            lines = [
                "HTTP/1.1 431 Request Header Fields Too Large",
                "content-type: application/json",
                f"content-length: {len(body)}",
                "connection: close",
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
