"""
A request to a gateway over HTTP that its client can cancel, and that ends if its client vanishes.

For OpenAI's SDK and other HTTP clients; the other functions of this folder need no gateway.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from ..errors import FanoutError, RequestError
from ..schema.gateway_fields import MAX_LEASE, MIN_LEASE
from ..transport.engine import ConnectFailed, EngineError, Outgoing
from ..wire.http import REQUEST_ID, WireResponse
from .background_loop import background_loop
from .engines import loop_engine
from .errors import GatewayError, GatewayUnreachable
from .openai_errors import openai_errors

RENEWALS = 3
"""Renewals in the time of a lease: two may be lost."""

CANCEL_TIMEOUT = 1.0
"""
Seconds that the end of a block waits for the gateway to take its cancel.

On AWS, the gateway takes it at once, but responds when the calls are closed, or after 3 s if the
request has ended before.
"""

SUCCESS, NOT_FOUND = 200, 404


class GatewayRequest:
    """
    What to send with one request to a gateway, and its cancel.

    Send `headers` and `body` with the request: they are for `extra_headers` and `extra_body` of
    OpenAI's SDK.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        lease: float | None = None,
        request_id: str | None = None,
    ) -> None:
        if lease is not None and not MIN_LEASE <= lease <= MAX_LEASE:
            raise RequestError(f"`lease` must be {MIN_LEASE} to {MAX_LEASE} seconds", "lease")
        if request_id is None:
            request_id = f"req_{random.getrandbits(96):024x}"
        elif not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
            raise RequestError(
                "`request_id` must have 1 to 128 letters (A to Z), digits and `_.:-`, and must not "
                "be `.` or `..`",
                "request_id",
            )
        self.id = request_id
        self.headers = {"x-request-id": self.id}
        self.body = {} if lease is None else {"fanout": {"lease": lease}}
        self._lease = lease
        self._url = f"{base_url.rstrip('/')}/chat/completions/{self.id}"
        self._sent = {"authorization": f"Bearer {api_key}"} if api_key else {}

    def __repr__(self) -> str:
        return f"GatewayRequest({self.id!r})"  # without the key

    def cancel(self) -> bool:
        """
        Cancel the request; whether it was still open.

        Raises `GatewayUnreachable` if the gateway does not respond, and `GatewayError` if it
        rejects the cancel.
        """
        return background_loop().run(self.acancel())

    async def acancel(self) -> bool:
        """The same for asynchronous code."""
        return await self._control("cancel")

    async def arenew(self) -> bool:
        """Renew the lease; whether the request was open."""
        return await self._control("renew")

    async def _control(self, action: str) -> bool:
        request = Outgoing("POST", f"{self._url}/{action}", self._sent, b"")
        with openai_errors():
            try:
                response: WireResponse = await loop_engine().send(request)
            except EngineError as error:
                why = (error.reason if isinstance(error, ConnectFailed) else "") or str(error)
                raise GatewayUnreachable(f"the gateway does not respond: {why}") from None
            if response.status not in {SUCCESS, NOT_FOUND}:
                status = response.status
                raise GatewayError(f"the gateway responds to `{action}` with {status}", status)
        return response.status == SUCCESS

    async def keep_open(self) -> None:
        """Renew the lease until this is cancelled; a renewal that fails is tried again."""
        if self._lease is None:
            return
        while True:
            await asyncio.sleep(self._lease / RENEWALS)
            with suppress(FanoutError, TimeoutError):
                async with asyncio.timeout(self._lease / RENEWALS):
                    await self.arenew()

    async def abandon(self) -> None:
        """Cancel the request without waiting long, because its client has failed."""
        with suppress(FanoutError, TimeoutError):
            async with asyncio.timeout(CANCEL_TIMEOUT):
                await self.acancel()


@contextmanager
def open_request(
    base_url: str,
    api_key: str | None = None,
    *,
    lease: float | None = None,
    request_id: str | None = None,
) -> Iterator[GatewayRequest]:
    """
    A request to the gateway at `base_url` with an id, which the block sends with its own client.

    With a `lease` (2 to 3,600 s), the gateway ends the request if it is not renewed in that time;
    it is renewed while the block runs. If the block raises, Ctrl-C included, the request is
    cancelled. A `request_id` has 1 to 128 letters (A to Z), digits and `_.:-`, and is not `.` or
    `..`.
    """
    request = GatewayRequest(base_url, api_key, lease=lease, request_id=request_id)
    background = background_loop()
    ended = asyncio.Event()

    async def renew() -> None:
        async with asyncio.TaskGroup() as group:
            renewals = group.create_task(request.keep_open())
            await ended.wait()
            renewals.cancel()

    async def end() -> None:
        ended.set()

    background.leave(renew)
    try:
        yield request
    except BaseException:
        background.run(request.abandon())
        raise
    finally:
        background.leave(end)


class aopen_request:  # noqa: N801 -- used as a function, as `open_request` is
    """
    `open_request` for asynchronous code: `async with aopen_request(…) as request`.

    If the task of the block is cancelled, the request is cancelled, too.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        lease: float | None = None,
        request_id: str | None = None,
    ) -> None:
        self._request = GatewayRequest(base_url, api_key, lease=lease, request_id=request_id)
        self._group = asyncio.TaskGroup()
        self._renewals: asyncio.Task[None]

    async def __aenter__(self) -> GatewayRequest:
        """Begin to renew the lease."""
        await self._group.__aenter__()
        self._renewals = self._group.create_task(self._request.keep_open())
        return self._request

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to renew it; cancel the request if the block has raised."""
        self._renewals.cancel()
        if error is not None:
            await self._request.abandon()
        await self._group.__aexit__(None, None, None)  # the block's error stays as it is
