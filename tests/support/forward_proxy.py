"""
A forward proxy on 127.0.0.1: tunnels for TLS, and a response of its own for plain HTTP.

Its name server knows one host, `HOST`, which is 127.0.0.1: that address itself needs no proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress

from .background_loop import background

HOST = "provider.test"

REFUSAL = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b"proxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
)


class Proxy:
    """A forward proxy that notes what it is asked for; with `password`, it refuses without it."""

    def __init__(self, password: str | None = None) -> None:
        self._password = password
        self.url = ""
        self.targets: list[str] = []
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError), closing(writer):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, target, _ = head.decode().split(" ", 2)
        self.targets.append(f"{method} {target}")
        if self._password and self._password not in head.decode():
            writer.write(REFUSAL)
        elif method == "CONNECT":
            host, _, port = target.rpartition(":")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await _tunnel(reader, writer, host, int(port))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    address = "127.0.0.1" if host == HOST else host
    there, back = await asyncio.open_connection(address, port)

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)
        sink.close()

    with closing(back):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, back))
                group.create_task(copy(there, writer))
        except* ConnectionError:
            pass


@asynccontextmanager
async def _serving(password: str | None) -> AsyncIterator[Proxy]:
    proxy, tasks = Proxy(password), set[asyncio.Task[None]]()
    async with asyncio.TaskGroup() as group:

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(group.create_task(proxy.serve(reader, writer)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield proxy
        finally:
            server.close()
            for task in tasks:
                task.cancel()
    await asyncio.sleep(0)  # so that the transports can close


@contextmanager
def open_proxy(password: str | None = None) -> Iterator[Proxy]:
    """A proxy for the block; `password` is what its requests' heads must contain."""
    with background(lambda: _serving(password)) as proxy:
        yield proxy


def behind_proxy(url: str) -> str:
    """The address at which only a proxy reaches a server on this machine."""
    return url.replace("127.0.0.1", HOST)
