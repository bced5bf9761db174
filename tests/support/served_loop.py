"""The API function's loop over invocations with an app of the test, under a fake Runtime API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeAlias

from fanout.http.asgi import Message, Receive, Scope, Send
from functions.api.runtime_api import RuntimeAPI
from functions.api.runtime_loop import RuntimeLoop

from .patience import PATIENCE
from .runtime_api import FakeRuntimeAPI, fake_runtime_api

Serve: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
TEXT = [(b"content-type", b"text/plain")]


class Serving:
    """The loop with an app, and what it has reported."""

    def __init__(self, api: FakeRuntimeAPI) -> None:
        self.api = api
        self.bugs: list[tuple[str, str]] = []
        self.warnings: list[tuple[str, str]] = []
        self.ended: asyncio.Task[str]

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        self.bugs.append((request_id, type(error).__name__))

    def warn(self, message: str, request_id: str) -> None:
        self.warnings.append((message, request_id))


async def settled() -> None:
    """Nothing is left to other threads."""


@asynccontextmanager
async def serving(
    serve: Serve,
    *,
    concurrency: int = 1,
    settle: Callable[[], Awaitable[None]] = settled,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Serving]:
    """Serve the HTTP requests with `serve`; at the end, the Runtime API vanishes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        await send({"type": "lifespan.shutdown.complete"})

    async with fake_runtime_api() as api:
        served = Serving(api)
        loop = RuntimeLoop(
            app,
            RuntimeAPI(api.address),
            report_bug=served.unexpected_error,
            warn=served.warn,
            settle=settle,
            concurrency=concurrency,
            now=now,
        )
        served.ended = asyncio.ensure_future(loop.serve())
        try:
            yield served
        finally:
            api.vanish()
            async with asyncio.timeout(PATIENCE):
                assert "Runtime API" in await served.ended


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time can stand still, so that a test says which timers are due."""

    _since = 0.0  # its time is that since then
    _stopped: float | None = None

    def time(self) -> float:
        return super().time() - self._since if self._stopped is None else self._stopped

    @contextmanager
    def stopped(self) -> Iterator[Callable[[float], None]]:
        """Let the time stand still; yields what moves it on, by seconds."""
        self._stopped = self.time()
        try:
            yield self._move
        finally:
            self._since, self._stopped = super().time() - self._stopped, None

    def _move(self, seconds: float) -> None:
        assert self._stopped is not None
        self._stopped += seconds


def stopped_clock() -> AbstractContextManager[Callable[[float], None]]:
    """Let the time of the test's event loop stand still; yields what moves it on, by seconds."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Clock)
    return loop.stopped()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test, whose event loop is a `Clock`."""
    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(test)


def start(headers: Any = TEXT, status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
