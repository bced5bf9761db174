"""
A client of Lambda's Runtime API, which gives out invocations and takes the responses.

One connection serves one invocation: it asks for the invocation, waits, and sends the response.
A response is streamed, so its status and its first bytes reach the client at once. See
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html (2026-11).
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from msgspec import Struct

from fanout.wire import json

PREFIX = "/2018-06-01/runtime"
READ_LIMIT = 1 << 20
"""Bytes of an event that are read ahead. A smaller limit makes reading 6 MB slower."""

ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
STREAMING = (
    "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
    "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
    "Transfer-Encoding: chunked\r\n"
    f"Trailer: {ERROR_TYPE}, {ERROR_BODY}\r\n"
)
LAST_CHUNK = b"0\r\n"
ACCEPTED = range(200, 300)


class RuntimeAPIError(Exception):
    """The Runtime API cannot be reached, or responds with something else than an invocation."""


class FunctionError(Struct, frozen=True):
    """
    Why an invocation failed.

    `kind` is `Function.` or `Runtime.` and a name; Lambda replaces any other text.
    """

    kind: str
    message: str
    trace: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the JSON object that Lambda stores and shows."""
        body = {"errorType": self.kind, "errorMessage": self.message, "stackTrace": self.trace}
        return json.encode(body)


class Invocation(Struct, frozen=True):
    """
    One invocation.

    `deadline` is in seconds since 1970. `echo` is sent back with the response, so that the Runtime
    API can tell two invocations of the same id apart.
    """

    id: str
    event: bytes
    deadline: float
    trace_id: str = ""
    echo: str = ""


class Reply(NamedTuple):
    """A response of the Runtime API."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_accepted(self) -> bool:
        """Whether the Runtime API has taken what was sent."""
        return self.status in ACCEPTED


class RuntimeAPI:
    """The Runtime API at `address`, `host:port`."""

    def __init__(self, address: str) -> None:
        self._address = address

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Yield a connection for one invocation. Raises `RuntimeAPIError` if there is none."""
        host, _, port = self._address.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port), limit=READ_LIMIT)
        except OSError as error:
            raise RuntimeAPIError(f"the Runtime API cannot be reached ({error})") from None
        # Else the kernel holds a chunk back until the one before it is acknowledged, up to 40 ms.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            yield Connection(self._address, reader, writer)
        finally:
            writer.close()

    async def wait_for_restore(self) -> None:
        """Say that a snapshot may be taken; wait until the process has been restored from it."""
        async with self.connect() as connection:
            await connection.wait_for_restore()

    async def report_start_failure(self, error: FunctionError, *, restored: bool = False) -> None:
        """Say why the function cannot start; the process must then end."""
        async with self.connect() as connection:
            await connection.post("/restore/error" if restored else "/init/error", error)


class Connection:
    """A connection for one invocation."""

    def __init__(
        self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer

    async def wait_for_restore(self) -> None:
        """Wait until the process has been restored, however long. Raises `RuntimeAPIError`."""
        await self._get("/restore/next")

    async def next(self) -> Invocation:
        """Wait for an invocation, however long. Raises `RuntimeAPIError`."""
        reply = await self._get("/invocation/next")
        headers = reply.headers
        try:
            return Invocation(
                headers["lambda-runtime-aws-request-id"],
                reply.body,
                int(headers["lambda-runtime-deadline-ms"]) / 1000,
                headers.get("lambda-runtime-trace-id", ""),
                headers.get("lambda-runtime-invocation-id", ""),
            )
        except (KeyError, ValueError) as error:
            raise RuntimeAPIError(f"the Runtime API sends no valid invocation ({error})") from None

    def start_response(self, invocation: Invocation, prelude: bytes, body: bytes) -> None:
        """Begin to stream a response."""
        head = self._head("POST", f"/invocation/{invocation.id}/response", STREAMING, invocation)
        self._writer.write(b"".join((head, *_chunk(prelude), *_chunk(body))))

    def write(self, body: bytes) -> None:
        """Send a part of the body."""
        self._writer.write(b"".join(_chunk(body)))

    async def drain(self) -> None:
        """Wait while the Runtime API takes nothing. Raises `ConnectionError` if it has gone."""
        await self._writer.drain()

    def end(self, error: FunctionError | None = None) -> None:
        """End the response; a response that is not complete has an `error`."""
        trailers = b""
        if error is not None:
            body = base64.b64encode(error.encode()).decode()
            trailers = f"{ERROR_TYPE}: {error.kind}\r\n{ERROR_BODY}: {body}\r\n".encode()
        self._writer.write(b"".join((LAST_CHUNK, trailers, b"\r\n")))

    def fail(self, invocation: Invocation, error: FunctionError) -> None:
        """Send an error instead of a response."""
        self._send(f"/invocation/{invocation.id}/error", error, invocation)

    async def _get(self, path: str) -> Reply:
        self._writer.write(self._head("GET", path, ""))
        reply = await self.reply()
        if not reply.is_accepted:
            raise RuntimeAPIError(f"the Runtime API responds to `{path}` with {reply.status}")
        return reply

    async def post(self, path: str, error: FunctionError) -> Reply:
        """Send an error of no invocation."""
        self._send(path, error)
        return await self.reply()

    async def reply(self) -> Reply:
        """Read the Runtime API's next response. Raises `RuntimeAPIError` if none comes."""
        try:
            return await _read_reply(self._reader)
        except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
            kind = type(error).__name__
            raise RuntimeAPIError(f"the Runtime API sends no valid response ({kind})") from None

    def abort(self) -> None:
        """Close the connection without sending what is left."""
        self._writer.transport.abort()

    def _send(self, path: str, error: FunctionError, of: Invocation | None = None) -> None:
        body = error.encode()
        extra = (
            f"Content-Type: application/json\r\n{ERROR_TYPE}: {error.kind}\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        self._writer.write(self._head("POST", path, extra, of) + body)

    def _head(self, method: str, path: str, extra: str, of: Invocation | None = None) -> bytes:
        echo = f"Lambda-Runtime-Invocation-Id: {of.echo}\r\n" if of and of.echo else ""
        close = "" if method == "GET" else "Connection: close\r\n"
        first = f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: {self._address}\r\n"
        return f"{first}{close}{echo}{extra}\r\n".encode()


def _chunk(data: bytes) -> tuple[bytes, ...]:
    """The parts of a chunk; none without data, because an empty chunk ends the response."""
    return (b"%x\r\n" % len(data), data, b"\r\n") if data else ()


async def _read_reply(reader: asyncio.StreamReader) -> Reply:
    lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Reply(int(lines[0].split(" ")[1]), headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    while (await reader.readline()).strip():
        pass  # trailers
    return b"".join(parts)
