"""One HTTP request and its response: what an endpoint reads and sends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct, field

from ..config.catalog import ClientKey
from ..errors import TooLarge
from ..gateway.gateway import Gateway
from ..gateway.run import Context
from ..schema.fanout import FanOutRequest
from ..wire.http import REQUEST_ID
from ..wire.json_size import count_values, decoded_size
from .admission import AdmittedRequest
from .asgi import Headers, Receive, Send, raw_headers, read_body, send_json
from .open_requests import OpenRequest, OpenRequests

if TYPE_CHECKING:
    from ..bulk.service.batches import JobService
    from ..bulk.service.files import FileService
    from ..bulk.service.idempotency import IdempotencyStore
    from ..bulk.service.records import Job
    from ..bulk.store import ResultStore
    from ..endpoints.base import Surface
    from .auth import Authenticator
    from .charging import Charge
    from .idempotency import SingleRequest
    from .sse_response import EventStream


T = TypeVar("T")

MEGABYTE = 1_000_000

MAX_VALUES = 500_000
"""
Keys and values of a body.

Python decodes JSON in one go, during which no other thread runs: so many take about 60 ms.
"""

MANY_VALUES = 20_000
"""Keys and values from which a body is parsed in a thread."""

STREAM_HINT = "use `stream: true`, which may take longer"
"""What to do if a plain response takes longer than the host may be silent."""

KEEP_ALIVE_INTERVAL = 15.0
"""Seconds of silence before a comment is sent; API Gateway ends a silent stream after 5 minutes."""

PATIENCE = 1.0
"""Seconds that a request may wait for its first call; then it gets 429 with `Retry-After`."""


class BatchService(Protocol):
    """Files and batches, as the endpoints use them."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...

    @property
    def idempotency(self) -> IdempotencyStore: ...

    def results(self, job: Job) -> ResultStore:
        """The job's results so far."""
        ...


class LazyBatchService(Protocol):
    """A `BatchService` that is imported when `service` is first read."""

    @property
    def service(self) -> BatchService: ...


class Exchange(Struct):
    """
    A request and its response.

    `tail` is the path after the route's own, `query` the text after `?`, `deadline` the seconds
    that the host has left, `host_idle_timeout` the seconds after which the host closes a
    connection that has sent nothing, `admitted` its share of the limits on requests in flight.
    `received` is when it reached the host, in seconds since 1970, `single` what is known of its
    `Idempotency-Key`. The endpoint sets `request` and `winner`, which are logged. `surface` is the
    translation of an endpoint beside chat completions. `authenticator` has the ledger of virtual
    keys, and `charge` is what a request of such a key has reserved.
    """

    gateway: Gateway
    client: ClientKey
    receive: Receive
    send: Send
    headers: Headers
    request_id: str
    open_requests: OpenRequests
    received: float | None = None
    tail: str = ""
    query: str = ""
    batch_service: LazyBatchService | None = None
    deadline: float | None = None
    host_idle_timeout: float | None = None
    keep_alive: float = KEEP_ALIVE_INTERVAL
    admitted: AdmittedRequest | None = None
    request: FanOutRequest | None = None
    winner: str | None = None
    status: int | None = None
    events: EventStream | None = None
    single: SingleRequest | None = None
    surface: Surface | None = None
    authenticator: Authenticator | None = None
    charge: Charge | None = None
    tags: tuple[str, ...] = ()
    response_headers: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Exchange({self.request_id!r})"  # the headers contain the client's key

    def unpack(self) -> None:
        """Let the endpoint read the body unpacked, by its `content-encoding`."""
        encoding = self.headers["content-encoding"]
        if encoding.strip().lower() == "identity":
            return
        from .content_encoding import unpacked

        self.receive = unpacked(self.receive, encoding)
        self.headers = {k: v for k, v in self.headers.items() if k != "content-length"}

    async def _body(self) -> tuple[bytes, int]:
        """
        Read a whole JSON body, within the limits of one request and of all requests together.

        Returns it with the number of its keys and values.

        What it takes in memory when it is decoded counts too.
        """
        limit = int(self.gateway.catalog.general.max_request_size_mb * MEGABYTE)
        if self.admitted is None:
            raise AssertionError("a public route has no body")
        body = await read_body(self.receive, self.headers, limit, self.admitted.reserve)
        if self.single:
            await self.single.begin(body)
        if len(body) < MEGABYTE:
            values, size = _measure(body)
        else:
            values, size = await asyncio.to_thread(_measure, body)
        self.admitted.reserve_decoded(size)
        if values > MAX_VALUES:
            raise TooLarge(
                f"the request body has about {values:,} keys and values; at most {MAX_VALUES:,} are"
                " accepted. Send several requests, or a batch"
            )
        return body, values

    async def parsed(self, parse: Callable[[bytes], T]) -> T:
        """The body, parsed; a large one in a thread, so that other requests do not wait."""
        body, values = await self._body()
        if len(body) < MEGABYTE and values < MANY_VALUES:
            return parse(body)
        return await asyncio.to_thread(parse, body)

    @property
    def context(self) -> Context:
        """What the gateway needs to know; a plain response is silent until it is complete."""
        deadline, hint = self.deadline, ""
        is_plain = self.request is None or not self.request.stream
        if self.host_idle_timeout is not None and is_plain:
            left = self.host_idle_timeout if deadline is None else deadline
            deadline = min(left, self.host_idle_timeout)
            hint = STREAM_HINT if deadline == self.host_idle_timeout else ""
        return Context(
            self.request_id,
            self.client,
            deadline,
            watcher=None if self.charge is None else self.charge.meter,
            patience=PATIENCE,
            deadline_hint=hint,
        )

    def opened(self) -> OpenRequest:
        """The block that gets the response: it ends if the client disconnects or cancels it."""
        lease = self.request.lease if self.request else None
        return OpenRequest(
            self.open_requests,
            (self.client.name, self.request_id),
            self.receive,
            lease=lease,
            received=self.received,
        )

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


def _measure(body: bytes) -> tuple[int, int]:
    """The number of the body's keys and values, and the bytes that it takes when decoded."""
    values = count_values(body)
    return values, decoded_size(body, values)


def request_id_of(headers: Headers) -> str:
    """The client's `x-request-id` if it has only safe characters, else a new one."""
    given = headers.get("x-request-id")
    return given if given and REQUEST_ID.fullmatch(given) else f"req_{random.getrandbits(96):024x}"
