"""One HTTP request and its response: what an endpoint reads and sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from ..config.resolve import ClientKey
from ..gateway.gateway import Context, Gateway
from ..schema.fanout import FanOutRequest
from ..wire.json import decoded_size
from .admission import AdmittedRequest
from .asgi import Headers, Receive, Send, raw_headers, read_body, send_json
from .sse_response import KEEP_ALIVE_INTERVAL, EventStream

if TYPE_CHECKING:
    from ..bulk.service.batches import JobService
    from ..bulk.service.files import FileService


MEGABYTE = 1_000_000

PATIENCE = 1.0
"""Seconds that a request may wait for its first call; then it gets 429 with `Retry-After`."""


class BatchService(Protocol):
    """Files and batches, as the endpoints use them."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...


class LazyBatchService(Protocol):
    """A `BatchService` that is imported when `service` is first read."""

    @property
    def service(self) -> BatchService: ...


class Exchange(Struct):
    """
    A request and its response.

    `tail` is the path after the route's own, `query` the text after `?`, `deadline` the seconds
    that the host has left, `admitted` its share of the limits on requests in flight. The endpoint
    sets `request` and `winner`, which are logged.
    """

    gateway: Gateway
    client: ClientKey
    receive: Receive
    send: Send
    headers: Headers
    request_id: str
    tail: str = ""
    query: str = ""
    batch_service: LazyBatchService | None = None
    deadline: float | None = None
    keep_alive: float = KEEP_ALIVE_INTERVAL
    admitted: AdmittedRequest | None = None
    request: FanOutRequest | None = None
    winner: str | None = None
    status: int | None = None
    events: EventStream | None = None
    response_headers: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Exchange({self.request_id!r})"  # the headers contain the client's key

    async def body(self) -> bytes:
        """
        Read a whole JSON body, within the limits of one request and of all requests together.

        What it takes in memory when it is decoded counts too.
        """
        limit = int(self.gateway.catalog.general.max_request_size_mb * MEGABYTE)
        if self.admitted is None:
            raise AssertionError("a public route has no body")
        body = await read_body(self.receive, self.headers, limit, self.admitted.reserve)
        self.admitted.reserve_decoded(await _decoded_size(body))
        return body

    @property
    def context(self) -> Context:
        return Context(self.request_id, self.client, self.deadline, patience=PATIENCE)

    async def json(self, body: object, *, status: int = 200) -> None:
        """Send a whole JSON response."""
        self.status = status
        await send_json(self.send, status, body, self.response_headers)

    async def empty(self, status: int, headers: Mapping[str, str] = {}) -> None:
        """Send a response without a body."""
        self.status = status
        raw = raw_headers({**headers, **self.response_headers})
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": b""})

    async def redirect(self, url: str) -> None:
        """Redirect the client to `url`; its SDK follows without sending its key."""
        await self.empty(302, {"location": url, "content-length": "0"})


async def _decoded_size(body: bytes) -> int:
    """Count a large body in a thread, so that other requests do not wait."""
    if len(body) < MEGABYTE:
        return decoded_size(body)
    return await asyncio.to_thread(decoded_size, body)
