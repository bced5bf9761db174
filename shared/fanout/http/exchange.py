"""One request under way: what an endpoint needs to answer it. Knows nothing of routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from ..config.resolve import CallerKey
from ..gateway.gateway import Context, Gateway
from ..schema.fanout import FanOutRequest
from .admission import Visit
from .asgi import Headers, Receive, Send, raw_headers, read_body, send_json
from .sse_response import INTERVAL, EventStream

if TYPE_CHECKING:
    from ..bulk.service.batches import JobService
    from ..bulk.service.files import FileService


MEGABYTE = 1_000_000


class BatchService(Protocol):
    """Where files and batches are."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...


class LazyBatchService(Protocol):
    """The way to them; what is behind it is loaded when somebody comes through."""

    @property
    def bulk(self) -> BatchService: ...


class Exchange(Struct):
    """
    A request and its answer.

    `tail` is what the path has behind the route, `query` what is behind its `?`, `deadline` the
    seconds that the host has left, `unread` whether the request's body has still to be read,
    `visit` its part in what is served at once. The endpoint fills in what the log tells: `asked`,
    `winner`.
    """

    gateway: Gateway
    caller: CallerKey
    receive: Receive
    send: Send
    headers: Headers
    request_id: str
    tail: str = ""
    query: str = ""
    door: LazyBatchService | None = None
    deadline: float | None = None
    keep_alive: float = INTERVAL
    unread: bool = True
    visit: Visit | None = None
    asked: FanOutRequest | None = None
    winner: str | None = None
    status: int | None = None
    events: EventStream | None = None
    out: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Exchange({self.request_id!r})"  # the headers have the caller's key

    async def body(self) -> bytes:
        """The request's whole body, within the limits of one request and of all together."""
        limit = int(self.gateway.catalog.general.max_request_size_mb * MEGABYTE)
        if self.visit is None:
            raise AssertionError("a public route has no body")
        body = await read_body(self.receive, self.headers, limit, self.visit.hold)
        self.unread = False
        return body

    @property
    def context(self) -> Context:
        return Context(self.request_id, self.caller.name, self.deadline)

    async def json(self, body: object, *, status: int = 200) -> None:
        """Send the whole answer."""
        self.status = status
        await send_json(self.send, status, body, self.out)

    async def redirect(self, url: str) -> None:
        """Send the caller there; its SDK follows, without our key."""
        self.status = 302
        headers = raw_headers({"location": url, "content-length": "0", **self.out})
        await self.send({"type": "http.response.start", "status": 302, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})
