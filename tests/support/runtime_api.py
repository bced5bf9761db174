"""
A fake of Lambda's Runtime API on 127.0.0.1, in the event loop of a test.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (2026-11). It gives out invocations
one by one and records the responses byte by byte. Nothing waits for time, only for events.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from .patience import PATIENCE

PREFIX = "/2018-06-01/runtime"
DELIMITER = b"\0" * 8
ANY_BODY = '{"model": "m"}'


def proxy_event(
    method: str = "POST", path: str = "/chat/completions", **more: Any
) -> dict[str, Any]:
    """Return an event of a REST API."""
    headers = {
        "Authorization": "Bearer k",
        "Content-Type": "application/json",
        "Host": "127.0.0.1",  # without a key, a gateway serves no other
    }
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "stageVariables": None,
        "body": ANY_BODY,
        "isBase64Encoded": False,
        "requestContext": {
            "accountId": "111111111111",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abc123",
            "extendedRequestId": "extended-1",
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "test"},
            "path": f"/v1{path}",
            "protocol": "HTTP/1.1",
            "requestId": "api-gateway-1",
            "requestTime": "29/Nov/2026:12:00:00 +0000",
            "requestTimeEpoch": 1_795_953_600_000,
            "resourceId": "abc",
            "resourcePath": "/{proxy+}",
            "stage": "v1",
        },
    } | more


class Delivered:
    """What the function has sent for one invocation."""

    def __init__(
        self, name: str, event: bytes, deadline: float, headers: Mapping[str, str]
    ) -> None:
        self.name = name
        self.event = event
        self.deadline = deadline
        self.extra = headers
        self.status = 202  # what the Runtime API responds to it
        self.is_early = False  # whether it responds at the first chunk
        self.request_headers: Mapping[str, str] = {}
        self.chunks: list[bytes] = []
        self.trailers: Mapping[str, str] = {}
        self.error: Any = None
        self.is_done = False  # whether the whole response has come
        self.is_cut = False  # whether the connection has ended before
        self.takes = asyncio.Event()  # while it is not set, nothing of the response is taken
        self.takes.set()
        self._changed = asyncio.Condition()

    @property
    def prelude(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(b"".join(self.chunks).partition(DELIMITER)[0])
        return found

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks).partition(DELIMITER)[2]

    @property
    def trailer_error(self) -> Any:
        return json.loads(base64.b64decode(self.trailers["lambda-runtime-function-error-body"]))

    async def change(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, holds: Callable[[Delivered], object]) -> Delivered:
        """Wait until something holds."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: holds(self))
        return self

    async def whole(self) -> Delivered:
        """Wait for the whole response."""
        return await self.until(lambda _: self.is_done)


