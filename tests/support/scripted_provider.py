"""
A scripted provider on a real socket of 127.0.0.1.

Each model name has a script: a list of steps (`provider_steps.py`) that respond to plain and
streamed calls, in OpenAI's format or, at `/v1/messages`, in Anthropic's. Every call is kept: its
body and headers, when it arrived, and when its client disconnected.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any, TypeAlias

from .background_loop import background
from .patience import PATIENCE
from .wire_formats import WIRE_FORMATS, WireFormat, format_of

Step: TypeAlias = Callable[["Call"], Awaitable[None]]
Script: TypeAlias = Sequence[Step]


class Gate:
    """An event that a script waits for and that a test, or another script, sets."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._opened = asyncio.Event()

    def open(self) -> None:
        """Let every script through from now on; may be called in any thread."""
        self._loop.call_soon_threadsafe(self._opened.set)

    async def passed(self) -> None:
        """Wait until it is open; must be called in the provider's thread."""
        await self._opened.wait()


class CloseConnection(Exception):
    """Raised by a step to end the script and close the connection."""


class Call:
    """
    One call to the provider, with methods that write its response.

    Times are `perf_counter`'s; `disconnected_at` is when the client disconnected before the script
    had ended.
    """

    protocol = "http/1.1"

    def __init__(
        self, path: str, headers: Mapping[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        self.path = path
        self.headers = headers
        self.raw = body
        self.body: dict[str, Any] = json.loads(body) if body else {}
        self.started = perf_counter()
        self.disconnected_at: float | None = None
        self.ended = False
        self.writer = writer
        self.wire_format: WireFormat = WIRE_FORMATS[format_of(path)]
        self.words: list[str] = []
        self.has_head = False

    def __repr__(self) -> str:
        return f"<{self.model}: ended={self.ended}, disconnected_at={self.disconnected_at}>"

    @property
    def model(self) -> str:
        in_path = self.path.rpartition("/")[2].partition(":")[0]  # of Gemini's API
        return str(self.body.get("model", in_path))

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream")) or ":stream" in self.path

    def whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Write a whole response."""
        self.write_head(status, {"content-length": str(len(body)), **headers})
        self.writer.write(body)

    def head(self) -> None:
        """Write a stream's status and headers, once."""
        if self.streams and not self.has_head:
            chunked = {"transfer-encoding": "chunked"}
            self.write_head(200, {"content-type": "text/event-stream", **chunked})

    def piece(self, data: bytes) -> None:
        """Write a piece of a stream."""
        self.head()
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """End the HTTP response of a stream, whether the stream is complete or not."""
        self.head()
        self.writer.write(b"0\r\n\r\n")

    def write_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Write a status and headers."""
        self.has_head = True
        lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())


class Disconnect:
    """Whether and when the client of a connection or of a stream has disconnected."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.at = 0.0

    def happen(self) -> None:
        """Record that it has happened."""
        self.at = self.at or perf_counter()
        self.event.set()


class Reader(asyncio.StreamReader):
    """Records when the peer disconnects."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = Disconnect()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.happen()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.happen()


class Upstream:
    """The provider: `script` it, then look at its `calls`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.connections = 0
        self._open = 0
        self._loop = loop
        self._scripts: dict[str, list[Script]] = {}
        self._changed = threading.Condition()

    def script(self, model: str, *scripts: Script) -> None:
        """
        Set what `model` does: each script is for one call, the last for all further calls.

        That of "" is for requests of all models without one.
        """
        self._scripts[model] = list(scripts)

    def reset(self) -> None:
        """Forget every script and every call."""
        self._scripts.clear()
        self.calls.clear()

    def gate(self) -> Gate:
        """A gate for this provider's scripts."""
        return Gate(self._loop)

    def calls_to(self, model: str) -> list[Call]:
        """The calls for `model`."""
        return [call for call in self.calls if call.model == model]

    def wait(self, fact: Callable[[], object]) -> None:
        """Wait until `fact` is true; it is checked whenever a call changes."""
        with self._changed:
            assert self._changed.wait_for(fact, PATIENCE), f"it did not happen; {self.calls}"

    def wait_called(self, *models: str) -> None:
        """Wait until each of `models` has been called."""
        self.wait(lambda: all(self.calls_to(model) for model in models))

    def wait_disconnected(self, *models: str) -> None:
        """Wait until the client of the last call for each of `models` has disconnected."""
        self.wait(
            lambda: all(self.calls_to(m) and self.calls_to(m)[-1].disconnected_at for m in models)
        )

    def wait_ended(self) -> None:
        """Wait until every call so far has ended; a client that disconnects ends its call."""
        self.wait(lambda: all(call.ended for call in self.calls))

    def wait_closed(self) -> None:
        """Wait until no connection is open: all that its clients have sent has been received."""
        self.wait(lambda: self._open == 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, one call after another."""
        assert isinstance(reader, Reader)
        self.connections += 1
        self._open += 1
        tls = writer.get_extra_info("ssl_object")
        try:
            if tls and tls.selected_alpn_protocol() == "h2":
                from .http2_server import serve_http2

                await serve_http2(self, reader, writer)
                return
            while call := await _next_call(reader, writer):
                await self.play(call, reader.gone)
        except* (CloseConnection, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the last is of a client that sends after it has closed
        except* asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            self._open -= 1
            self._notify()

    async def play(self, call: Call, gone: Disconnect) -> None:
        """Take the script's steps until the last one, or until the client disconnects."""
        self.calls.append(call)
        self._notify()
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._watch(call, gone))
            try:
                for step in self._next_script(call.model):
                    await step(call)
                    await call.writer.drain()
            except ConnectionError:  # the client disconnected while a step was writing
                call.disconnected_at = gone.at or perf_counter()
                raise
            finally:
                watcher.cancel()
                call.ended = True
                self._notify()

    async def _watch(self, call: Call, gone: Disconnect) -> None:
        await gone.event.wait()
        call.disconnected_at = gone.at
        self._notify()
        raise CloseConnection

    def _next_script(self, model: str) -> Script:
        scripts = self._scripts.get(model) or self._scripts.get("") or [[_unknown]]
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


async def _unknown(call: Call) -> None:
    error = {"message": f"`{call.model}` has no script", "code": "model_not_found"}
    call.whole(404, call.wire_format.error(error), {"content-type": "application/json"})


async def _next_call(reader: Reader, writer: asyncio.StreamWriter) -> Call | None:
    """The connection's next request, or `None` if it was closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode().strip().split("\r\n")
    if first.startswith("PRI "):  # HTTP/2 without ALPN
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        return None
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(first.split(" ")[1], headers, body, writer)


@asynccontextmanager
async def _serving(tls: ssl.SSLContext | None) -> AsyncIterator[Upstream]:
    loop = asyncio.get_running_loop()
    upstream = Upstream(loop)
    tasks: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(group.create_task(upstream.serve(reader, writer)))

        def connection() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(Reader(), connected)

        server = await loop.create_server(connection, "127.0.0.1", 0, ssl=tls)
        scheme, port = "https" if tls else "http", server.sockets[0].getsockname()[1]
        upstream.url = f"{scheme}://127.0.0.1:{port}"
        try:
            yield upstream
        finally:
            server.close()
            for task in tasks:
                task.cancel()
    await asyncio.sleep(0)  # let the transports close


@contextmanager
def open_upstream(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    """Run a provider while the block runs, over TLS if a context is given."""
    with background(lambda: _serving(tls)) as upstream:
        yield upstream
