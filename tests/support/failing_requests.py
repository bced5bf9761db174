"""A gateway with all that requests can use, whose client and providers fail as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct

from fanout.bulk.local.lazy_service import open_local_batches
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.http.asgi import Message
from fanout.keys.opening import open_local, open_local_accounts
from fanout.settings import Settings
from fanout.telemetry.observers import JSONLinesObserver
from fanout.transport.engine import ConnectionLost, Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse

from .in_process import RESPONSE, lifespan
from .wire_formats import WIRE_FORMATS

MASTER, STATIC, LIMITED = "sk-master-marker", "sk-static-marker", "sk-limited-marker"
WHILE_IT_SENDS, AT_THE_CALL, AT_THE_CONTENT = "while it sends", "at the call", "at the content"
LIMIT = 2_000_000
"""Bytes that a body may have."""

PART = 1 << 18
"""Bytes of a body that come at once."""

ERRORS = {"long": 400, "invalid": 400, "unavailable": 503, "limited": 429}
ENDLESS = ("late", "endless")
MODELS = ("good", *ERRORS, *ENDLESS, "lost", "bug", "cut", "garbage")
"""What happens to a call says the name of its model."""


class Request(Struct, frozen=True):
    """A request; its client `leaves` while it sends, at the provider's call, or at the content."""

    path: str
    body: bytes
    headers: Mapping[str, str] = {}
    leaves: str = ""
    has_length: bool = True


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


class Provider:
    """An engine whose response depends on the model's name; `called` is set at each call."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def send(self, request: Outgoing) -> WireResponse:
        kind = await self._begin(request)
        if kind in ERRORS:
            return WireResponse(ERRORS[kind], {}, _error(kind))
        return WireResponse(200, {}, _whole(request.url, kind))

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        kind = await self._begin(request)
        if kind in ERRORS:
            yield StreamedResponse(ERRORS[kind], {}, _pieces(_error(kind)))
            return
        if request.url.endswith("/responses"):
            yield StreamedResponse(200, {}, _events())
            return
        yield StreamedResponse(200, {}, self._chunks(kind))

    async def _begin(self, request: Outgoing) -> str:
        kind = str(json.loads(request.body)["model"])
        self.called.set()
        if kind == "late":
            await asyncio.sleep(1000)
        if kind == "lost":
            raise ConnectionLost("broken")
        if kind == "bug":
            raise KeyError("bug")
        return kind

    async def _chunks(self, kind: str) -> AsyncIterator[bytes]:
        wire_format = WIRE_FORMATS["openai"]
        yield wire_format.opening("m") + wire_format.delta("m", {"content": "Hello"})
        if kind == "cut":
            raise ConnectionLost("broken")
        if kind == "endless":
            await asyncio.sleep(1000)
        yield wire_format.closing("m")

    async def aclose(self) -> None:
        """Nothing is open."""


def _error(kind: str) -> bytes:
    code = "context_length_exceeded" if kind == "long" else None
    return WIRE_FORMATS["openai"].error({"message": "No", "code": code})


def _whole(url: str, kind: str) -> bytes:
    if kind == "garbage":
        return b"{"
    if url.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return json.dumps({"object": "list", "data": [vector], "usage": usage}).encode()
    if url.endswith("/responses"):
        return json.dumps(RESPONSE).encode()
    return WIRE_FORMATS["openai"].whole("m", "Hello")


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _events() -> AsyncIterator[bytes]:
    event = {"type": "response.completed", "response": RESPONSE}
    yield b"data: %b\n\n" % json.dumps(event).encode()


class Running:
    """The app, and the engine that it calls."""

    def __init__(self, app: App, provider: Provider) -> None:
        self._app = app
        self._provider = provider

    async def send(self, request: Request) -> tuple[int, bytes]:
        """Send the request, in parts; returns the status, 0 if there is none, and the body."""
        parts = _parts(request)
        self._provider.called.clear()
        seen, sent = [0], bytearray()
        content = asyncio.Event()

        async def receive() -> Message:
            if parts:
                body, more = parts.pop(0), bool(parts) or request.leaves == WHILE_IT_SENDS
                return {"type": "http.request", "body": body, "more_body": more}
            if request.leaves == AT_THE_CALL:
                await self._provider.called.wait()
            elif request.leaves == AT_THE_CONTENT:
                await content.wait()
            elif not request.leaves:
                await asyncio.Event().wait()  # the client stays connected
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen[0] = message["status"]
            elif message.get("body"):
                sent.extend(message["body"])
                content.set()

        length = [(b"content-length", str(len(request.body)).encode())]
        scope = {
            "type": "http",
            "method": "POST",
            "path": request.path,
            "query_string": b"",
            "headers": [
                (b"host", b"localhost"),
                *(length if request.has_length else []),
                *((name.encode(), value.encode()) for name, value in request.headers.items()),
            ],
        }
        await self._app(scope, receive, send)
        return seen[0], bytes(sent)


def _parts(request: Request) -> list[bytes]:
    parts = [request.body[at : at + PART] for at in range(0, len(request.body), PART)]
    return parts[:-1] if request.leaves == WHILE_IT_SENDS else parts


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Running]:
    """Run a gateway with keys, virtual keys, files and a log."""
    params = {"api_base": "http://provider.test/v1", "api_key": "k"}
    config = {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **params}}
            for name in MODELS
        ],
        "router_settings": {
            "num_retries": 0,
            "context_window_fallbacks": [{"long": ["good"]}],
        },
        "general_settings": {
            "master_key": MASTER,
            "max_request_size_mb": LIMIT / 1e6,
            "keys": [
                {"name": "static", "key": STATIC},
                {"name": "limited", "key": LIMITED, "models": ["late"]},
            ],
        },
    }
    env, catalog, provider = {"FANOUT_HOME": str(home)}, resolve(check(config, {}), {}), Provider()
    observer = JSONLinesObserver(lambda _: None, lambda: 0.0)
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, engine=provider, observer=observer),
        observer=observer,
        keep_alive=0.02,
        jobs=lambda gateway: open_local_batches(
            gateway, home, observer=observer, accounts=partial(open_local_accounts, env, catalog)
        ),
        virtual_keys=partial(open_local, env),
    )
    async with lifespan(app):
        yield Running(app, provider)