class FakeRuntimeAPI:
    """
    The Runtime API at `address`.

    It takes nothing of a response while `takes` is not set, and replies to none while `replies` is
    not. A process that starts from a snapshot is restored when `restores` is set. With `chunked`,
    it sends the events in chunks, as Go's HTTP server does with large ones.
    """

    def __init__(self) -> None:
        self.address = ""
        self.chunked = False
        self.next_status = 200
        self.waiting = 0  # connections that wait for an invocation
        self.most_waiting = 0
        self.start_failures: list[Any] = []
        self.restore_failures: list[Any] = []
        self.snapshots = 0  # how many processes wait to be restored
        self.restores = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.replies = asyncio.Event()
        self.replies.set()
        self._names = count(1)
        self._pending: asyncio.Queue[Delivered] = asyncio.Queue()
        self._all: dict[str, Delivered] = {}
        self._server: asyncio.Server
        self._is_gone = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Condition()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def vanish(self) -> None:
        """Close every connection, and new ones at once."""
        self._is_gone = True
        for writer in self._writers:
            writer.transport.abort()

    def close(self) -> None:
        """Stop listening, too; no client may connect at this moment."""
        self.vanish()
        self._server.close()

    def drop_waiting(self) -> None:
        """Close the connections that wait for an invocation."""
        for connection in self._asking:
            connection.cancel()

    def invoke(
        self, event: Any, *, deadline: float | None = None, headers: Mapping[str, str] = {}
    ) -> Delivered:
        """Give out an invocation; its deadline is in seconds since 1970."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        name = f"invocation-{next(self._names)}"
        found = Delivered(name, raw, deadline or time.time() + 60, headers)
        self._all[name] = found
        self._pending.put_nowait(found)
        return found

    async def ask(self, event: Any, **more: Any) -> Delivered:
        """Give out an invocation and wait for the whole response."""
        return await self.invoke(event, **more).whole()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(holds)

    async def _change(self, *, waiting: int = 0) -> None:
        self.waiting += waiting
        self.most_waiting = max(self.most_waiting, self.waiting)
        async with self._changed:
            self._changed.notify_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """At once, so that no connection is forgotten whose task has not begun."""
        if self._is_gone:
            writer.transport.abort()
            return
        self._writers.add(writer)
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (line := (await reader.readline()).decode()) and await self._handle(
                line, reader, writer
            ):
                pass
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass  # the function or the test has ended
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _handle(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Handle one request; return whether another may come over the connection."""
        method, path, _ = line.split(" ")
        headers = await _headers(reader)
        assert path.startswith(PREFIX), path
        match method, path.removeprefix(PREFIX).split("/")[1:]:
            case "GET", ["invocation", "next"]:
                await self._give_out(writer)
            case "GET", ["restore", "next"]:
                self.snapshots += 1
                await self._change()
                await self.restores.wait()
                _respond(writer, self.next_status)
            case "POST", ["init" | "restore" as phase, "error"]:
                failures = self.start_failures if phase == "init" else self.restore_failures
                failures.append(json.loads(await _body(reader, headers)))
                _respond(writer, 202)
                await self._change()
            case "POST", ["invocation", name, what]:
                delivered = self._all[name]
                delivered.request_headers = headers
                if what == "error":
                    delivered.error = json.loads(await _body(reader, headers))
                else:
                    assert what == "response"
                    try:
                        await self._take(delivered, reader, writer)
                    except (ConnectionError, EOFError):
                        delivered.is_cut = True
                        await delivered.change()
                        raise
                delivered.is_done = True
                await delivered.change()
                await self.replies.wait()
                if not delivered.is_early:
                    _respond(writer, delivered.status)
            case _:
                raise AssertionError(line)
        return headers.get("connection") != "close"

    async def _give_out(self, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection
        self._asking.add(connection)
        await self._change(waiting=1)
        try:
            found = await self._pending.get() if self.next_status == 200 else None
        finally:
            self._asking.discard(connection)
            await self._change(waiting=-1)
        if found is None:
            _respond(writer, self.next_status)
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": found.name,
            "Lambda-Runtime-Deadline-Ms": str(int(found.deadline * 1000)),
            **found.extra,
        }
        _respond(writer, 200, headers, found.event, chunked=self.chunked)

    async def _take(
        self, delivered: Delivered, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        assert delivered.request_headers["transfer-encoding"] == "chunked"
        await self._until_it_takes(delivered)
        while size := int(await reader.readuntil(b"\n"), 16):
            delivered.chunks.append((await reader.readexactly(size + 2))[:-2])
            if delivered.is_early and len(delivered.chunks) == 1:
                _respond(writer, delivered.status)
            await delivered.change()
            await self._until_it_takes(delivered)
        delivered.trailers = await _headers(reader)

    async def _until_it_takes(self, delivered: Delivered) -> None:
        await self.takes.wait()
        await delivered.takes.wait()


@asynccontextmanager
async def fake_runtime_api() -> AsyncIterator[FakeRuntimeAPI]:
    """A fake until the end of the block."""
    api = FakeRuntimeAPI()
    await api.open()
    try:
        yield api
    finally:
        api.close()
        await asyncio.sleep(0)  # let the transports close


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    found = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        found[name.lower()] = value.strip()
    return found


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    return await reader.readexactly(int(headers["content-length"]))


def _respond(
    writer: asyncio.StreamWriter,
    status: int,
    headers: Mapping[str, str] = {},
    body: bytes = b"{}",
    *,
    chunked: bool = False,
) -> None:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    head = "\r\n".join([f"HTTP/1.1 {status} Status", *lines, "", ""]).encode()
    if chunked:
        parts = [body[i : i + 4096] for i in range(0, len(body), 4096)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    writer.write(head + body)
