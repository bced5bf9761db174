"""
Serves a request with an `Idempotency-Key` once: the same request gets the same response for a day.

If the response cannot be stored, the same request gets an error instead, and is not paid for again.
The request is served to its end although its client disconnects, because the client will send it
again. Imported with the first such request.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from ..bulk.service.idempotency import RENEWAL, Claim, IdempotencyStore, StoredResponse
from ..concurrency import TaskGroup
from ..errors import (
    AllFailed,
    FanoutError,
    Malformed,
    Oversized,
    RequestError,
    SchemaMismatch,
    drop_all_tracebacks,
)
from ..wire.sse import KEEP_ALIVE
from .asgi import ClientGone, Message, raw_headers
from .exchange import Exchange
from .routes import Route, call_endpoint

HEADER = "idempotency-key"
MAX_KEY = 255
MAX_KEPT = 64_000_000
"""
Bytes of a response that is remembered. It is in memory until it is whole, so a larger one, of
embeddings, is not: the same key then sends the request again.
"""

REPLAYED = "idempotent-replayed"
"""The header of a response that is sent again; Stripe has the same."""

OWN_HEADERS = frozenset({"x-request-id", "retry-after"})
"""Headers of each response itself, as those about web pages (`access-control-…`, `vary`)."""

PAID = SchemaMismatch | Malformed | Oversized
"""Errors of responses that have arrived, so that they are paid for."""


class Replay(Exception):
    """The request has a response already. Not an error: it ends the endpoint."""

    def __init__(self, response: StoredResponse) -> None:
        super().__init__()
        self.response = response


class SingleRequest:
    """
    One request with a key, and its response as it is sent.

    The response is remembered before its end is sent, so the client's next request finds it. Set
    `error` before the response to one is sent. `fault` is why the response was not remembered.
    """

    def __init__(self, exchange: Exchange, store: IdempotencyStore, key: str, route: str) -> None:
        self._responses = store
        self._client = exchange.client.name
        self._key = key
        self._route = route
        self._send = exchange.send
        self._receive = exchange.receive
        self.error: Exception | None = None
        self.fault: Exception | None = None
        self._claim: Claim | None = None
        self._is_claimed = False
        self._writing = asyncio.Lock()
        self._is_gone = False
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._is_too_large = False
        self._is_complete = False

    async def begin(self, *parts: bytes) -> None:
        """Claim the key for a request with these contents; raises `Replay` if it was served."""
        digest = hashlib.sha256(self._route.encode())
        for part in parts:
            digest.update(b"%d:" % len(part))
            digest.update(part)
        found = await self._responses.begin(self._client, self._key, digest.hexdigest())
        if isinstance(found, StoredResponse):
            raise Replay(found)
        self._claim, self._is_claimed = found, True

    async def receive(self) -> Message:
        """The next message; once the request is claimed, its client's disconnect is none."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._is_claimed:
            await asyncio.Event().wait()  # until the response is complete
        return message

    async def send(self, message: Message) -> None:
        """Keep the message, and send it if the client is still there."""
        if self._claim is not None:
            self._keep(message)
            if self._is_complete:
                await self.settle()
        if self._is_gone:
            return
        try:
            await self._send(message)
        except ClientGone:
            if not self._is_claimed:
                raise
            self._is_gone = True

    def _keep(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            given = {name.decode(): value.decode() for name, value in message["headers"]}
            self._headers = {name: value for name, value in given.items() if _is_kept(name)}
            return
        data = message.get("body", b"")
        if self._is_too_large or len(self._body) + len(data) > MAX_KEPT:
            self._is_too_large, self._body = True, bytearray()
        elif data != KEEP_ALIVE:
            self._body += data
        self._is_complete = not message.get("more_body", False)

    async def renew(self) -> None:
        """Renew the lease of the key, until cancelled."""
        while True:
            await asyncio.sleep(RENEWAL)
            async with self._writing:
                if self._claim is not None:
                    with suppress(FanoutError):  # the database is busy: the next one is in time
                        await self._responses.renew(self._claim)

    async def settle(self) -> None:
        """Remember the response if it is whole or paid for; otherwise free the key. Only once."""
        async with self._writing:
            claim, self._claim = self._claim, None
            if claim is None:
                return
            try:
                await self._store(claim)
            except Exception as fault:  # noqa: BLE001 -- the client gets its response
                self.fault = fault

    async def _store(self, claim: Claim) -> None:
        has_begun = self._status == 200 and bool(self._body)  # noqa: PLR2004
        is_kept = self.error is None or _is_paid(self.error, has_begun=has_begun)
        if self._is_complete and is_kept and not self._is_too_large:
            try:
                await self._responses.finish(claim, self._status, self._headers, bytes(self._body))
            except Exception:
                await self._responses.lose(claim)
                raise
        else:
            await self._responses.release(claim)


def _is_kept(name: str) -> bool:
    return name not in OWN_HEADERS and not name.startswith("access-control-") and name != "vary"


def _is_paid(error: Exception, *, has_begun: bool) -> bool:
    """Whether what failed has cost something; `has_begun` is whether a stream had content."""
    if isinstance(error, AllFailed):
        return any(_is_paid(cause.error, has_begun=has_begun) for cause in error.failures)
    return has_begun or isinstance(error, PAID)


async def serve_once(route: Route, exchange: Exchange) -> None:
    """Serve a request with a key, or send the response that it has already."""
    key = exchange.headers[HEADER]
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        message = f"`Idempotency-Key` must have 1 to {MAX_KEY} printable ASCII characters"
        raise RequestError(message, "Idempotency-Key")
    if exchange.batch_service is None:
        raise RequestError(
            "this gateway has no storage, which `Idempotency-Key` needs: leave it out",
            "Idempotency-Key",
        )
    store = exchange.batch_service.service.idempotency
    path = f"{route.method} {route.path}{exchange.tail}?{exchange.query}"
    single = exchange.single = SingleRequest(exchange, store, key, path)
    exchange.send, exchange.receive = single.send, single.receive
    try:
        async with TaskGroup() as group:
            renewing = group.create_task(single.renew())
            try:
                await call_endpoint(route, exchange)
            finally:
                renewing.cancel()
    except BaseExceptionGroup as raised:
        failure = raised.exceptions[0]
        drop_all_tracebacks(raised)  # they hold this function, and it holds the error
    else:
        return
    if not isinstance(failure, Replay):
        raise failure
    await _replay(exchange, store, failure.response)


async def _replay(exchange: Exchange, store: IdempotencyStore, response: StoredResponse) -> None:
    exchange.status = response.status
    headers = {**response.headers, **exchange.response_headers, REPLAYED: "true"}
    pieces = store.body(response)
    first = await anext(pieces, b"")  # an error before the status is sent
    start = {"type": "http.response.start", "status": response.status}
    await exchange.send({**start, "headers": raw_headers(headers)})
    await exchange.send({"type": "http.response.body", "body": first, "more_body": True})
    async for piece in pieces:
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b""})
