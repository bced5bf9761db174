"""Runs the gateway as users do: the real app under the real server, on a free port."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvloop

from fanout.cli.http_server import rejection
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.http.asgi import Headers
from fanout.http.running_app import OpenKeys
from fanout.server.limits import ConnectionLimits
from fanout.server.server import Stop
from fanout.server.server import serve as serve_app
from fanout.settings import Settings
from fanout.telemetry.observers import AttemptRecord, DecisionRecord, RequestRecord

from .background_loop import background
from .gateway_response import ParsedResponse, read_response, read_stream
from .patience import PATIENCE
from .scripted_provider import Upstream


class RecordingObserver:
    """An observer that keeps every record."""

    def __init__(self) -> None:
        self.attempts: list[AttemptRecord] = []
        self.requests: list[RequestRecord] = []
        self.decisions: list[DecisionRecord] = []
        self.unexpected_errors: list[BaseException] = []
        self._recorded = threading.Condition()

    def clear(self) -> None:
        """Forget all records."""
        self.attempts.clear()
        self.requests.clear()
        self.decisions.clear()
        self.unexpected_errors.clear()

    def attempt(self, record: AttemptRecord) -> None:
        self.attempts.append(record)

    def request(self, record: RequestRecord) -> None:
        with self._recorded:
            self.requests.append(record)
            self._recorded.notify_all()

    def decision(self, record: DecisionRecord) -> None:
        self.decisions.append(record)

    def wait_for_requests(self, count: int) -> list[RequestRecord]:
        """Wait for `count` requests to be recorded, which is after their responses are sent."""
        with self._recorded:
            assert self._recorded.wait_for(lambda: len(self.requests) >= count, timeout=PATIENCE)
            return self.requests[:count]

    def wait_for_status(self, status: int) -> None:
        """Wait for a request with this status to be recorded."""

        def is_recorded() -> bool:
            return any(record.status == status for record in self.requests)

        with self._recorded:
            assert self._recorded.wait_for(is_recorded, timeout=PATIENCE)

    def ended(self, model: str) -> Callable[[], bool]:
        """Whether an attempt of this model is recorded, which is not recorded yet."""
        known = len(self.attempts)
        return lambda: any(record.model == model for record in self.attempts[known:])

    def report(self, error: BaseException) -> None:
        """Keep an error that belongs to no request."""
        self.unexpected_error("", error)

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        self.unexpected_errors.append(error)
        traceback.print_exception(error)


class RunningGateway:
    """A gateway at `url`, and its observer."""

    def __init__(
        self, port: int, observer: RecordingObserver, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.port = port
        self._loop = loop
        self.url = f"http://127.0.0.1:{port}"
        self.observer = observer

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The server's loop, which runs in another thread."""
        assert self._loop is not None
        return self._loop

    def tasks(self) -> int:
        """How many tasks are pending in the server's loop."""
        counted = asyncio.run_coroutine_threadsafe(_count_tasks(), self.loop)
        return counted.result(timeout=PATIENCE)

    def wait_for_tasks(self, most: int) -> None:
        """Wait until at most so many tasks are pending: a request's ends after its response."""
        end = time.monotonic() + PATIENCE
        while (found := self.tasks()) > most:
            assert time.monotonic() < end, f"{found} tasks are pending"
            time.sleep(0.01)

    @contextmanager
    def ask(
        self,
        body: object = None,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: Mapping[str, str] = {},
    ) -> Iterator[http.client.HTTPResponse]:
        """The response to one request, its body not read yet; the end of the block disconnects."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, dict(headers))
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def json(
        self,
        body: object = None,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: Mapping[str, str] = {},
    ) -> tuple[int, dict[str, str], Any]:
        """One request's status, headers (lower case) and JSON body."""
        with self.ask(body, path, method, headers) as response:
            received = {name.lower(): value for name, value in response.getheaders()}
            return response.status, received, json.loads(response.read())

    def chat(self, body: Mapping[str, Any], headers: Mapping[str, str] = {}) -> ParsedResponse:
        """One chat request, plain or streamed, read to its end."""
        with self.ask(body, headers=headers) as response:
            raw = response.read()
            received = {name.lower(): value for name, value in response.getheaders()}
            if received["content-type"].startswith("text/event-stream"):
                return read_stream(response.status, received, raw)
            return read_response(response.status, received, json.loads(raw))

    def send(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] = {},
    ) -> http.client.HTTPConnection:
        """Send a request without waiting for the response; close the connection to disconnect."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("POST", path, json.dumps(body).encode(), dict(headers))
        return connection


async def _count_tasks() -> int:
    return len(asyncio.all_tasks())


def entry(upstream: Upstream, name: str, model: str = "", **params: Any) -> dict[str, Any]:
    """An entry of `model_list` for a model of the scripted provider; `name` is its model name."""
    address = {"api_base": f"{upstream.url}/v1", "api_key": f"sk-provider-{name}"}
    return {
        "model_name": name,
        "litellm_params": {"model": model or f"openai/{name}", **address, **params},
    }


@contextmanager
def serve(
    config: Mapping[str, Any],
    env: Mapping[str, str] = {},
    *,
    keep_alive: float = 15.0,
    send_timeout: float = 60.0,
    deadline: Callable[[Headers], float | None] | None = None,
    page: bool = False,
    limits: ConnectionLimits | None = None,
    virtual_keys: OpenKeys | None = None,
) -> Iterator[RunningGateway]:
    """Run a gateway with this config (the YAML's value) while the block runs."""
    observer = RecordingObserver()
    catalog = resolve(check(config, env), env)
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        deadline=deadline,
        keep_alive=keep_alive,
        send_timeout=send_timeout,
        page=page,
        virtual_keys=virtual_keys,
    )
    serving = lambda: _serving(app, observer, limits=limits)  # noqa: E731
    with background(serving, uvloop.new_event_loop) as served:
        yield served


@asynccontextmanager
async def _serving(
    app: App,
    observer: RecordingObserver,
    port: int = 0,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[RunningGateway]:
    sock = socket.create_server(("127.0.0.1", port), backlog=2048)
    stop, ready = Stop(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(
            serve_app(
                app,
                sock,
                stop,
                limits=limits or ConnectionLimits(grace_seconds=1),
                rejection=lambda error: rejection(error, observer),
                report_bug=observer.report,
                ready=ready.set,
            )
        )
        await ready.wait()
        try:
            yield RunningGateway(sock.getsockname()[1], observer, asyncio.get_running_loop())
        finally:
            stop.asked.set()
