"""Runs the app without sockets, in its own event loop: thousands of requests per second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from msgspec import Struct

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.http.asgi import Message
from fanout.settings import Settings
from fanout.transport.engine import Engine, Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse

from .background_loop import background
from .gateway_server import RecordingObserver
from .patience import PATIENCE
from .wire_formats import WIRE_FORMATS


class AppResponse(Struct, frozen=True):
    """A response with its whole body; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The OpenAI error object; the body has nothing else. Or Anthropic's, in its form."""
        value = json.loads(self.body)
        error: dict[str, Any] = value["error"]
        if value.get("type") == "error":
            assert list(value) == ["type", "error", "request_id"], value
            assert list(error) in (["type", "message"], ["type", "message", "details"]), error
            return error
        assert list(value) == ["error"], value
        assert {"message", "type", "param", "code"} <= set(error), error
        assert isinstance(error["message"], str), error
        assert isinstance(error["type"], str), error
        assert isinstance(error["param"], str | None), error
        assert isinstance(error["code"], str | None), error
        return error


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
}
"""The response of OpenAI's Responses API."""


class HelloEngine:
    """An engine whose providers respond `Hello` to every request; `sent` keeps the requests."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send(self, request: Outgoing) -> WireResponse:
        self.sent.append(request)
        if request.url.endswith("/responses"):
            return WireResponse(200, {}, json.dumps(RESPONSE).encode())
        return WireResponse(200, {}, WIRE_FORMATS["openai"].whole("m", "Hello"))

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        self.sent.append(request)
        events = _events() if request.url.endswith("/responses") else _pieces()
        yield StreamedResponse(200, {}, events)

    async def aclose(self) -> None:
        """Nothing is open."""


async def _events() -> AsyncIterator[bytes]:
    """The stream of the Responses API."""
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hello"}
    for event in (delta, {"type": "response.completed", "response": RESPONSE}):
        yield b"data: %b\n\n" % json.dumps(event).encode()


async def _pieces() -> AsyncIterator[bytes]:
    wire_format = WIRE_FORMATS["openai"]
    yield (
        wire_format.opening("m")
        + wire_format.delta("m", {"content": "Hello"})
        + wire_format.closing("m")
    )


class InProcess:
    """A running app, and its observer."""

    def __init__(
        self, app: App, observer: RecordingObserver, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.observer = observer
        self._app = app
        self._loop = loop

    def post(self, body: object, headers: Mapping[str, str] = {}) -> AppResponse:
        """Request a chat completion; a body that is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        return self.ask("POST", "/v1/chat/completions", [raw], named)

    def ask(
        self,
        method: str,
        path: str,
        pieces: Sequence[bytes] = (b"",),
        headers: Sequence[tuple[bytes, bytes]] = (),
        query: bytes = b"",
    ) -> AppResponse:
        """Send one request, its body in pieces, to this machine unless `headers` have a host."""
        if not any(name == b"host" for name, _ in headers):
            headers = [(b"host", b"localhost"), *headers]
        scope = {"method": method, "path": path, "headers": headers, "query_string": query}
        call = self._call(scope, pieces)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(PATIENCE)

    async def _call(self, scope: Mapping[str, Any], pieces: Sequence[bytes]) -> AppResponse:
        left = list(pieces)
        sent: list[Message] = []

        async def receive() -> Message:
            if not left:
                await asyncio.Event().wait()  # the client stays connected
            body = left.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(left)}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app({"type": "http", **scope}, receive, send)
        start, *rest = sent
        assert rest, "no body was sent"
        assert [part.get("more_body", False) for part in rest] == [True] * (len(rest) - 1) + [False]
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return AppResponse(start["status"], headers, b"".join(part["body"] for part in rest))


@contextmanager
def run_in_process(
    config: Mapping[str, Any],
    engine: Engine | None = None,
    observer: RecordingObserver | None = None,
) -> Iterator[InProcess]:
    """Run an app with this config while the block runs; without `engine`, providers say `Hello`."""
    observer = observer or RecordingObserver()
    catalog = resolve(check(config, {}), {})
    over = engine or HelloEngine()
    opening = lambda: open_gateway(Settings(), catalog=catalog, engine=over, observer=observer)  # noqa: E731
    app = App(opening, observer=observer)
    with background(lambda: _running(app, observer)) as running:
        yield running


@asynccontextmanager
async def _running(app: App, observer: RecordingObserver) -> AsyncIterator[InProcess]:
    async with lifespan(app):
        yield InProcess(app, observer, asyncio.get_running_loop())


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Start the app, and shut it down after the block."""
    stop, started = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        if started.is_set():
            await stop.wait()
            return {"type": "lifespan.shutdown"}
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        assert "failed" not in message["type"], message
        started.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(app({"type": "lifespan"}, receive, send))
        await started.wait()
        try:
            yield
        finally:
            stop.set()
